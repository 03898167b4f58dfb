//! Checksums of a segment set right: a fuzzer cannot guess them, and what it does to octets behind them would
//! not be seen.

use super::{
    frame::{FRAME_HEAD, SECTION_HEAD, u32_at},
    segment::{FRAMES_FROM, SegmentHead},
};

/// Sets the checksums right of all that looks like a segment's head, a frame, its operations, and a body; and of
/// frames the number by chance. What they say beside that stays as it is.
pub fn mend(octets: &mut [u8]) {
    let chance = SegmentHead::mend(octets);
    let mut at = usize::try_from(FRAMES_FROM).unwrap_or(0);
    while let Some(rest) = octets.get_mut(at..).filter(|rest| rest.len() >= FRAME_HEAD) {
        at += if rest.starts_with(b"HERN") {
            frame(rest, chance)
        } else {
            8
        };
    }
}

/// Yields how many octets it has, or those of its head if it says more than there are.
fn frame(octets: &mut [u8], chance: Option<[u8; 8]>) -> usize {
    let bodies = u32_at(octets, 24) as usize;
    let ops = u32_at(octets, 28) as usize;
    let ops_from = FRAME_HEAD.saturating_add(bodies);
    let end = ops_from.saturating_add(ops);
    let is_there = end <= octets.len();
    if is_there {
        sections(&mut octets[FRAME_HEAD..ops_from]);
        let crc = crc32c::crc32c(&octets[ops_from..end]).to_le_bytes();
        octets[32..36].copy_from_slice(&crc);
    }
    if let Some(chance) = chance {
        octets[36..44].copy_from_slice(&chance);
    }
    let crc = crc32c::crc32c(&octets[..44]).to_le_bytes();
    octets[44..48].copy_from_slice(&crc);
    if is_there {
        end.next_multiple_of(8)
    } else {
        FRAME_HEAD
    }
}

fn sections(mut octets: &mut [u8]) {
    while octets.len() >= SECTION_HEAD {
        let end = SECTION_HEAD.saturating_add(u32_at(octets, 16) as usize);
        if let Some(data) = octets.get(SECTION_HEAD..end) {
            let crc = crc32c::crc32c(data).to_le_bytes();
            octets[4..8].copy_from_slice(&crc);
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&octets[..20]), &octets[24..SECTION_HEAD]);
        octets[20..24].copy_from_slice(&crc.to_le_bytes());
        let next = end.next_multiple_of(8).min(octets.len());
        octets = &mut octets[next..];
    }
}
