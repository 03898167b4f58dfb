//! Reading checkpoints: whoever wants anything of one comes by here.

use std::io;

use bytes::{Buf, Bytes};

use super::{
    Format, HEAD, MAGIC,
    block::{self, BLOCK_HEAD, BLOCK_MAX, Unpacker},
    name,
};
use crate::{
    StoreError,
    disk::{Disk, File},
    journal::disk_error,
    keys::Class,
};

/// How large a checkpoint is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Size {
    /// Octets of its rows, however they are packed.
    pub(crate) rows: u64,
    /// Octets of its file.
    pub(crate) file: u64,
}

/// How large a checkpoint is. Its rows are not read: of one that does not say how many octets they
/// are (in format 1, or because it is damaged) it is as if they were the file's.
pub(crate) fn size(disk: &dyn Disk, lsn: u64) -> Result<Size, StoreError> {
    let file = disk
        .open(&name(lsn))
        .map_err(|error| disk_error("open a checkpoint", &error))?;
    measure(&*file)
}

/// The same of a file.
pub(super) fn measure(file: &dyn File) -> Result<Size, StoreError> {
    let failed = |error: io::Error| disk_error("measure a checkpoint", &error);
    let octets = file.length().map_err(failed)?;
    let mut head = [0; HEAD];
    file.read_at(&mut head, 0).map_err(failed)?;
    let mut rows = octets;
    if format_of(&head) == Some(Format::Packed as u8) {
        let mut end = [0; BLOCK_HEAD + END_PACKED];
        let at = octets.saturating_sub(end.len() as u64);
        file.read_at(&mut end, at).map_err(failed)?;
        if let Some((head, end)) = end.split_first_chunk()
            && block::read_head(*head) == (0, crc32c::crc32c(end))
        {
            rows = u64_at(end, 8);
        }
    }
    Ok(Size { rows, file: octets })
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
    let file = disk
        .open(&name(lsn))
        .map_err(|error| disk_error("open a checkpoint", &error))?;
    read_file(&*file, lsn, each)
}

/// The same of a file.
pub(super) fn read_file(
    file: &dyn File,
    lsn: u64,
    each: &mut dyn FnMut(Class, Bytes, Bytes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut reading = Reading::begin(file, lsn)?;
    while let Some(mut rows) = reading.block()? {
        while !rows.is_empty() {
            let (class, key, value) = take_row(&mut rows).ok_or_else(|| reading.damage())?;
            reading.count += 1;
            each(class, key, value)?;
        }
    }
    if reading.is_all() {
        Ok(())
    } else {
        Err(reading.damage())
    }
}

/// Reads about so many octets of a checkpoint, from a place that an earlier call has named (zero: the
/// beginning), and looks by their checksums whether they are what was written. Yields how far it has come,
/// and whether that is the end.
pub(crate) fn verify(
    disk: &dyn Disk,
    lsn: u64,
    from: u64,
    octets: u64,
) -> Result<(u64, bool), StoreError> {
    let file = disk
        .open(&name(lsn))
        .map_err(|error| disk_error("open a checkpoint", &error))?;
    verify_file(&*file, lsn, from, octets)
}

/// The same of a file.
pub(super) fn verify_file(
    file: &dyn File,
    lsn: u64,
    from: u64,
    octets: u64,
) -> Result<(u64, bool), StoreError> {
    let mut reading = Reading::begin(file, lsn)?;
    reading.at = reading.at.max(from);
    let until = reading.at.saturating_add(octets.max(1));
    while reading.at < until {
        match reading.stored()? {
            Some(block) => reading.buffer = block,
            None => return Ok((reading.at, true)),
        }
    }
    Ok((reading.at, false))
}

/// How far a checkpoint has been read.
struct Reading<'a> {
    file: &'a dyn File,
    lsn: u64,
    /// Its length.
    octets: u64,
    format: Format,
    unpacker: Unpacker,
    /// For the next block, where its rows are not handed out as they are stored.
    buffer: Vec<u8>,
    at: u64,
    /// Rows, and octets of them.
    count: u64,
    rows: u64,
    /// How many there are, by its end.
    said: (u64, u64),
}

