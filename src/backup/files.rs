//! Files and folders as backups write them: for their owner alone, and on stable storage.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Advice, fadvise};

use super::{BackupError, Progress};

/// What was copied.
pub(super) struct Copied {
    pub(super) octets: u64,
    pub(super) blake3: String,
}

/// Copies a file, or the first `octets` of it, under another name that appears only when all of it
/// is there for good.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    octets: Option<u64>,
    progress: &mut dyn Progress,
) -> Result<Copied, BackupError> {
    let part = part_of(to);
    let source = File::open(from).map_err(BackupError::disk("read", from))?;
    let mut source = source.take(octets.unwrap_or(u64::MAX));
    let mut target = create(&part)?;
    let (mut hash, mut copied, mut unsynced) = (blake3::Hasher::new(), 0, 0);
    let mut piece = vec![0; PIECE_OCTETS];
    loop {
        let read = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(BackupError::disk("read", from)(error)),
        };
        hash.update(&piece[..read]);
        target
            .write_all(&piece[..read])
            .map_err(BackupError::disk("write", &part))?;
        // Mail that somebody reads has a better use for that memory.
        forget(source.get_ref(), copied, read);
        copied += read as u64;
        unsynced += read;
        // Little by little: a flood at the end would be in the way of whoever else waits for the
        // disk.
        if unsynced >= UNSYNCED_OCTETS_MAX {
            target
                .sync_data()
                .map_err(BackupError::disk("sync", &part))?;
            forget(&target, copied - unsynced as u64, unsynced);
            unsynced = 0;
        }
        progress.advance(read as u64);
    }
    target
        .sync_all()
        .map_err(BackupError::disk("sync", &part))?;
    if let Some(wanted) = octets
        && copied < wanted
    {
        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(BackupError::disk("read the whole of", from)(cut));
    }
    fs::rename(&part, to).map_err(BackupError::disk("name", to))?;
    Ok(Copied {
        octets: copied,
        blake3: hash.finalize().to_hex().to_string(),
    })
}

/// The BLAKE3 of a file, hexadecimal.
pub(super) fn digest(path: &Path, progress: &mut dyn Progress) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_OCTETS];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hash.finalize().to_hex().to_string()),
            Ok(read) => {
                hash.update(&piece[..read]);
                progress.advance(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes a small file, durably.
pub(super) fn write(path: &Path, octets: &[u8]) -> Result<(), BackupError> {
    let part = part_of(path);
    let mut file = create(&part)?;
    file.write_all(octets)
        .and_then(|()| file.sync_all())
        .map_err(BackupError::disk("write", &part))?;
    fs::rename(&part, path).map_err(BackupError::disk("name", path))
}

/// Makes a folder and those above it, closed to others.
pub(super) fn make_folder(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(BackupError::disk("make the folder", path))
}

/// Makes what was created and renamed in a folder and below it durable.
pub(super) fn sync_folders(path: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(path).map_err(BackupError::disk("look into", path))? {
        let entry = entry.map_err(BackupError::disk("look into", path))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(path)
}

/// Makes what was created and renamed in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(BackupError::disk("sync", path))
}

/// Every file in a folder and below it, by its path from there.
pub(super) fn walk(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(inner) = left.pop() {
        for entry in fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// When a file was changed last, in nanoseconds since 1970.
pub(super) fn modified(path: &Path) -> io::Result<u64> {
    let found = fs::metadata(path)?;
    let nanos = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
    Ok(u64::try_from(nanos).unwrap_or(0))
}

/// Refuses to begin what would not find room.
pub(super) fn need_room(folder: &Path, needed: u64) -> Result<(), BackupError> {
    let stat = rustix::fs::statvfs(folder)
        .map_err(|error| BackupError::disk("look at", folder)(error.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < needed {
        return Err(BackupError::Full {
            folder: folder.display().to_string(),
            free,
            needed,
        });
    }
    Ok(())
}

/// Has the system give back the memory in which it keeps what was just read or written.
fn forget(file: &File, from: u64, octets: usize) {
    let octets = std::num::NonZeroU64::new(octets as u64);
    let _ = fadvise(file, from, octets, Advice::DontNeed); // it is a favour
}

fn create(path: &Path) -> Result<File, BackupError> {
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(BackupError::disk("create", path))
}

/// What a file is called until all of it is there.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

const PIECE_OCTETS: usize = 256 * 1024;

const UNSYNCED_OCTETS_MAX: usize = 16 * 1024 * 1024;
