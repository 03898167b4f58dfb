//! A block of a checkpoint: rows, packed where that makes them shorter.

use std::io;

use bytes::Bytes;
use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe,
};

use super::{BLOCK_OCTETS, BLOCK_SLACK};

/// What stands before a block, or before the end, where the length is zero.
pub(super) const BLOCK_HEAD: usize = 8;

/// Octets of rows, in front of what they are packed into.
const ROWS_HEAD: usize = 4;

/// No block is longer behind its head, packed or not.
pub(super) const BLOCK_MAX: usize = ROWS_HEAD + BLOCK_OCTETS + BLOCK_SLACK;

/// The head of so many octets with that CRC32C.
pub(super) fn head(octets: usize, crc: u32) -> [u8; BLOCK_HEAD] {
    let octets = u32::try_from(octets).expect("a block is bounded");
    let mut head = [0; BLOCK_HEAD];
    head[..4].copy_from_slice(&octets.to_le_bytes());
    head[4..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// Length and CRC32C of what follows a head.
pub(super) fn read_head(head: [u8; BLOCK_HEAD]) -> (usize, u32) {
    let [a, b, c, d, crc @ ..] = head;
    // One that does not fit into memory is refused like any other that is too long.
    let octets = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    (octets, u32::from_le_bytes(crc))
}

/// Packs blocks, one after the other.
pub(super) struct Packer {
    zstd: Compressor<'static>,
    packed: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            zstd: Compressor::new(LEVEL)?,
            packed: Vec::new(),
        })
    }

    /// A block of these rows: what stands before the data, and the data.
    pub(super) fn pack<'a>(
        &'a mut self,
        rows: &'a [u8],
    ) -> ([u8; BLOCK_HEAD + ROWS_HEAD], &'a [u8]) {
        self.packed.clear();
        self.packed.reserve(zstd_safe::compress_bound(rows.len()));
        // It fails only for want of memory; then the rows stay as they are.
        let packed = self.zstd.compress_to_buffer(rows, &mut self.packed);
        let data = match packed {
            Ok(octets) if octets < rows.len() => &*self.packed,
            _ => rows,
        };
        let octets = u32::try_from(rows.len()).expect("a block is bounded");
        let octets = octets.to_le_bytes();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&octets), data);
        let mut whole = [0; BLOCK_HEAD + ROWS_HEAD];
        whole[..BLOCK_HEAD].copy_from_slice(&head(ROWS_HEAD + data.len(), crc));
        whole[BLOCK_HEAD..].copy_from_slice(&octets);
        (whole, data)
    }
}

/// Unpacks blocks, one after the other.
pub(super) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(super) fn new() -> io::Result<Self> {
        Decompressor::new().map(Self)
    }

    /// The rows of what follows a block's head; `None` when it cannot have been made from any.
    pub(super) fn unpack(&mut self, block: &[u8]) -> Option<Bytes> {
        let (octets, data) = block.split_first_chunk::<ROWS_HEAD>()?;
        let octets = usize::try_from(u32::from_le_bytes(*octets)).ok()?;
        // What is stored says how much memory it takes: no more than blocks ever have.
        if octets > BLOCK_OCTETS + BLOCK_SLACK || data.len() > octets {
            return None;
        }
        if data.len() == octets {
            return Some(Bytes::copy_from_slice(data));
        }
        // The decompressor goes on from one frame to the next, and passes over some of them.
        if zstd_safe::find_frame_compressed_size(data) != Ok(data.len()) {
            return None;
        }
        let mut rows = Vec::with_capacity(octets);
        let unpacked = self.0.decompress_to_buffer(data, &mut rows).ok()?;
        (unpacked == octets).then(|| rows.into())
    }
}

