//! The format of frames: how octets lie in a segment. Little-endian.
//!
//! ```text
//! frame   0 "HERN" | 4 format | 5 kind | 6 flags (2) | 8 LSN | 16 LSN synced before
//!        24 bodies' length (4) | 28 operations' length (4) | 32 CRC32C of the operations
//!        36 chance of the segment (8) | 44 CRC32C of 0..44 | 48 bodies | operations | padding to 8
//! body    0 kind | 1 codec | 2 zero (2) | 4 CRC32C of the data | 8 octets of the body (8)
//!        16 length of the data (4) | 20 CRC32C of 0..20 and the digest | 24 BLAKE3 (32)
//!        56 data | padding to 8
//! ```
//!
//! In format 2 the operations are dense (`batch/dense.rs`); in 1 they stand as they are. A frame has
//! one or the other, whichever is shorter, and none is of format 2 in a folder whose format does not know it.
//!
//! The data is what is stored, which is the body itself or, with a codec, something shorter that it
//! is made from. Each body has checksums of its own: a bit that rots in one costs that body and nothing else.

use crate::codec::Codec;

/// Octets of a frame's head.
pub(crate) const FRAME_HEAD: usize = 48;
/// Octets of a body's head.
pub(crate) const SECTION_HEAD: usize = 56;
/// The newest format.
pub(crate) const FORMAT: u8 = 2;
/// The format of frames whose operations are dense.
const DENSE: u8 = 2;

const MAGIC: &[u8; 4] = b"HERN";

/// What a frame is. Append-only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// Bodies and operations, there whole or not at all.
    Batch = 1,
    /// A chunk of a body that is not accepted yet: a body without operations.
    Chunk = 2,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FrameHead {
    pub(crate) kind: FrameKind,
    pub(crate) lsn: u64,
    /// All up to here was durable when the frame was written: an acknowledgement that outlives
    /// a power cut.
    pub(crate) synced: u64,
    pub(crate) bodies: u32,
    pub(crate) ops: u32,
    pub(crate) ops_crc: u32,
    /// Whether they are dense.
    pub(crate) dense: bool,
    /// The number by chance of its segment: octets of a body that look like a frame do not have
    /// it, because no sender knows it.
    pub(crate) chance: u64,
}

/// Why octets are not a frame's head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoFrame {
    /// They are something else, or damaged.
    Damaged,
    /// A newer Heronry wrote them.
    Newer(u8),
}

impl FrameHead {
    pub(crate) fn write(&self) -> [u8; FRAME_HEAD] {
        let mut out = [0; FRAME_HEAD];
        out[..4].copy_from_slice(MAGIC);
        out[4] = if self.dense { DENSE } else { 1 };
        out[5] = self.kind as u8;
        out[8..16].copy_from_slice(&self.lsn.to_le_bytes());
        out[16..24].copy_from_slice(&self.synced.to_le_bytes());
        out[24..28].copy_from_slice(&self.bodies.to_le_bytes());
        out[28..32].copy_from_slice(&self.ops.to_le_bytes());
        out[32..36].copy_from_slice(&self.ops_crc.to_le_bytes());
        out[36..44].copy_from_slice(&self.chance.to_le_bytes());
        let crc = crc32c::crc32c(&out[..44]);
        out[44..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn read(octets: &[u8]) -> Result<Self, NoFrame> {
        let head: &[u8; FRAME_HEAD] = octets.first_chunk().ok_or(NoFrame::Damaged)?;
        if &head[..4] != MAGIC || crc32c::crc32c(&head[..44]) != u32_at(head, 44) {
            return Err(NoFrame::Damaged);
        }
        if head[4] > FORMAT {
            return Err(NoFrame::Newer(head[4]));
        }
        Ok(Self {
            kind: match head[5] {
                1 => FrameKind::Batch,
                2 => FrameKind::Chunk,
                _ => return Err(NoFrame::Damaged),
            },
            lsn: u64_at(head, 8),
            synced: u64_at(head, 16),
            bodies: u32_at(head, 24),
            ops: u32_at(head, 28),
            ops_crc: u32_at(head, 32),
            dense: head[4] == DENSE,
            chance: u64_at(head, 36),
        })
    }

    /// How many octets the whole frame takes.
    pub(crate) fn octets(&self) -> u64 {
        padded(FRAME_HEAD as u64 + u64::from(self.bodies) + u64::from(self.ops))
    }

    /// Where its operations begin, counted from its head.
    pub(crate) fn ops_from(&self) -> u64 {
        FRAME_HEAD as u64 + u64::from(self.bodies)
    }
}

/// What the data of a body is. Append-only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum SectionKind {
    /// The body itself.
    Whole = 1,
    /// The places of its chunks.
    Chunks = 2,
    /// A chunk.
    Chunk = 3,
    /// The places of its chunks, some of them with a codec.
    Packed = 4,
}

/// The head of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Section {
    pub(crate) kind: SectionKind,
    /// What was done to the data.
    pub(crate) codec: Codec,
    pub(crate) crc: u32,
    /// Octets of the body as received.
    pub(crate) octets: u64,
    /// Octets of the data.
    pub(crate) data: u32,
    pub(crate) digest: [u8; 32],
}

