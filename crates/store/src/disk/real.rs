//! The real disk.

use std::{
    fs, io,
    io::IoSlice,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use rustix::fs::{FallocateFlags, FlockOperation, FsWord, Mode, OFlags};

use super::{Disk, File, Lock};

/// A folder of a file system.
#[derive(Debug)]
pub(crate) struct RealDisk {
    folder: PathBuf,
}

impl RealDisk {
    /// The folder is created if it is not there.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(self.path(name))?;
        Ok(Arc::new(RealFile::new(file)))
    }

    fn create(&self, name: &str, octets: u64) -> io::Result<Arc<dyn File>> {
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::RDWR | OFlags::CLOEXEC;
        // Mail is nobody else's business.
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::open(self.path(name), flags, mode)?;
        let mut gains_by_zeros = false;
        if octets > 0 {
            gains_by_zeros = give_room(&file, octets).inspect_err(|_| {
                let _ = fs::remove_file(self.path(name)); // it takes room that there is not
            })?;
        }
        Ok(Arc::new(RealFile {
            file: file.into(),
            gains_by_zeros,
        }))
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(name))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(folder))? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        fs::hard_link(self.path(from), self.path(to))
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        match fs::remove_dir(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        fs::File::open(self.path(folder))?.sync_all()
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn boot(&self) -> String {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        // Not known: every start counts as one after a power cut.
        id.map_or_else(|_| String::new(), |id| id.trim().to_owned())
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path("lock"))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Gives a file its room; says whether syncs gain by zeros that are written there.
fn give_room(file: &OwnedFd, octets: u64) -> rustix::io::Result<bool> {
    // A disk that can makes it zeros without being sent any, and the room counts as written.
    if rustix::fs::fallocate(file, WRITE_ZEROES, 0, octets).is_ok() {
        return Ok(false);
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, octets) {
        // Where nothing is ever written over in place, zeros would only be written for nothing.
        Ok(()) => Ok(rustix::fs::fstatfs(file).is_ok_and(|stat| IN_PLACE.contains(&stat.f_type))),
        // Slower without, but a file system that cannot is no reason not to start.
        Err(rustix::io::Errno::OPNOTSUPP) => rustix::fs::ftruncate(file, octets).map(|()| false),
        Err(error) => Err(error),
    }
}

/// An open file of a file system.
#[derive(Debug)]
pub(super) struct RealFile {
    file: fs::File,
    gains_by_zeros: bool,
}

impl RealFile {
    pub(super) const fn new(file: fs::File) -> Self {
        Self {
            file,
            gains_by_zeros: false,
        }
    }
}

impl File for RealFile {
    fn write_at(&self, mut pieces: &mut [IoSlice<'_>], mut at: u64) -> io::Result<()> {
        while !pieces.is_empty() {
            let some = pieces.len().min(PIECES_MAX);
            match rustix::io::pwritev(&self.file, &pieces[..some], at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut pieces, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn gains_by_zeros(&self) -> bool {
        self.gains_by_zeros
    }

    fn read_at(&self, octets: &mut [u8], at: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < octets.len() {
            match self.file.read_at(&mut octets[read..], at + read as u64) {
                Ok(0) => break,
                Ok(some) => read += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn modified(&self) -> io::Result<u64> {
        let since = self.file.metadata()?.modified()?.duration_since(UNIX_EPOCH);
        let since = since.map_err(io::Error::other)?;
        u64::try_from(since.as_millis()).map_err(io::Error::other)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.sync_all()
    }
}

/// `FALLOC_FL_WRITE_ZEROES` (Linux 6.17).
const WRITE_ZEROES: FallocateFlags = FallocateFlags::from_bits_retain(0x80);

/// File systems that write over what is there in place, and note of room whether it was written:
/// ext4 and XFS, by the number in `statfs`.
const IN_PLACE: [FsWord; 2] = [0xEF53, 0x5846_5342];

/// `IOV_MAX` on Linux.
pub(super) const PIECES_MAX: usize = 1024;
