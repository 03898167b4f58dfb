//! Checkpoints: all rows as of an LSN, in one file, on stable storage. Two are kept.
//!
//! ```text
//! checkpoint/00000000000000001234     (the LSN)
//!   "HERONCKP" | format (1) | zero (7) | LSN (8) | CRC32C of 0..24 (4) | zero (4)
//!   block:  length (4) | CRC32C (4) | rows, each: class (1) | key's length (2) | value's (4) | …
//!   end:    zero (4) | CRC32C of the count (4) | count of rows (8)
//! ```

use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::{
    StoreError,
    disk::{Disk, File},
    journal::disk_error,
    keys::Class,
};

pub(crate) const FOLDER: &str = "checkpoint";
const UNFINISHED: &str = "checkpoint/new";

const MAGIC: &[u8; 8] = b"HERONCKP";
const HEAD: usize = 32;
const FORMAT: u8 = 1;
const BLOCK_OCTETS: usize = 256 * 1024;

/// Writes a checkpoint.
pub(crate) struct Writing<'a> {
    disk: &'a dyn Disk,
    lsn: u64,
    file: std::sync::Arc<dyn File>,
    at: u64,
    block: Vec<u8>,
    count: u64,
}

impl<'a> Writing<'a> {
    pub(crate) fn begin(disk: &'a dyn Disk, lsn: u64) -> Result<Self, StoreError> {
        let file = disk
            .create(UNFINISHED, 0)
            .map_err(|error| disk_error("create a checkpoint", &error))?;
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8] = FORMAT;
        head[16..24].copy_from_slice(&lsn.to_le_bytes());
        let crc = crc32c::crc32c(&head[..24]);
        head[24..28].copy_from_slice(&crc.to_le_bytes());
        let mut writing = Self {
            disk,
            lsn,
            file,
            at: 0,
            block: Vec::with_capacity(BLOCK_OCTETS + 8192),
            count: 0,
        };
        writing.append(&head)?;
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

    /// Makes it durable, and removes all but the two newest. Yields its length, and the LSN of
    /// the older one that is kept.
    pub(crate) fn finish(mut self) -> Result<(u64, Option<u64>), StoreError> {
        self.flush()?;
        let count = self.count.to_le_bytes();
        let mut end = [0; 16];
        end[4..8].copy_from_slice(&crc32c::crc32c(&count).to_le_bytes());
        end[8..].copy_from_slice(&count);
        self.append(&end)?;
        let disk = self.disk;
        self.file
            .sync()
            .and_then(|()| disk.rename(UNFINISHED, &name(self.lsn)))
            .and_then(|()| disk.sync_folder(FOLDER))
            .map_err(|error| disk_error("finish a checkpoint", &error))?;
        let kept = list(disk)?;
        for lsn in kept.iter().skip(2) {
            disk.remove(&name(*lsn))
                .map_err(|error| disk_error("remove a checkpoint", &error))?;
        }
        Ok((self.at, kept.get(1).copied()))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut head = [0; 8];
        let octets = u32::try_from(self.block.len()).expect("a block is bounded");
        head[..4].copy_from_slice(&octets.to_le_bytes());
        head[4..].copy_from_slice(&crc32c::crc32c(&self.block).to_le_bytes());
        self.append(&head)?;
        let block = std::mem::take(&mut self.block);
        self.append(&block)?;
        self.block = block;
        self.block.clear();
        Ok(())
    }