/// Measured on the rows of a million messages (docs/measurements.md).
const LEVEL: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as neighbours are: alike.
    fn rows() -> Vec<u8> {
        let each = (0..4000_u32).flat_map(|n| [&b"\x04u"[..], &n.to_be_bytes(), &[0; 40]].concat());
        each.collect()
    }

    fn noise(octets: usize) -> Vec<u8> {
        let mut noise = vec![0; octets];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        noise
    }

    /// What follows the head of a block of these rows.
    fn packed(rows: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new().unwrap();
        let (head, data) = packer.pack(rows);
        [&head[BLOCK_HEAD..], data].concat()
    }

    fn unpack(block: &[u8]) -> Option<Bytes> {
        Unpacker::new().unwrap().unpack(block)
    }

    #[test]
    fn blocks_come_out_as_they_went_in_one_after_the_other() {
        let mut packer = Packer::new().unwrap();
        let mut unpacker = Unpacker::new().unwrap();
        for rows in [rows(), noise(100_000), b"k".to_vec(), rows()[..90].to_vec()] {
            let (head, data) = packer.pack(&rows);
            let (length, crc) = read_head(*head.first_chunk().unwrap());
            let block = [&head[BLOCK_HEAD..], data].concat();
            assert_eq!((length, crc), (block.len(), crc32c::crc32c(&block)));
            assert!(length <= ROWS_HEAD + rows.len(), "it never becomes longer");
            assert_eq!(unpacker.unpack(&block), Some(rows.into()));
        }
        assert!(packed(&rows()).len() < rows().len() / 5);
        assert_eq!(packed(&noise(1000)).len(), 1004, "it stays as it is");
    }

    #[test]
    fn a_block_that_was_packed_once_is_read_for_ever() {
        let golden = [
            0x2C, 0x01, 0, 0, 0x28, 0xB5, 0x2F, 0xFD, 0, 0x58, 0x4D, 0, 0, 0x10, 0x78, 0x78, 1, 0,
            0x27, 0x2A, 0xC0, 2,
        ];
        assert_eq!(unpack(&golden), Some(Bytes::from_static(&[b'x'; 300])));
        let plain = b"\x03\0\0\0row";
        assert_eq!(unpack(plain), Some(Bytes::from_static(b"row")));
        assert_eq!(packed(b"row"), plain);
    }

    #[test]
    fn what_is_not_one_whole_frame_of_so_many_octets_is_no_block() {
        let rows = rows();
        let sound = packed(&rows);
        let with_octets = |octets: usize| {
            let octets = u32::try_from(octets).unwrap().to_le_bytes();
            [&octets, &sound[ROWS_HEAD..]].concat()
        };
        assert_eq!(with_octets(rows.len()), sound);
        for wrong in [0, 1, rows.len() - 1, rows.len() + 1, 2 * rows.len()] {
            assert_eq!(unpack(&with_octets(wrong)), None, "{wrong} octets");
        }
        for end in (0..sound.len()).step_by(7) {
            assert_eq!(unpack(&sound[..end]), None, "cut at {end}");
        }
        let frame = &sound[ROWS_HEAD..];
        let nothing = zstd::bulk::compress(b"", 1).unwrap();
        let passed_over = b"\x50\x2A\x4D\x18\x01\0\0\0!".to_vec();
        for behind in [b"\0".to_vec(), frame.to_vec(), nothing, passed_over] {
            let with_more = [&sound[..], &behind].concat();
            assert_eq!(unpack(&with_more), None, "{behind:02x?} behind it");
            let before = [&sound[..ROWS_HEAD], &behind, frame].concat();
            assert_eq!(unpack(&before), None, "{behind:02x?} before it");
        }
    }

    #[test]
    fn a_block_that_says_that_it_is_huge_takes_no_memory() {
        let largest = BLOCK_OCTETS + BLOCK_SLACK;
        let bomb = zstd::bulk::compress(&vec![0; largest + 1], 1).unwrap();
        for says in [largest + 1, u32::MAX as usize] {
            let octets = u32::try_from(says).unwrap().to_le_bytes();
            assert_eq!(unpack(&[&octets, &bomb[..]].concat()), None, "{says}");
        }
        // One that says less than it is gets no more room than it says.
        let octets = 1000_u32.to_le_bytes();
        assert_eq!(unpack(&[&octets, &bomb[..]].concat()), None);
        let small = zstd::bulk::compress(&vec![0; largest], 1).unwrap();
        let octets = u32::try_from(largest).unwrap().to_le_bytes();
        let block = [&octets, &small[..]].concat();
        assert_eq!(unpack(&block).map(|rows| rows.len()), Some(largest));
    }
}
