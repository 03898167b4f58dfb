//! A checkpoint of any octets, read as a start and a scrubber read one: for the fuzz target and its corpus.

use super::{
    BLOCK_OCTETS, Format, HEAD, MAGIC, block,
    reading::{format_of, measure, read_file, row_octets, verify_file},
};
use crate::{StoreError, disk::Octets, record};

/// What was found in a checkpoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ProbedCheckpoint {
    /// Rows in blocks that are sound.
    pub rows: u64,
    /// Whether all of it is.
    pub whole: bool,
}

/// Reads a checkpoint of these octets. Nothing in them may make it panic, go on for ever, or take more
/// memory than a block may have.
///
/// # Panics
/// When what is found contradicts itself: that is what a fuzz run looks for.
#[must_use]
pub fn probe_checkpoint(octets: &[u8]) -> ProbedCheckpoint {
    let file = Octets(octets.to_vec());
    let (mut probed, mut found) = (ProbedCheckpoint::default(), 0);
    let read = read_file(&file, 1, &mut |_, key, value| {
        probed.rows += 1;
        found += row_octets(&key, &value);
        record::probe(&value);
        Ok(())
    });
    probed.whole = read.is_ok();
    assert!(is_expected(&read), "{read:?}");
    let size = measure(&file).expect("memory can be read");
    assert_eq!(size.file, octets.len() as u64);
    let is_packed = octets.first_chunk().and_then(format_of) == Some(Format::Packed as u8);
    if probed.whole && is_packed {
        assert_eq!(size.rows, found, "it says how many octets its rows are");
    }
    let (mut at, mut ended) = (0, false);
    while !ended {
        let before = at;
        match verify_file(&file, 1, before, BLOCK_OCTETS as u64) {
            Ok(so_far) => (at, ended) = so_far,
            error => {
                assert!(is_expected(&error), "{error:?}");
                break;
            }
        }
        assert!(at > before && at <= size.file, "it goes on");
    }
    assert!(ended || !probed.whole, "what can be read can be verified");
    probed
}

fn is_expected<T>(read: &Result<T, StoreError>) -> bool {
    use StoreError::{Damage, Newer};
    matches!(read, Ok(_) | Err(Damage { .. } | Newer { .. }))
}

/// Sets the checksums right of all that looks like a checkpoint: a fuzzer cannot guess them. Of a block that is no
/// frame of Zstandard, which it cannot guess either, also how many octets its rows are.
pub fn mend_checkpoint(octets: &mut [u8]) {
    let Some((head, mut rest)) = octets.split_first_chunk_mut::<HEAD>() else {
        return;
    };
    head[..8].copy_from_slice(MAGIC);
    let crc = crc32c::crc32c(&head[..24]).to_le_bytes();
    head[24..28].copy_from_slice(&crc);
    let is_packed = head[8] == Format::Packed as u8;
    while let Some((head, behind)) = rest.split_first_chunk_mut() {
        let (octets, _) = block::read_head(*head);
        let length = if octets == 0 { behind.len() } else { octets };
        let Some((block, others)) = behind.split_at_mut_checked(length) else {
            return;
        };
        if is_packed
            && octets > 0
            && let Some((rows, data)) = block.split_first_chunk_mut::<4>()
            && !data.starts_with(ZSTD)
        {
            *rows = u32::try_from(data.len()).unwrap_or(0).to_le_bytes();
        }
        *head = block::head(octets, crc32c::crc32c(block));
        rest = others;
    }
}

/// What a frame of Zstandard begins with.
const ZSTD: &[u8; 4] = b"\x28\xB5\x2F\xFD";

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn corpus(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        fs::read(folder.join("store_checkpoint").join(name)).unwrap()
    }

    fn mended(octets: &[u8]) -> Vec<u8> {
        let mut octets = octets.to_vec();
        mend_checkpoint(&mut octets);
        octets
    }

    #[test]
    fn every_checkpoint_of_the_corpus_is_what_its_name_says() {
        for (name, rows, whole) in [
            ("as-they-are", 20, true),
            ("counts-that-are-wrong", 60, false),
            ("damaged", 0, false),
            ("empty", 0, true),
            ("format-1", 20, true),
            ("newer", 0, false),
            ("packed", 80, true),
            ("torn", 20, false),
        ] {
            let octets = corpus(name);
            let probed = probe_checkpoint(&octets);
            assert_eq!(probed, ProbedCheckpoint { rows, whole }, "{name}");
            if whole {
                assert!(mended(&octets) == octets, "{name}: nothing is to be mended");
            }
            let _ = probe_checkpoint(&mended(&octets));
        }
    }

    #[test]
    fn checksums_are_set_right_and_nothing_else() {
        for (name, at) in [
            ("packed", [24, 36, 0]),
            ("as-they-are", [27, 37, 40]),
            ("format-1", [26, 39, 0]),
        ] {
            let sound = corpus(name);
            let mut rotten = sound.clone();
            for at in at {
                rotten[at] ^= 1;
            }
            assert_eq!(probe_checkpoint(&rotten).rows, 0);
            assert!(mended(&rotten) == sound, "{name}");
        }
    }

    #[test]
    fn no_octet_behind_a_checksum_that_is_sound_does_any_harm() {
        for name in ["packed", "as-they-are", "format-1"] {
            let whole = corpus(name);
            for at in 0..whole.len() {
                for by in [1, 0x80, 1 << (at % 8)] {
                    let mut octets = whole.clone();
                    octets[at] = octets[at].wrapping_add(by);
                    let _ = probe_checkpoint(&mended(&octets));
                }
                let _ = probe_checkpoint(&mended(&whole[..at]));
            }
        }
    }
}