impl<'a> Reading<'a> {
    fn begin(file: &'a dyn File, lsn: u64) -> Result<Self, StoreError> {
        let failed = |error: io::Error| disk_error("read a checkpoint", &error);
        let mut reading = Self {
            file,
            lsn,
            octets: file.length().map_err(failed)?,
            format: Format::NEWEST,
            unpacker: Unpacker::new().map_err(failed)?,
            buffer: Vec::new(),
            at: 0,
            count: 0,
            rows: 0,
            said: (0, 0),
        };
        let mut head = [0; HEAD];
        reading.fetch(&mut head)?;
        let format = format_of(&head).ok_or_else(|| reading.damage())?;
        reading.format = Format::of(format).ok_or_else(|| StoreError::Newer {
            what: format!("the checkpoint {lsn}"),
            found: format,
            known: Format::NEWEST as u8,
        })?;
        Ok(reading)
    }

    /// The rows of the next block; `None` at the end.
    fn block(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(block) = self.stored()? else {
            return Ok(None);
        };
        let rows = match self.format {
            Format::Plain => Some(Bytes::from(block)),
            Format::Packed => {
                let rows = self.unpacker.unpack(&block);
                self.buffer = block;
                rows
            }
        };
        let rows = rows.filter(|rows| !rows.is_empty());
        let rows = rows.ok_or_else(|| self.damage())?;
        self.rows += rows.len() as u64;
        Ok(Some(rows))
    }

    /// The next block as it is stored; `None` at the end.
    fn stored(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut head = [0; BLOCK_HEAD];
        self.fetch(&mut head)?;
        let (octets, crc) = block::read_head(head);
        if octets == 0 {
            return self.end(crc).map(|()| None);
        }
        // No more memory is taken than there are octets.
        if octets > BLOCK_MAX || octets as u64 > self.octets.saturating_sub(self.at) {
            return Err(self.damage());
        }
        let mut block = std::mem::take(&mut self.buffer);
        block.resize(octets, 0);
        self.fetch(&mut block)?;
        if crc32c::crc32c(&block) != crc {
            return Err(self.damage());
        }
        Ok(Some(block))
    }

    fn end(&mut self, crc: u32) -> Result<(), StoreError> {
        let mut end = [0; END_PACKED];
        let said = match self.format {
            Format::Plain => &mut end[..END_PLAIN],
            Format::Packed => &mut end[..],
        };
        self.fetch(said)?;
        let is_last = self.format == Format::Plain || self.at == self.octets;
        if crc32c::crc32c(said) != crc || !is_last {
            return Err(self.damage());
        }
        self.said = (u64_at(&end, 0), u64_at(&end, 8));
        Ok(())
    }

    /// Whether what was read is all that the end says.
    fn is_all(&self) -> bool {
        let (count, rows) = self.said;
        self.count == count && (self.format == Format::Plain || self.rows == rows)
    }

    fn fetch(&mut self, into: &mut [u8]) -> Result<(), StoreError> {
        let read = self
            .file
            .read_at(into, self.at)
            .map_err(|error| disk_error("read a checkpoint", &error))?;
        if read < into.len() {
            return Err(self.damage());
        }
        self.at += read as u64;
        Ok(())
    }

    fn damage(&self) -> StoreError {
        StoreError::Damage {
            what: format!("the checkpoint {}", self.lsn),
        }
    }
}

/// The number of a checkpoint's format; `None` for a head that is none.
pub(super) fn format_of(head: &[u8; HEAD]) -> Option<u8> {
    let crc = crc32c::crc32c(&head[..24]).to_le_bytes();
    (head[..8] == MAGIC[..] && head[24..28] == crc).then_some(head[8])
}

/// Takes the first row off a block; `None` when it is not whole.
fn take_row(rows: &mut Bytes) -> Option<(Class, Bytes, Bytes)> {
    let [class, a, b, c, d, e, f] = *rows.first_chunk::<ROW_HEAD>()?;
    let key = usize::from(u16::from_le_bytes([a, b]));
    let value = usize::try_from(u32::from_le_bytes([c, d, e, f])).ok()?;
    rows.advance(ROW_HEAD);
    if rows.len() < key.checked_add(value)? {
        return None;
    }
    Some((Class::of(class)?, rows.split_to(key), rows.split_to(value)))
}

