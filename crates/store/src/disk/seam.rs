//! What the store asks of a disk.

use std::{
    any::Any,
    fmt::Debug,
    io::{self, IoSlice},
    sync::Arc,
};

/// A data folder.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Opens a file that is there, for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Creates a file with room for that many octets. One that is there is emptied.
    fn create(&self, name: &str, octets: u64) -> io::Result<Arc<dyn File>>;

    /// Creates a folder if it is not there.
    fn create_folder(&self, name: &str) -> io::Result<()>;

    /// The names in a folder, in any order.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Gives a file another name; one that has it already is replaced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Gives a file a second name, which must be new; it stays as long as one of them does.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a folder without files; one that is not there is passed over.
    fn remove_folder(&self, name: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renamings and removals in a folder durable.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// How many octets are free.
    fn free(&self) -> io::Result<u64>;

    /// Differs after each start of the machine: what was not synced before it may be lost.
    fn boot(&self) -> String;

    /// Whether what is written stays: what is written over a backup that is only read does not.
    fn lasts(&self) -> bool {
        true
    }

    /// Takes the folder for this process; `None` when another has it.
    fn lock(&self) -> io::Result<Option<Lock>>;
}

/// Keeps the folder ours until it is dropped.
pub(crate) type Lock = Box<dyn Any + Send + Sync>;

/// An open file.
pub(crate) trait File: Debug + Send + Sync {
    /// Writes all pieces, one after the other, from `at` on.
    fn write_at(&self, pieces: &mut [IoSlice<'_>], at: u64) -> io::Result<()>;

    /// Makes what was written durable. When it fails, what was written since the last time may
    /// be lost, whatever a later call says. Each handle of a file is told once of what was lost,
    /// through whichever handle it was written or synced.
    fn sync(&self) -> io::Result<()>;

    /// Whether a sync is cheaper where zeros were written before.
    fn gains_by_zeros(&self) -> bool {
        false
    }

    /// Reads; fewer octets than asked for only at the file's end.
    fn read_at(&self, octets: &mut [u8], at: u64) -> io::Result<usize>;

    /// Its length.
    fn length(&self) -> io::Result<u64>;

    /// When it was last written to, as the system knows it, in milliseconds since 1970.
    fn modified(&self) -> io::Result<u64>;

    /// Cuts it to that length.
    fn cut(&self, length: u64) -> io::Result<()>;
}

/// The whole of a small file; `None` when it is not there.
pub(crate) fn read_all(disk: &dyn Disk, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut octets = vec![0; usize::try_from(file.length()?).map_err(io::Error::other)?];
    let read = file.read_at(&mut octets, 0)?;
    octets.truncate(read);
    Ok(Some(octets))
}

/// Calls `each` for the octets of a file between two places, a piece at a time, with its place.
pub(crate) fn in_pieces(
    file: &dyn File,
    from: u64,
    until: u64,
    mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut at = from;
    let mut piece = Vec::new();
    while at < until {
        let wanted = (until - at).min(PIECE_OCTETS);
        piece.resize(usize::try_from(wanted).unwrap_or(0), 0);
        let read = file.read_at(&mut piece, at)?;
        if read == 0 {
            break;
        }
        each(at, &piece[..read])?;
        at += read as u64;
    }
    Ok(())
}

/// Writes a small file so that either the old one is there or the new one, whole.
pub(crate) fn write_whole(disk: &dyn Disk, name: &str, octets: &[u8]) -> io::Result<()> {
    let (folder, _) = name.rsplit_once('/').unwrap_or(("", name));
    let new = format!("{name}.new");
    let file = disk.create(&new, 0)?;
    file.write_at(&mut [IoSlice::new(octets)], 0)?;
    file.sync()?;
    disk.rename(&new, name)?;
    disk.sync_folder(folder)
}

/// What is read at once.
const PIECE_OCTETS: u64 = 1024 * 1024;
