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
        let next = Run {
            gap: u64::from(first.uid.get() - past),
            first: u64::from(first.uid.get()),
            length: length as u64,
            step,
            flags: first.flags.0,
            keywords: first.keywords,
            modseq: first.modseq.0,
            by: first.modseq.0.wrapping_sub(modseq),
        };
        next.write(&mut out);
        let last = &run[length - 1];
        past = last.uid.get().wrapping_add(1); // nothing comes behind the highest UID
        modseq = last.modseq.0;
        rest = after;
    }
    out
}

/// A sheet with one message more, whose UID is above all others: as [`write_sheet`] writes it, but
/// without a look at each of the rest. `octets` is nothing for the first one.
pub(crate) fn longer_sheet(
    number: u32,
    octets: &[u8],
    message: &MessageFlags,
) -> Result<Vec<u8>, StoreError> {
    if octets.is_empty() {
        return Ok(write_sheet(number, std::slice::from_ref(message)));
    }
    let kind = Kind::Sheet;
    let (_, runs) = open(octets, kind, 1)?;
    let sound = sheet_of(message.uid) == number;
    let longer = sound.then(|| lengthened(number, octets, runs, message));
    longer.flatten().ok_or_else(|| damaged(kind))
}

fn lengthened(
    number: u32,
    octets: &[u8],
    mut rest: &[u8],
    message: &MessageFlags,
) -> Option<Vec<u8>> {
    let (mut past, mut modseq) = (u64::from(number * SHEET_UIDS), 0);
    let (mut last, mut begin) = (None, 0);
    while !rest.is_empty() {
        begin = octets.len() - rest.len();
        let run = Run::read(&mut rest, past, modseq)?;
        past = run.first.checked_add(run.length)?;
        modseq = run.last_modseq();
        last = Some(run);
    }
    let uid = u64::from(message.uid.get());
    let mut run = last?;
    let mut out = Vec::with_capacity(octets.len() + 16);
    if let Some(step) = run.step_to(message).filter(|_| uid == past) {
        run.length += 1;
        run.step = step;
        out.extend_from_slice(&octets[..begin]);
        run.write(&mut out);
    } else {
        out.extend_from_slice(octets);
        let next = Run {
            gap: uid.checked_sub(past)?,
            first: uid,
            length: 1,
            step: 0,
            flags: message.flags.0,
            keywords: message.keywords,
            modseq: message.modseq.0,
            by: message.modseq.0.wrapping_sub(modseq),
        };
        next.write(&mut out);
    }
    Some(out)
}

/// Messages with neighbouring UIDs that are alike.
struct Run {
    /// UIDs between the run before and this one.
    gap: u64,
    /// The first UID.
    first: u64,
    length: u64,
    /// By how much the MODSEQ rises from one to the next.
    step: u64,
    flags: u8,
    keywords: u64,
    /// The first MODSEQ, and its difference to the last one of the run before.
    modseq: u64,
    by: u64,
}

impl Run {
    /// Reads the run behind a UID and a MODSEQ.
    fn read(rest: &mut &[u8], past: u64, modseq: u64) -> Option<Self> {
        let gap = number_from(rest)?;
        let length = number_from(rest)?;
        let (&flags, behind) = rest.split_first()?;
        *rest = behind;
        let keywords = number_from(rest)?;
        let by = number_from(rest)?;
        let by = by >> 1 ^ (by & 1).wrapping_neg();
        Some(Self {
            gap,
            first: past.checked_add(gap)?,
            length: (length >> 1) + 1,
            step: length & 1,
            flags,
            keywords,
            modseq: modseq.wrapping_add(by),
            by,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        number_to(out, self.gap);
        number_to(out, (self.length - 1) << 1 | self.step);
        out.push(self.flags);
        number_to(out, self.keywords);
        let by = self.by as i64;
        number_to(out, (by << 1 ^ by >> 63) as u64);
    }

    const fn last_modseq(&self) -> u64 {
        let rises = (self.length - 1).wrapping_mul(self.step);
        self.modseq.wrapping_add(rises)
    }

    /// How its MODSEQs rise when this message goes on with it; `None` if it does not.
    fn step_to(&self, message: &MessageFlags) -> Option<u64> {
        let by = message.modseq.0.wrapping_sub(self.last_modseq());
        let is_alike = (self.flags, self.keywords) == (message.flags.0, message.keywords);
        let goes_on = by <= 1 && (self.length == 1 || by == self.step);
        (is_alike && goes_on).then_some(by)
    }
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
        let run = Run::read(&mut rest, at, modseq)?;
        if run.length > end.checked_sub(run.first)? {
            return None;
        }
        for n in 0..run.length {
            messages.push(MessageFlags {
                uid: Uid::new(u32::try_from(run.first + n).ok()?)?,
                modseq: ModSeq(run.modseq.wrapping_add(n * run.step)),
                flags: Flags(run.flags),
                keywords: run.keywords,
            });
        }
        at = run.first + run.length;
        modseq = run.last_modseq();
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
            prop_assert_eq!(&read, &messages);
            // One after the other they are the same sheet.
            let mut grown = Vec::new();
            for message in &messages {
                grown = longer_sheet(number, &grown, message).unwrap();
            }
            prop_assert!(messages.is_empty() || grown == octets);
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
            if let Some(uid) = Uid::new(number) {
                let (modseq, flags) = (ModSeq(7), Flags::NONE);
                let message = MessageFlags { uid, modseq, flags, keywords: 0 };
                let _ = longer_sheet(sheet_of(uid), &octets, &message);
            }
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