fn u64_at(octets: &[u8], at: usize) -> u64 {
    let octets = octets.get(at..).and_then(<[u8]>::first_chunk);
    octets.copied().map_or(0, u64::from_le_bytes)
}

/// Octets of a row in a block.
pub(crate) fn row_octets(key: &[u8], value: &[u8]) -> u64 {
    (ROW_HEAD + key.len() + value.len()) as u64
}

/// What stands before a row's key.
const ROW_HEAD: usize = 7;

/// What follows the last head.
const END_PLAIN: usize = 8;
const END_PACKED: usize = 16;

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::{
        directory::checkpoint::Writing,
        disk::{SimulatedDisk, read_all},
    };

    const LSN: u64 = 0x0102_0304;

    fn written(format: Format) -> (SimulatedDisk, Vec<u8>) {
        let disk = SimulatedDisk::new(1);
        let mut writing = Writing::begin(&disk, LSN, format).unwrap();
        writing.row(Class::House, b"k", b"one").unwrap();
        writing.row(Class::Mail, b"a2", b"").unwrap();
        writing.finish().unwrap();
        let octets = read_all(&disk, &name(LSN)).unwrap().unwrap();
        (disk, octets)
    }

    /// A checkpoint of several blocks, with a row that is longer than one.
    fn large() -> (SimulatedDisk, Size) {
        let disk = SimulatedDisk::new(2);
        let mut writing = Writing::begin(&disk, LSN, Format::Packed).unwrap();
        for number in 0..20_000_u32 {
            let row = [&number.to_be_bytes()[..], &[0; 50]].concat();
            writing.row(Class::Mail, &row[..8], &row).unwrap();
        }
        writing.row(Class::Queue, b"S", &[7; 1 << 20]).unwrap();
        writing.row(Class::Queue, b"T", b"").unwrap();
        (disk.clone(), writing.finish().unwrap().0)
    }

    fn replace(disk: &SimulatedDisk, octets: &[u8]) {
        let file = disk.create(&name(LSN), 0).unwrap();
        file.write_at(&mut [IoSlice::new(octets)], 0).unwrap();
    }

    fn is_read(disk: &SimulatedDisk) -> Result<usize, StoreError> {
        let mut count = 0;
        let all = read(disk, LSN, &mut |_, _, _| {
            count += 1;
            Ok(())
        });
        all.map(|()| count)
    }

    #[track_caller]
    fn assert_read(disk: &SimulatedDisk) {
        let mut rows = Vec::new();
        let all = read(disk, LSN, &mut |class, key, value| {
            rows.push((class, key, value));
            Ok(())
        });
        all.unwrap();
        let row = |class, key: &'static [u8], value: &'static [u8]| {
            (class, Bytes::from_static(key), Bytes::from_static(value))
        };
        let expected = [
            row(Class::House, b"k", b"one"),
            row(Class::Mail, b"a2", b""),
        ];
        assert_eq!(rows, expected);
    }

    const ROWS: &[u8; 20] = b"\x01\x01\0\x03\0\0\0kone\x04\x02\0\0\0\0\0a2";

    #[test]
    fn a_checkpoint_of_the_first_format_has_these_octets_for_ever() {
        let (disk, octets) = written(Format::Plain);
        let head = b"HERONCKP\x01\0\0\0\0\0\0\0\x04\x03\x02\x01\0\0\0\0";
        assert_eq!(octets[..24], head[..], "{octets:02x?}");
        assert_eq!(octets[28..36], [0, 0, 0, 0, 20, 0, 0, 0], "{octets:02x?}");
        assert_eq!(octets[40..60], ROWS[..], "{octets:02x?}");
        assert_eq!(octets[60..64], [0; 4], "{octets:02x?}");
        assert_eq!(octets[68..], 2_u64.to_le_bytes(), "{octets:02x?}");
        assert_read(&disk);
        let file = octets.len() as u64;
        assert_eq!(size(&disk, LSN).unwrap(), Size { rows: file, file });
    }

    #[test]
    fn a_checkpoint_has_these_octets_for_ever() {
        let (disk, octets) = written(Format::Packed);
        let head = b"HERONCKP\x02\0\0\0\0\0\0\0\x04\x03\x02\x01\0\0\0\0";
        assert_eq!(octets[..24], head[..], "{octets:02x?}");
        assert_eq!(octets[28..36], [0, 0, 0, 0, 24, 0, 0, 0], "{octets:02x?}");
        let crc = crc32c::crc32c(&octets[40..64]).to_le_bytes();
        assert_eq!(octets[36..40], crc, "{octets:02x?}");
        assert_eq!(octets[40..44], [20, 0, 0, 0], "{octets:02x?}");
        assert_eq!(octets[44..64], ROWS[..], "too few to be packed");
        assert_eq!(octets[64..68], [0; 4], "{octets:02x?}");
        let crc = crc32c::crc32c(&octets[72..]).to_le_bytes();
        assert_eq!(octets[68..72], crc, "{octets:02x?}");
        assert_eq!(octets[72..80], 2_u64.to_le_bytes(), "{octets:02x?}");
        assert_eq!(octets[80..], 20_u64.to_le_bytes(), "{octets:02x?}");
        assert_read(&disk);
    }

    #[test]
    fn rows_that_were_packed_once_are_read_for_ever() {
        let rows = [&b"\x04\x01\0\x2C\x01\0\0k"[..], &[b'x'; 300]].concat();
        let frame = [
            0x28, 0xB5, 0x2F, 0xFD, 0x60, 0x34, 0, 0x85, 0, 0, 0x48, 4, 1, 0, 0x2C, 1, 0, 0, 0x6B,
            0x78, 1, 0, 0x28, 0x2A, 0x38, 2,
        ];
        let block = [&[0x34, 1, 0, 0][..], &frame].concat();
        let end = [1, 0, 0, 0, 0, 0, 0, 0, 0x34, 1, 0, 0, 0, 0, 0, 0];
        let (disk, octets) = written(Format::Packed);
        let parts = [
            &octets[..32],
            &block::head(30, 0x7A38_8568),
            &block,
            &block::head(0, 0x7014_559C),
            &end,
        ];
        replace(&disk, &parts.concat());
        assert_eq!(
            size(&disk, LSN).unwrap(),
            Size {
                rows: 308,
                file: 94
            }
        );
        let mut found = 0;
        let all = read(&disk, LSN, &mut |class, key, value| {
            assert_eq!(
                (class, &key[..], &value[..]),
                (Class::Mail, &b"k"[..], &rows[8..])
            );
            found += 1;
            Ok(())
        });
        all.unwrap();
        assert_eq!(found, 1);
    }

    #[test]
    fn a_newer_checkpoint_is_told_from_a_damaged_one() {
        let (disk, mut octets) = written(Format::Packed);
        octets[8] = 3;
        replace(&disk, &octets);
        assert!(matches!(is_read(&disk), Err(StoreError::Damage { .. })));
        let crc = crc32c::crc32c(&octets[..24]);
        octets[24..28].copy_from_slice(&crc.to_le_bytes());
        replace(&disk, &octets);
        assert!(matches!(
            is_read(&disk),
            Err(StoreError::Newer {
                found: 3,
                known: 2,
                ..
            })
        ));
    }

    #[test]
    fn how_many_octets_the_rows_are_is_known_without_reading_them() {
        let (disk, written) = large();
        let rows = 20_000 * (7 + 8 + 54) + (8 + (1 << 20)) + 8;
        assert_eq!(written.rows, rows);
        assert!(written.file < rows / 8, "they are packed: {written:?}");
        assert_eq!(size(&disk, LSN).unwrap(), written);
        assert_eq!(is_read(&disk).unwrap(), 20_002);
        let octets = read_all(&disk, &name(LSN)).unwrap().unwrap();
        assert_eq!(octets.len() as u64, written.file);
        // All of the rows are not in the way of one that is damaged: the next one comes early.
        for damaged in [&octets[..octets.len() - 1], &octets[..50], b"", &[0; 7]] {
            replace(&disk, damaged);
            let file = damaged.len() as u64;
            assert_eq!(size(&disk, LSN).unwrap(), Size { rows: file, file });
        }
    }

    #[test]
    fn whatever_is_damaged_is_found() {
        let (disk, _) = large();
        let octets = read_all(&disk, &name(LSN)).unwrap().unwrap();
        let is_damaged = |octets: &[u8]| {
            replace(&disk, octets);
            matches!(is_read(&disk), Err(StoreError::Damage { .. }))
        };
        assert!(!is_damaged(&octets));
        for at in (0..octets.len()).filter(|at| at % 997 == 0 || *at < 44) {
            if (28..32).contains(&at) {
                continue; // nothing is said there
            }
            let mut rotten = octets.clone();
            rotten[at] ^= 0x10;
            assert!(is_damaged(&rotten), "octet {at}");
        }
        for end in (0..octets.len()).step_by(499) {
            assert!(is_damaged(&octets[..end]), "cut at {end}");
        }
        assert!(is_damaged(&[&octets[..], b"\0"].concat()), "more behind it");
        // A block that is not there, or there twice.
        let length = u32::from_le_bytes(*octets[32..].first_chunk().unwrap()) as usize;
        let (first, rest) = octets[32..].split_at(8 + length);
        assert!(is_damaged(&[&octets[..32], rest].concat()));
        assert!(is_damaged(&[&octets[..32], first, first, rest].concat()));
    }

    #[test]
    fn a_checkpoint_is_verified_a_piece_at_a_time() {
        let (disk, _) = large();
        let octets = read_all(&disk, &name(LSN)).unwrap().unwrap();
        let pieces = || {
            let (mut at, mut ended, mut pieces) = (0, false, 0);
            while !ended {
                let from = at;
                (at, ended) = verify(&disk, LSN, from, 100)?;
                assert!(at > from);
                pieces += 1;
            }
            Ok::<_, StoreError>((at, pieces))
        };
        // Each block is more than a hundred octets, but the last: it goes with the end.
        assert_eq!(pieces().unwrap(), (octets.len() as u64, 7));
        for at in [8, 40, 5000, octets.len() - 1] {
            let mut rotten = octets.clone();
            rotten[at] ^= 1;
            replace(&disk, &rotten);
            let found = pieces();
            assert!(
                matches!(found, Err(StoreError::Damage { .. })),
                "octet {at}"
            );
        }
    }

    #[test]
    fn a_block_with_a_sound_checksum_may_say_what_it_likes() {
        let (disk, octets) = written(Format::Packed);
        let with = |block: &[u8]| {
            let head = block::head(block.len(), crc32c::crc32c(block));
            replace(
                &disk,
                &[&octets[..32], &head, block, &octets[64..]].concat(),
            );
            is_read(&disk)
        };
        assert_eq!(with(&octets[40..64]).unwrap(), 2);
        let row = |key: u16, value: u32, rest: &[u8]| {
            let rows = [b"\x04", &key.to_le_bytes()[..], &value.to_le_bytes(), rest].concat();
            let octets = u32::try_from(rows.len()).unwrap().to_le_bytes();
            [&octets[..], &rows].concat()
        };
        for block in [
            &b"\0"[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x01",
            b"\xFF\xFF\xFF\xFF\x01",
            &row(9, 0, b"short"),
            &row(5, 1, b"short"),
            &row(u16::MAX, u32::MAX, b"short"),
            &row(5, 0, b"more behind it"),
        ] {
            let read = with(block);
            assert!(matches!(read, Err(StoreError::Damage { .. })), "{block:?}");
        }
        let long = block::head(BLOCK_MAX + 1, 0);
        replace(&disk, &[&octets[..32], &long].concat());
        assert!(matches!(is_read(&disk), Err(StoreError::Damage { .. })));
    }
}
