//! Checkpoints: all rows as of an LSN, in one file, on stable storage. Two are kept.
//!
//! ```text
//! checkpoint/00000000000000001234     (the LSN)
//!   "HERONCKP" | format (1) | zero (7) | LSN (8) | CRC32C of 0..24 (4) | zero (4)
//!   block:  length of what follows the CRC32C (4) | CRC32C of that (4) | in format 1 rows;
//!             in format 2 octets of the rows (4) | the rows, or a Zstandard frame of them
//!   end:    zero (4) | CRC32C of what follows (4) | count of rows (8) | in format 2 octets of
//!             all rows (8)
//!   row:    class (1) | key's length (2) | value's (4) | key | value
//! ```

use std::io::{self, IoSlice};

use block::Packer;
pub use probe::{ProbedCheckpoint, mend_checkpoint, probe_checkpoint};
pub(crate) use reading::{Size, is_sound, read, row_octets, size, verify};

use crate::{
    StoreError,
    disk::{Disk, File},
    journal::disk_error,
    keys::Class,
};

mod block;
mod probe;
mod reading;

pub(crate) const FOLDER: &str = "checkpoint";
const UNFINISHED: &str = "checkpoint/new";

const MAGIC: &[u8; 8] = b"HERONCKP";
const HEAD: usize = 32;

/// How a checkpoint is written. The numbers stand in its head: append-only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Format {
    /// Rows as they are.
    Plain = 1,
    /// Blocks of rows are packed where that makes them shorter.
    Packed = 2,
}

impl Format {
    const NEWEST: Self = Self::Packed;

    const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Plain),
            2 => Some(Self::Packed),
            _ => None,
        }
    }
}

/// Writes a checkpoint.
pub(crate) struct Writing<'a> {
    disk: &'a dyn Disk,
    lsn: u64,
    file: std::sync::Arc<dyn File>,
    at: u64,
    /// `None` where rows are written as they are.
    packer: Option<Packer>,
    block: Vec<u8>,
    /// Octets of the rows in the blocks before.
    octets: u64,
    count: u64,
}

impl<'a> Writing<'a> {
    pub(crate) fn begin(disk: &'a dyn Disk, lsn: u64, format: Format) -> Result<Self, StoreError> {
        let failed = |error: io::Error| disk_error("create a checkpoint", &error);
        let packer = match format {
            Format::Plain => None,
            Format::Packed => Some(Packer::new().map_err(failed)?),
        };
        let file = disk.create(UNFINISHED, 0).map_err(failed)?;
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8] = format as u8;
        head[16..24].copy_from_slice(&lsn.to_le_bytes());
        let crc = crc32c::crc32c(&head[..24]);
        head[24..28].copy_from_slice(&crc.to_le_bytes());
        let mut writing = Self {
            disk,
            lsn,
            file,
            at: 0,
            packer,
            block: Vec::with_capacity(BLOCK_OCTETS + 8192),
            octets: 0,
            count: 0,
        };
        writing.append([&head, &[]])?;
        Ok(writing)
    }

    pub(crate) fn row(&mut self, class: Class, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let key_octets = u16::try_from(key.len()).expect("names are bounded where they come in");
        let value_octets = u32::try_from(value.len()).expect("records are bounded");
        self.block.push(class as u8);
        self.block.extend_from_slice(&key_octets.to_le_bytes());
        self.block.extend_from_slice(&value_octets.to_le_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.count += 1;
        if self.block.len() >= BLOCK_OCTETS {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes it durable, and removes all but this one and the newest of those before it that is
    /// whole. Yields how large it is, and the LSN of that older one.
    pub(crate) fn finish(mut self) -> Result<(Size, Option<u64>), StoreError> {
        self.flush()?;
        let mut end = self.count.to_le_bytes().to_vec();
        if self.packer.is_some() {
            end.extend_from_slice(&self.octets.to_le_bytes());
        }
        let crc = crc32c::crc32c(&end);
        self.append([&block::head(0, crc), &end])?;
        let disk = self.disk;
        self.file
            .sync()
            .and_then(|()| disk.rename(UNFINISHED, &name(self.lsn)))
            .and_then(|()| disk.sync_folder(FOLDER))
            .map_err(|error| disk_error("finish a checkpoint", &error))?;
        let older = keep_one_before(disk, self.lsn)?;
        let size = Size {
            rows: self.octets,
            file: self.at,
        };
        Ok((size, older))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut self.block);
        self.octets += rows.len() as u64;
        match self.packer.take() {
            None => self.append([&block::head(rows.len(), crc32c::crc32c(&rows)), &rows])?,
            Some(mut packer) => {
                let (head, data) = packer.pack(&rows);
                self.append([&head, data])?;
                self.packer = Some(packer);
            }
        }
        rows.clear();
        self.block = rows;
        Ok(())
    }

    fn append(&mut self, pieces: [&[u8]; 2]) -> Result<(), StoreError> {
        self.file
            .write_at(&mut pieces.map(IoSlice::new), self.at)
            .map_err(|error| disk_error("write a checkpoint", &error))?;
        self.at += pieces.map(<[u8]>::len).iter().sum::<usize>() as u64;
        Ok(())
    }
}

/// Removes the checkpoints before that LSN but one, whose LSN it yields: the newest that is what was
/// written. Else one that has rotted would stay in the place of one that has not, and what only the
/// latter needs would be given back.
fn keep_one_before(disk: &dyn Disk, lsn: u64) -> Result<Option<u64>, StoreError> {
    let mut kept = None;
    for before in list(disk)?.into_iter().filter(|&before| before < lsn) {
        if kept.is_none() {
            match verify(disk, before, 0, u64::MAX) {
                Ok(_) => {
                    kept = Some(before);
                    continue;
                }
                Err(error @ StoreError::Damage { .. }) => {
                    tracing::error!(%error, "it is not kept: a newer one has all that it had");
                }
                // Perhaps the next time.
                Err(error) => {
                    tracing::warn!(%error, "whether a checkpoint is whole is not known");
                    continue;
                }
            }
        }
        // For good: one that has rotted must not be back, and count, after a power cut.
        disk.remove(&name(before))
            .and_then(|()| disk.sync_folder(FOLDER))
            .map_err(|error| disk_error("remove a checkpoint", &error))?;
    }
    Ok(kept)
}

/// Gives back the room of a checkpoint that was not finished.
pub(crate) fn forget_unfinished(disk: &dyn Disk) {
    match disk.remove(UNFINISHED) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "an unfinished checkpoint cannot be removed");
        }
        _ => {}
    }
}

/// The LSNs of the checkpoints there are, the newest first.
pub(crate) fn list(disk: &dyn Disk) -> Result<Vec<u64>, StoreError> {
    let names = disk
        .list(FOLDER)
        .map_err(|error| disk_error("list checkpoints", &error))?;
    let mut lsns: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    lsns.sort_unstable_by(|a, b| b.cmp(a));
    Ok(lsns)
}

/// The file of a checkpoint.
pub(crate) fn name(lsn: u64) -> String {
    format!("{FOLDER}/{lsn:020}")
}

/// A block is written when its rows are so many octets.
const BLOCK_OCTETS: usize = 256 * 1024;

/// The largest row: it may stand at the end of a block.
const BLOCK_SLACK: usize = 17 * 1024 * 1024;
