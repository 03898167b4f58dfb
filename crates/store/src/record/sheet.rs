//! The record of a sheet: the flags of up to 128 neighbouring messages of a mailbox.
//!
//! Flags change often and are alike, the rest of a message is large and stays. So they stand
//! apart: a change of the flags of ten thousand messages writes some eighty short rows. A sheet is
//! a list of runs; the messages of a run have neighbouring UIDs and the same flags and keywords,
//! and their MODSEQs are the same or rise one by one, as those of new messages do:
//!
//! ```text
//! run: gap, 2 * (length - 1) + rises, flags, keywords, MODSEQ
//! ```
//!
//! `gap`: UIDs between this run and the one before, or the sheet's beginning. The MODSEQ is told as
//! its difference to the last one of the run before (zigzag; the first one to zero). All but the
//! flags, which are one octet, are numbers in groups of seven bits, the lowest first.

use mail::{Flags, ModSeq, Uid};

use super::{HEAD, Kind, damaged, head, open};
use crate::{StoreError, port::MessageFlags};

/// How many UIDs a sheet is for. At its longest it is read and written whole for each change, so
/// it is short; at 128, one of all different messages has about a thousand octets.
pub(crate) const SHEET_UIDS: u32 = 128;

/// The number of the sheet that a UID is on.
pub(crate) const fn sheet_of(uid: Uid) -> u32 {
    uid.get() / SHEET_UIDS
}

/// Writes a sheet; its messages ascend.
pub(crate) fn write_sheet(number: u32, messages: &[MessageFlags]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + 16);
    out.extend_from_slice(&head(Kind::Sheet, 1));
    let mut rest = messages;
    let (mut past, mut modseq) = (number * SHEET_UIDS, 0);
    while let [first, ..] = rest {
        let rises = matches!(rest, [_, second, ..] if follows(first, second, 1));
        let step = u64::from(rises);
        let more = rest.windows(2);
        let length = 1 + more
            .take_while(|pair| follows(&pair[0], &pair[1], step))
            .count();
        let (run, after) = rest.split_at(length);
        number_to(&mut out, u64::from(first.uid.get() - past));
        number_to(&mut out, (length as u64 - 1) << 1 | step);
        out.push(first.flags.0);
        number_to(&mut out, first.keywords);
        let by = first.modseq.0.wrapping_sub(modseq) as i64;
        number_to(&mut out, (by << 1 ^ by >> 63) as u64);
        let last = &run[length - 1];
        past = last.uid.get().wrapping_add(1); // nothing comes behind the highest UID
        modseq = last.modseq.0;
        rest = after;
    }
    out
}

/// Reads a sheet, adding its messages in ascending order.
pub(crate) fn read_sheet(
    number: u32,
    octets: &[u8],
    messages: &mut Vec<MessageFlags>,
) -> Result<(), StoreError> {
    let (_, rest) = open(octets, Kind::Sheet, 1)?;
    let sound = number <= u32::MAX / SHEET_UIDS && runs(number, rest, messages).is_some();
    sound.then_some(()).ok_or_else(|| damaged(Kind::Sheet))
}

fn runs(number: u32, mut rest: &[u8], messages: &mut Vec<MessageFlags>) -> Option<()> {
    let mut at = u64::from(number * SHEET_UIDS);
    let end = at + u64::from(SHEET_UIDS);
    let mut modseq = 0_u64;
    while !rest.is_empty() {
        at = at.checked_add(number_from(&mut rest)?)?;
        let length = number_from(&mut rest)?;
        let (length, step) = ((length >> 1) + 1, length & 1);
        if length > end.checked_sub(at)? {
            return None;
        }
        let (&flags, behind) = rest.split_first()?;
        rest = behind;
        let keywords = number_from(&mut rest)?;
        let by = number_from(&mut rest)?;
        modseq = modseq.wrapping_add(by >> 1 ^ (by & 1).wrapping_neg());
        for n in 0..length {
            modseq = modseq.wrapping_add(if n == 0 { 0 } else { step });
            messages.push(MessageFlags {
                uid: Uid::new(u32::try_from(at + n).ok()?)?,
                modseq: ModSeq(modseq),
                flags: Flags(flags),
                keywords,
            });
        }
        at += length;
    }
    Some(())
}

/// Whether a message goes on with the run of the one before it.
fn follows(before: &MessageFlags, after: &MessageFlags, step: u64) -> bool {
    before.uid.next() == Some(after.uid)
        && (before.flags, before.keywords) == (after.flags, after.keywords)
        && before.modseq.0.wrapping_add(step) == after.modseq.0
}

fn number_to(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number_from(octets: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&octet, rest) = octets.split_first()?;
        *octets = rest;
        number |= u64::from(octet & 0x7F) << shift;
        if octet < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message() -> impl Strategy<Value = (u64, u8, u64, u64)> {
        (
            0..4_u64,
            prop_oneof![Just(0_u8), Just(16), any::<u8>()],
            prop_oneof![Just(0_u64), any::<u64>()],
            prop_oneof![Just(0_u64), Just(1), any::<u64>()],
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_sheet_is_read_as_it_was_written(
            number in prop_oneof![0..4_u32, Just(u32::MAX / SHEET_UIDS)],
            list in proptest::collection::vec(message(), 0..128),
        ) {
            let (mut at, mut modseq) = (u64::from(number * SHEET_UIDS), 5_u64);
            let end = at + u64::from(SHEET_UIDS);
            let mut messages = Vec::new();
            for (gap, flags, keywords, by) in list {
                at += gap.saturating_sub(2);
                modseq = modseq.wrapping_add(by);
                let Some(uid) = u32::try_from(at).ok().filter(|_| at < end).and_then(Uid::new) else {
                    at += 1;
                    continue;
                };
                let (flags, modseq) = (Flags(flags), ModSeq(modseq));
                messages.push(MessageFlags { uid, modseq, flags, keywords });
                at += 1;
            }
            let octets = write_sheet(number, &messages);
            let mut read = Vec::new();
            read_sheet(number, &octets, &mut read).unwrap();
            prop_assert_eq!(read, messages);
        }

        #[test]
        fn octets_that_are_no_sheet_do_no_harm(
            number: u32,
            rest in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut octets = head(Kind::Sheet, 1).to_vec();
            octets.extend_from_slice(&rest);
            let mut read = Vec::new();
            let _ = read_sheet(number, &octets, &mut read);
            prop_assert!(read.len() <= SHEET_UIDS as usize);
        }
    }

    #[test]
    fn messages_that_came_one_by_one_and_messages_changed_at_once_are_one_run() {
        let message = |n: u32, modseq| MessageFlags {
            uid: Uid::new(n).unwrap(),
            modseq: ModSeq(modseq),
            flags: Flags::NONE,
            keywords: 0,
        };
        let came: Vec<_> = (128..256).map(|n| message(n, u64::from(n) + 7)).collect();
        assert!(write_sheet(1, &came).len() <= HEAD + 8);
        let changed: Vec<_> = (128..256).map(|n| message(n, 1 << 40)).collect();
        assert!(write_sheet(1, &changed).len() <= HEAD + 12);
    }
}