    fn append(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_at(&mut [IoSlice::new(octets)], self.at)
            .map_err(|error| disk_error("write a checkpoint", &error))?;
        self.at += octets.len() as u64;
        Ok(())
    }
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

/// How long a checkpoint is.
pub(crate) fn length(disk: &dyn Disk, lsn: u64) -> Result<u64, StoreError> {
    disk.open(&name(lsn))
        .and_then(|file| file.length())
        .map_err(|error| disk_error("measure a checkpoint", &error))
}

/// Whether a checkpoint is whole. It is read twice rather than half believed.
pub(crate) fn is_sound(disk: &dyn Disk, lsn: u64) -> Result<bool, StoreError> {
    match read(disk, lsn, &mut |_, _, _| Ok(())) {
        Ok(()) => Ok(true),
        Err(StoreError::Damage { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Calls `each` for the rows of a checkpoint, in the order of their partitions and keys.
pub(crate) fn read(
    disk: &dyn Disk,
    lsn: u64,
    each: &mut dyn FnMut(Class, Bytes, Bytes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let damage = || StoreError::Damage {
        what: format!("the checkpoint {lsn}"),
    };
    let file = disk
        .open(&name(lsn))
        .map_err(|error| disk_error("open a checkpoint", &error))?;
    let fetch = |at: u64, octets: usize| {
        let mut buffer = vec![0; octets];
        let read = file
            .read_at(&mut buffer, at)
            .map_err(|error| disk_error("read a checkpoint", &error))?;
        if read < octets {
            return Err(damage());
        }
        Ok(buffer)
    };
    let u32_at = |octets: &[u8], at: usize| {
        let octets = octets.get(at..).and_then(<[u8]>::first_chunk);
        octets.copied().map_or(0, u32::from_le_bytes)
    };
    let head = fetch(0, HEAD)?;
    if &head[..8] != MAGIC || crc32c::crc32c(&head[..24]) != u32_at(&head, 24) {
        return Err(damage());
    }
    if head[8] > FORMAT {
        return Err(StoreError::Newer {
            what: format!("the checkpoint {lsn}"),
            found: head[8],
            known: FORMAT,
        });
    }
    let mut at = HEAD as u64;
    let mut count = 0_u64;
    loop {
        let head = fetch(at, 8)?;
        let (octets, crc) = (u32_at(&head, 0) as usize, u32_at(&head, 4));
        at += 8;
        if octets == 0 {
            let end = fetch(at, 8)?;
            let sound = crc32c::crc32c(&end) == crc && end == count.to_le_bytes();
            return if sound { Ok(()) } else { Err(damage()) };
        }
        if octets > BLOCK_OCTETS + BLOCK_SLACK {
            return Err(damage());
        }
        let block = Bytes::from(fetch(at, octets)?);
        if crc32c::crc32c(&block) != crc {
            return Err(damage());
        }
        at += octets as u64;
        let mut from = 0;
        while from < block.len() {
            let head = block.get(from..from + 7).ok_or_else(damage)?;
            let class = Class::of(head[0]).ok_or_else(damage)?;
            let key = from + 7;
            let value = key + usize::from(u16::from_le_bytes([head[1], head[2]]));
            let end = value + u32_at(head, 3) as usize;
            if end > block.len() {
                return Err(damage());
            }
            each(class, block.slice(key..value), block.slice(value..end))?;
            count += 1;
            from = end;
        }
    }
}

/// Octets of a row in a block.
pub(crate) fn row_octets(key: &[u8], value: &[u8]) -> u64 {
    (7 + key.len() + value.len()) as u64
}

/// The file of a checkpoint.
pub(crate) fn name(lsn: u64) -> String {
    format!("{FOLDER}/{lsn:020}")
}

/// The largest row: it may stand at the end of a block.
const BLOCK_SLACK: usize = 17 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{SimulatedDisk, read_all};

    fn written() -> (SimulatedDisk, Vec<u8>) {
        let disk = SimulatedDisk::new(1);
        let mut writing = Writing::begin(&disk, 0x0102_0304).unwrap();
        writing.row(Class::House, b"k", b"one").unwrap();
        writing.row(Class::Mail, b"a2", b"").unwrap();
        writing.finish().unwrap();
        let octets = read_all(&disk, &name(0x0102_0304)).unwrap().unwrap();
        (disk, octets)
    }

    #[test]
    fn a_checkpoint_has_these_octets_for_ever() {
        let (disk, octets) = written();
        let head = b"HERONCKP\x01\0\0\0\0\0\0\0\x04\x03\x02\x01\0\0\0\0";
        let rows = b"\x01\x01\0\x03\0\0\0kone\x04\x02\0\0\0\0\0a2";
        assert_eq!(octets[..24], head[..], "{octets:02x?}");
        assert_eq!(octets[28..36], [0, 0, 0, 0, 20, 0, 0, 0], "{octets:02x?}");
        assert_eq!(octets[40..60], rows[..], "{octets:02x?}");
        assert_eq!(octets[60..64], [0; 4], "{octets:02x?}");
        assert_eq!(octets[68..], 2_u64.to_le_bytes(), "{octets:02x?}");
        let mut read_rows = Vec::new();
        read(&disk, 0x0102_0304, &mut |class, key, value| {
            read_rows.push((class, key, value));
            Ok(())
        })
        .unwrap();
        let row = |class, key: &'static [u8], value: &'static [u8]| {
            (class, Bytes::from_static(key), Bytes::from_static(value))
        };
        let expected = [
            row(Class::House, b"k", b"one"),
            row(Class::Mail, b"a2", b""),
        ];
        assert_eq!(read_rows, expected);
    }

    #[test]
    fn a_newer_checkpoint_is_told_from_a_damaged_one() {
        let (disk, mut octets) = written();
        octets[8] = FORMAT + 1;
        let file = disk.open(&name(0x0102_0304)).unwrap();
        file.write_at(&mut [IoSlice::new(&octets)], 0).unwrap();
        let read_it = || read(&disk, 0x0102_0304, &mut |_, _, _| Ok(()));
        assert!(matches!(read_it(), Err(StoreError::Damage { .. })));
        let crc = crc32c::crc32c(&octets[..24]);
        octets[24..28].copy_from_slice(&crc.to_le_bytes());
        file.write_at(&mut [IoSlice::new(&octets)], 0).unwrap();
        assert!(matches!(
            read_it(),
            Err(StoreError::Newer {
                found: 2,
                known: 1,
                ..
            })
        ));
    }
}
