//! Segments: their names, their heads, and the chain that they form.

use std::io::{self, IoSlice};

use super::frame::{u32_at, u64_at};
use crate::disk::{Disk, File};

/// Where the frames of a segment begin: its head has a block of its own, which no later write
/// can tear.
pub(crate) const FRAMES_FROM: u64 = 4096;

/// The folder of the segments.
pub(crate) const FOLDER: &str = "journal";

const MAGIC: &[u8; 8] = b"HERONSEG";
const HEAD: usize = 64;
/// In format 1 it ended here, and there was no chance in it.
const HEAD_1: usize = 56;
/// Since 2 there may be bodies with a codec in it, which whoever knows only 1 cannot read, and
/// its frames have a number by chance.
pub(crate) const FORMAT: u8 = 2;
/// From this format on.
pub(super) const WITH_CHANCE: u8 = 2;

/// What a segment says about itself and about the one before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SegmentHead {
    pub(crate) number: u32,
    /// The LSN of its first frame.
    pub(crate) first_lsn: u64,
    /// How often the store had been opened when it was begun.
    pub(crate) epoch: u64,
    /// The segment before it; zero for the first.
    pub(crate) before: u32,
    /// Where that one ends: what stands behind was never acknowledged, whatever it looks like.
    pub(crate) before_end: u64,
    /// A number that is in each of its frames.
    pub(crate) chance: u64,
}

/// Why a file is not a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoSegment {
    Damaged,
    Newer(u8),
}

impl SegmentHead {
    /// Writes it in a format that is at most the newest.
    pub(crate) fn write(&self, file: &dyn File, format: u8) -> io::Result<()> {
        let mut out = [0; HEAD];
        out[..8].copy_from_slice(MAGIC);
        // One whose frames have a number by chance is none without it.
        out[8] = if self.chance == 0 {
            format.min(FORMAT)
        } else {
            FORMAT
        };
        out[12..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.first_lsn.to_le_bytes());
        out[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        out[32..36].copy_from_slice(&self.before.to_le_bytes());
        out[40..48].copy_from_slice(&self.before_end.to_le_bytes());
        let end = if out[8] == 1 { HEAD_1 } else { HEAD };
        if out[8] > 1 {
            out[48..56].copy_from_slice(&self.chance.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out[..end - 4]);
        out[end - 4..end].copy_from_slice(&crc.to_le_bytes());
        file.write_at(&mut [IoSlice::new(&out[..end])], 0)
    }

    pub(crate) fn read(file: &dyn File) -> io::Result<Result<Self, NoSegment>> {
        let mut head = [0; HEAD];
        let length = file.read_at(&mut head, 0)?;
        // A checksum stands at the end of each format's head; a newer one begins as this one.
        let end = if head[8] == 1 { HEAD_1 } else { HEAD };
        if length < end
            || &head[..8] != MAGIC
            || crc32c::crc32c(&head[..end - 4]) != u32_at(&head, end - 4)
        {
            return Ok(Err(NoSegment::Damaged));
        }
        if head[8] > FORMAT {
            return Ok(Err(NoSegment::Newer(head[8])));
        }
        Ok(Ok(Self {
            number: u32_at(&head, 12),
            first_lsn: u64_at(&head, 16),
            epoch: u64_at(&head, 24),
            before: u32_at(&head, 32),
            before_end: u64_at(&head, 40),
            chance: if head[8] == 1 { 0 } else { u64_at(&head, 48) },
        }))
    }

    /// Sets the checksum right of what looks like a head; yields the number by chance.
    pub(super) fn mend(octets: &mut [u8]) -> Option<[u8; 8]> {
        let head = octets.first_chunk_mut::<HEAD>()?;
        if &head[..8] != MAGIC {
            return None;
        }
        let end = if head[8] == 1 { HEAD_1 } else { HEAD };
        let crc = crc32c::crc32c(&head[..end - 4]).to_le_bytes();
        head[end - 4..end].copy_from_slice(&crc);
        let chance = if head[8] == 1 { 0 } else { u64_at(head, 48) };
        Some(chance.to_le_bytes())
    }
}

/// The file of a segment.
pub(crate) fn name(number: u32) -> String {
    format!("{FOLDER}/{number:010}.seg")
}

/// The numbers of all segments, ascending.
pub(crate) fn list(disk: &dyn Disk) -> io::Result<Vec<u32>> {
    let mut numbers: Vec<u32> = disk
        .list(FOLDER)?
        .iter()
        .filter_map(|name| name.strip_suffix(".seg")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;

    /// Segment 7 after 6, as each version wrote it.
    fn head(format: u8) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8] = format;
        (head[12], head[16], head[24], head[32], head[41]) = (7, 9, 3, 6, 0x20);
        let end = if format == 1 { 56 } else { 64 };
        if format > 1 {
            head[55] = 0x77;
        }
        let crc = crc32c::crc32c(&head[..end - 4]);
        head[end - 4..end].copy_from_slice(&crc.to_le_bytes());
        head
    }

    #[test]
    fn every_format_of_a_segments_head_is_read_and_the_newest_is_written() {
        let disk = SimulatedDisk::new(1);
        let known = SegmentHead {
            number: 7,
            first_lsn: 9,
            epoch: 3,
            before: 6,
            before_end: 0x2000,
            chance: 0x77 << 56,
        };
        let file = disk.create("a", 0).unwrap();
        known.write(&*file, FORMAT).unwrap();
        let mut written = [0; HEAD];
        file.read_at(&mut written, 0).unwrap();
        assert_eq!(written, head(2));
        for format in 1..=3 {
            let octets = head(format);
            file.write_at(&mut [IoSlice::new(&octets)], 0).unwrap();
            let expected = match format {
                1 => Ok(SegmentHead { chance: 0, ..known }),
                3 => Err(NoSegment::Newer(3)),
                _ => Ok(known),
            };
            assert_eq!(SegmentHead::read(&*file).unwrap(), expected);
        }
    }
}
