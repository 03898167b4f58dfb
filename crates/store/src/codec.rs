//! How bodies are compressed at rest, and when.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// When bodies are compressed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// As they are received: it costs the sender's time, and less is written.
    Always,
    /// When compaction moves them: nobody waits for it.
    #[default]
    Cold,
    /// Not at all.
    Never,
}

/// What the stored octets of a body are. The numbers stand in the journal: append-only.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Codec {
    /// The body's own.
    #[default]
    Plain = 0,
    /// A frame of Zstandard (RFC 8878).
    Zstd = 1,
}

impl Codec {
    pub(crate) const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Plain),
            1 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The body's octets, of which there are so many; `None` when the data is not made from them.
    pub(crate) fn unpack(self, data: Bytes, octets: usize) -> Option<Bytes> {
        let unpacked = match self {
            Self::Plain => data,
            // What is stored says how much memory it takes: no more than parts ever have.
            Self::Zstd if octets > PART_OCTETS_MAX => return None,
            Self::Zstd => zstd::bulk::decompress(&data, octets).ok()?.into(),
        };
        (unpacked.len() == octets).then_some(unpacked)
    }
}

/// Compresses a part of a body; `None` when that saves too little to be worth its undoing.
pub(crate) fn pack(pieces: &[Bytes], octets: usize) -> Option<Bytes> {
    if octets < PACK_OCTETS_MIN {
        return None;
    }
    let packed = match pieces {
        [piece] => zstd::bulk::compress(piece, LEVEL),
        _ => {
            let mut whole = BytesMut::with_capacity(octets);
            for piece in pieces {
                whole.extend_from_slice(piece);
            }
            zstd::bulk::compress(&whole, LEVEL)
        }
    };
    // It fails only for want of memory; then the part stays as it is.
    let packed = packed.ok()?;
    (packed.len() <= octets - octets / SAVED_SHARE_MIN).then(|| packed.into())
}

/// Measured on the corpora (docs/measurements.md): higher levels save little more of a message.
const LEVEL: i32 = 3;

/// Below that the head of the body is most of it.
const PACK_OCTETS_MIN: usize = 256;

/// One in so many octets must be saved.
const SAVED_SHARE_MIN: usize = 10;

/// Parts are spilled from 256 KiB on, by writes of at most as much.
const PART_OCTETS_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let text = Bytes::from("Received: from a by b\r\n".repeat(100));
        let pieces = [text.slice(..700), text.slice(700..)];
        let packed = pack(&pieces, text.len()).unwrap();
        assert!(packed.len() < text.len() / 10);
        assert_eq!(
            Codec::Zstd.unpack(packed.clone(), text.len()),
            Some(text.clone())
        );
        assert_eq!(Codec::Zstd.unpack(packed.clone(), text.len() - 1), None);
        assert_eq!(Codec::Zstd.unpack(packed, text.len() + 1), None);
        assert_eq!(Codec::Plain.unpack(text.clone(), text.len()), Some(text));
    }

    #[test]
    fn what_saves_nothing_is_left_as_it_is() {
        let mut hash = blake3::Hasher::new().finalize_xof();
        let mut noise = vec![0; 4096];
        hash.fill(&mut noise);
        assert_eq!(pack(&[noise.into()], 4096), None);
        assert_eq!(pack(&[Bytes::from_static(&[b'x'; 100])], 100), None);
    }

    #[test]
    fn what_was_packed_once_is_read_for_ever() {
        let golden = [
            0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x4d, 0x00, 0x00, 0x10, 0x78, 0x78, 0x01, 0x00,
            0x27, 0x2a, 0xc0, 0x02,
        ];
        let data = Bytes::copy_from_slice(&golden);
        assert_eq!(
            Codec::Zstd.unpack(data, 300),
            Some(Bytes::from_static(&[b'x'; 300]))
        );
    }

    #[test]
    fn what_says_that_it_is_huge_takes_no_memory() {
        let bomb = zstd::bulk::compress(&vec![0; 4 << 20], 3).unwrap();
        assert_eq!(Codec::Zstd.unpack(bomb.clone().into(), 4 << 20), None);
        assert_eq!(Codec::Zstd.unpack(bomb.into(), 1000), None);
    }
}