impl Section {
    pub(crate) fn write(&self) -> [u8; SECTION_HEAD] {
        let mut out = [0; SECTION_HEAD];
        out[0] = self.kind as u8;
        out[1] = self.codec as u8;
        out[4..8].copy_from_slice(&self.crc.to_le_bytes());
        out[8..16].copy_from_slice(&self.octets.to_le_bytes());
        out[16..20].copy_from_slice(&self.data.to_le_bytes());
        out[24..].copy_from_slice(&self.digest);
        let crc = Self::crc(&out);
        out[20..24].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn read(octets: &[u8]) -> Option<Self> {
        let head: &[u8; SECTION_HEAD] = octets.first_chunk()?;
        if Self::crc(head) != u32_at(head, 20) {
            return None;
        }
        Some(Self {
            kind: match head[0] {
                1 => SectionKind::Whole,
                2 => SectionKind::Chunks,
                3 => SectionKind::Chunk,
                4 => SectionKind::Packed,
                _ => return None,
            },
            // One that we do not know cannot be read: it counts as damage of this body.
            codec: Codec::of(head[1])?,
            crc: u32_at(head, 4),
            octets: u64_at(head, 8),
            data: u32_at(head, 16),
            digest: *head.last_chunk()?,
        })
    }

    /// How many octets head, data and padding take.
    pub(crate) fn whole(data: usize) -> u64 {
        padded((SECTION_HEAD + data) as u64)
    }

    fn crc(head: &[u8; SECTION_HEAD]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&head[..20]), &head[24..])
    }
}

/// A place in the journal as one number; it is the number of the body that begins there.
pub(crate) const fn place(segment: u32, offset: u64) -> u64 {
    (segment as u64) << 32 | offset
}

/// The segment of a place.
pub(crate) const fn segment_of(place: u64) -> u32 {
    (place >> 32) as u32
}

/// The offset of a place in its segment.
pub(crate) const fn offset_of(place: u64) -> u64 {
    place & 0xFFFF_FFFF
}

/// Everything begins at a multiple of eight, so that a lost frame's successor is found fast.
pub(crate) const fn padded(octets: u64) -> u64 {
    octets.next_multiple_of(8)
}

pub(super) fn u32_at(octets: &[u8], at: usize) -> u32 {
    let octets = octets.get(at..).and_then(<[u8]>::first_chunk);
    u32::from_le_bytes(*octets.expect("the caller asks within a fixed head"))
}

pub(super) fn u64_at(octets: &[u8], at: usize) -> u64 {
    let octets = octets.get(at..).and_then(<[u8]>::first_chunk);
    u64::from_le_bytes(*octets.expect("the caller asks within a fixed head"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: FrameHead = FrameHead {
        kind: FrameKind::Batch,
        lsn: 0x0102_0304_0506_0708,
        synced: 5,
        bodies: 64,
        ops: 9,
        ops_crc: 0xAABB_CCDD,
        dense: false,
        chance: 0,
    };

    #[test]
    fn a_frames_head_has_these_octets_for_ever() {
        let octets = HEAD.write();
        assert_eq!(
            blake3::hash(&octets).to_hex()[..16],
            *"f34be51782b019a5",
            "{octets:02x?}"
        );
        assert_eq!(
            &octets[..16],
            b"HERN\x01\x01\0\0\x08\x07\x06\x05\x04\x03\x02\x01"
        );
        assert_eq!(FrameHead::read(&octets), Ok(HEAD));
        assert_eq!(HEAD.octets(), 128);
        let chance = 0x1122_3344_5566_7788;
        let head = FrameHead { chance, ..HEAD };
        let octets = head.write();
        assert_eq!(octets[36..44], chance.to_le_bytes());
        assert_eq!(FrameHead::read(&octets), Ok(head));
        let dense = FrameHead {
            dense: true,
            ..HEAD
        };
        let octets = dense.write();
        assert_eq!(octets[..6], *b"HERN\x02\x01");
        assert_eq!(octets[6..44], HEAD.write()[6..44]);
        assert_eq!(FrameHead::read(&octets), Ok(dense));
    }

    #[test]
    fn a_bodys_head_has_these_octets_for_ever() {
        let section = Section {
            kind: SectionKind::Chunks,
            codec: Codec::Plain,
            crc: 1,
            octets: 2,
            data: 3,
            digest: [4; 32],
        };
        let octets = section.write();
        assert_eq!(
            octets[..24],
            [
                2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 197, 186, 162, 211
            ],
            "{octets:02x?}"
        );
        assert_eq!(Section::read(&octets), Some(section));
    }

    #[test]
    fn a_codec_is_said_in_the_head_and_one_that_is_not_known_is_damage() {
        let section = Section {
            kind: SectionKind::Whole,
            codec: Codec::Zstd,
            crc: 1,
            octets: 2,
            data: 3,
            digest: [4; 32],
        };
        let mut octets = section.write();
        assert_eq!(octets[..2], [1, 1]);
        assert_eq!(Section::read(&octets), Some(section));
        octets[1] = 2;
        let crc = Section::crc(&octets);
        octets[20..24].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Section::read(&octets), None);
    }

    #[test]
    fn no_bit_of_a_head_can_turn_over_unseen() {
        let octets = HEAD.write();
        for bit in 0..octets.len() * 8 {
            let mut rotten = octets;
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHead::read(&rotten), Err(NoFrame::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut octets = HEAD.write();
        octets[4] = FORMAT + 1;
        let crc = crc32c::crc32c(&octets[..44]);
        octets[44..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(FrameHead::read(&octets), Err(NoFrame::Newer(FORMAT + 1)));
    }
}
