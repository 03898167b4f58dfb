//! A mailbox as one client sees it: sequence numbers, `\Recent`, and what it has been told.
//!
//! The store knows how a mailbox stands; a client knows what it was told, and may be told of
//! expunged messages only at certain moments (RFC 3501 §7.4.1). In between lies the view: it
//! keeps expunged messages under their numbers until their end is announced.

use std::sync::Arc;

use mail::{ModSeq, Uid};

use crate::{Number, Ranges, SequenceSet, respond};

/// A mailbox as one client sees it. Cheap to clone, small: neighbouring UIDs are kept as spans.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// Spans of UIDs without a gap, ascending.
    runs: Arc<Vec<Run>>,
    count: u32,
    /// The UIDs that are recent to this session.
    recent: Ranges,
    /// Expunged, and the client does not know it; ascending.
    gone: Vec<u32>,
    /// Up to here all is in the view.
    modseq: ModSeq,
    /// Up to here all expunged messages were announced.
    announced: ModSeq,
    told_exists: u32,
    told_recent: u32,
}

/// A UID and its sequence number; those that follow have the next ones, up to the next run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    uid: u32,
    sequence: u32,
}

/// What is enough to make a view anew from the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Ask the store for messages expunged after this.
    pub announced: ModSeq,
    /// Ask the store for other changes after this.
    pub modseq: ModSeq,
    /// The highest UID in the view.
    pub last: Option<Uid>,
    /// The UIDs that are recent to this session.
    pub recent: Ranges,
}

/// A sequence number is higher than the number of messages (RFC 3501 §9, `seq-number`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there are fewer messages than that")]
pub struct OutOfRange;

impl View {
    /// The mailbox as it is opened: its UIDs, ascending, at that MODSEQ; those from `recent_from`
    /// on are recent to this session. Their number and the number of recent ones count as told:
    /// SELECT tells them.
    #[must_use]
    pub fn new(
        uids: impl IntoIterator<Item = Uid>,
        recent_from: Option<Uid>,
        modseq: ModSeq,
    ) -> Self {
        let mut view = Self {
            runs: Arc::default(),
            count: 0,
            recent: Ranges::new(),
            gone: Vec::new(),
            modseq,
            announced: modseq,
            told_exists: 0,
            told_recent: 0,
        };
        for uid in uids {
            view.push(uid.get());
        }
        if let Some(first) = recent_from {
            view.add_recent(first);
        }
        view.told_exists = view.count;
        view.told_recent = view.recent_count();
        view
    }

    /// The view that left `mark`, from the UIDs that are there now (ascending) and those that
    /// were expunged after [`Mark::announced`]. Apply the changes after [`Mark::modseq`] to it.
    #[must_use]
    pub fn rebuild(
        mark: Mark,
        present: impl IntoIterator<Item = Uid>,
        expunged: impl IntoIterator<Item = Uid>,
    ) -> Self {
        let last = mark.last;
        let known = |uid: &Uid| last.is_some_and(|last| *uid <= last);
        let mut gone: Vec<u32> = expunged.into_iter().filter(known).map(Uid::get).collect();
        gone.sort_unstable();
        gone.dedup();
        let mut uids: Vec<Uid> = present.into_iter().filter(known).collect();
        uids.extend(gone.iter().filter_map(|&uid| Uid::new(uid)));
        uids.sort_unstable();
        uids.dedup();
        let mut view = Self::new(uids, None, mark.modseq);
        view.recent = view.uids().intersection(&mark.recent);
        view.told_recent = view.recent_count();
        view.announced = mark.announced;
        view.gone = gone;
        view
    }

    /// What is enough to make this view anew.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            announced: self.announced,
            modseq: self.modseq,
            last: self.last(),
            recent: self.recent.clone(),
        }
    }

    /// How many messages the client sees.
    #[must_use]
    pub const fn exists(&self) -> u32 {
        self.count
    }

    /// How many of them are recent to this session.
    #[must_use]
    pub fn recent_count(&self) -> u32 {
        u32::try_from(self.recent.count()).unwrap_or(u32::MAX)
    }

    /// Whether a message is recent to this session.
    #[must_use]
    pub fn is_recent(&self, uid: Uid) -> bool {
        self.recent.contains(uid.get())
    }

    /// The messages that are recent to this session.
    #[must_use]
    pub const fn recent(&self) -> &Ranges {
        &self.recent
    }

    /// Up to which change all is in the view.
    #[must_use]
    pub const fn modseq(&self) -> ModSeq {
        self.modseq
    }

    /// The highest UID.
    #[must_use]
    pub fn last(&self) -> Option<Uid> {
        self.uid(self.count)
    }

    /// The UID of the message with that number.
    #[must_use]
    pub fn uid(&self, sequence: u32) -> Option<Uid> {
        if sequence == 0 || sequence > self.count {
            return None;
        }
        let at = self.runs.partition_point(|run| run.sequence <= sequence) - 1;
        let run = self.runs[at];
        Uid::new(run.uid + (sequence - run.sequence))
    }

    /// The number of the message with that UID.
    #[must_use]
    pub fn sequence(&self, uid: Uid) -> Option<u32> {
        let sequence = self.first_from(uid.get());
        (self.uid(sequence) == Some(uid)).then_some(sequence)
    }

    /// The number of the first message whose UID is not below that; one past the end if there is
    /// none.
    fn first_from(&self, uid: u32) -> u32 {
        let at = self.runs.partition_point(|run| run.uid <= uid);
        let Some(run) = at.checked_sub(1).map(|at| self.runs[at]) else {
            return 1;
        };
        let end = self
            .runs
            .get(at)
            .map_or(self.count + 1, |next| next.sequence);
        run.sequence.saturating_add(uid - run.uid).min(end)
    }

    /// The messages with these numbers, as numbers and UIDs, ascending.
    pub fn messages<'a>(&'a self, which: &'a Ranges) -> impl Iterator<Item = (u32, Uid)> + 'a {
        which.spans().flat_map(move |span| {
            let (first, last) = (*span.start(), (*span.end()).min(self.count));
            let mut at = self.runs.partition_point(|run| run.sequence <= first);
            (first.max(1)..=last).filter_map(move |sequence| {
                while self
                    .runs
                    .get(at)
                    .is_some_and(|next| next.sequence <= sequence)
                {
                    at += 1;
                }
                let run = self.runs[at.checked_sub(1)?];
                Some((sequence, Uid::new(run.uid + (sequence - run.sequence))?))
            })
        })
    }

    /// The UIDs of the messages with these numbers.
    #[must_use]
    pub fn uids_of(&self, which: &Ranges) -> Ranges {
        let mut uids = Ranges::new();
        for (_, uid) in self.messages(which) {
            uids.push(uid.get());
        }
        uids
    }

    /// All messages, as numbers.
    #[must_use]
    pub fn all(&self) -> Ranges {
        Ranges::of_spans(vec![(1, self.count)])
    }

    /// The messages of a set of UIDs, as sequence numbers. UIDs that are not there are passed
    /// over; `*` is the last message (RFC 3501 §6.4.8).
    #[must_use]
    pub fn by_uid(&self, set: &SequenceSet) -> Ranges {
        let Some(last) = self.last() else {
            return Ranges::new();
        };
        let spans = set.ranges().iter().map(|&(a, b)| {
            let (a, b) = (a.or(last.get()), b.or(last.get()));
            let (low, high) = (a.min(b), a.max(b));
            let end = match high.checked_add(1) {
                Some(past) => self.first_from(past),
                None => self.count + 1,
            };
            (self.first_from(low), end - 1)
        });
        Ranges::of_spans(spans.collect())
    }

    /// The messages of a set of sequence numbers.
    ///
    /// # Errors
    /// [`OutOfRange`] for a number without a message. In an empty mailbox ranges with `*` are
    /// let pass, as empty: clients ask for `1:*` before they know.
    pub fn by_sequence(&self, set: &SequenceSet) -> Result<Ranges, OutOfRange> {
        let mut spans = Vec::with_capacity(set.ranges().len());
        for &(a, b) in set.ranges() {
            if self.count == 0 && (a == Number::Last || b == Number::Last) {
                continue;
            }
            let (a, b) = (a.or(self.count), b.or(self.count));
            if a.max(b) > self.count {
                return Err(OutOfRange);
            }
            spans.push((a.min(b), a.max(b)));
        }
        Ok(Ranges::of_spans(spans))
    }

    /// The messages of a set of sequence numbers, as far as they are there: for SEARCH, where
    /// others just match nothing.
    #[must_use]
    pub fn within(&self, set: &SequenceSet) -> Ranges {
        let spans = set.ranges().iter().map(|&(a, b)| {
            let (a, b) = (a.or(self.count), b.or(self.count));
            (a.min(b).max(1), a.max(b).min(self.count))
        });
        Ranges::of_spans(spans.collect())
    }

    /// Takes up what has happened in the mailbox up to `modseq`: new and changed messages and
    /// expunged ones, both ascending. `changed` calls back with the number of each message that
    /// the client already knows: its flags are to be told.
    pub fn apply(
        &mut self,
        modseq: ModSeq,
        changed: impl IntoIterator<Item = Uid>,
        expunged: impl IntoIterator<Item = Uid>,
        mut known: impl FnMut(u32, Uid),
    ) {
        let told = self.last();
        for uid in changed {
            if told.is_none_or(|told| uid > told) {
                self.push(uid.get());
            } else if let Some(sequence) = self.sequence(uid) {
                known(sequence, uid);
            }
        }
        let before = self.gone.len();
        for uid in expunged {
            if self.sequence(uid).is_some() {
                self.gone.push(uid.get());
            }
        }
        if self.gone.len() > before {
            self.gone.sort_unstable();
            self.gone.dedup();
        }
        self.modseq = self.modseq.max(modseq);
        if self.gone.is_empty() {
            self.announced = self.modseq;
        }
    }

    /// The messages from that UID on are recent to this session: it is the first to see them.
    pub fn add_recent(&mut self, first: Uid) {
        let new = self
            .uids()
            .intersection(&Ranges::of_spans(vec![(first.get(), u32::MAX)]));
        let both = self.recent.spans().chain(new.spans());
        let both = both.map(|span| (*span.start(), *span.end()));
        self.recent = Ranges::of_spans(both.collect());
    }

    /// All UIDs.
    #[must_use]
    pub fn uids(&self) -> Ranges {
        let spans = self.runs.iter().enumerate().map(|(at, run)| {
            let end = self
                .runs
                .get(at + 1)
                .map_or(self.count + 1, |next| next.sequence);
            (run.uid, run.uid + (end - run.sequence - 1))
        });
        Ranges::of_spans(spans.collect())
    }

    /// Whether there is something that the client has not been told.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.gone.is_empty()
            || self.told_exists != self.count
            || self.told_recent != self.recent_count()
    }

    /// Whether the message is expunged and the client does not know it.
    #[must_use]
    pub fn is_gone(&self, uid: Uid) -> bool {
        self.gone.binary_search(&uid.get()).is_ok()
    }

    /// Tells what the client has not been told: EXPUNGE where it is allowed (from the highest
    /// number down, so that none of them shifts another), then EXISTS and RECENT.
    pub fn announce(&mut self, expunges: bool, out: &mut Vec<u8>) {
        if expunges && !self.gone.is_empty() {
            self.announce_expunges(out);
        }
        if self.told_exists != self.count {
            respond::numbered(out, self.count, "EXISTS");
            self.told_exists = self.count;
        }
        let recent = self.recent_count();
        if self.told_recent != recent {
            respond::numbered(out, recent, "RECENT");
            self.told_recent = recent;
        }
    }

    fn announce_expunges(&mut self, out: &mut Vec<u8>) {
        let gone = std::mem::take(&mut self.gone);
        let mut told = 0;
        for &uid in gone.iter().rev() {
            let Some(sequence) = Uid::new(uid).and_then(|uid| self.sequence(uid)) else {
                continue;
            };
            // A message that was never announced goes without a word.
            if sequence <= self.told_exists {
                respond::numbered(out, sequence, "EXPUNGE");
                told += 1;
            }
        }
        self.told_exists -= told;
        self.remove(&gone);
        self.recent.remove(&gone);
        self.announced = self.modseq;
    }

    fn push(&mut self, uid: u32) {
        let next = self.last().map(|last| last.get().checked_add(1));
        self.count += 1;
        if next != Some(Some(uid)) {
            let run = Run {
                uid,
                sequence: self.count,
            };
            Arc::make_mut(&mut self.runs).push(run);
        }
    }

    /// Takes messages out of the numbering; their UIDs ascend.
    fn remove(&mut self, uids: &[u32]) {
        let mut rest = Vec::with_capacity(self.runs.len() + uids.len());
        let mut count = 0;
        let mut gone = uids.iter().copied().peekable();
        let mut keep = |first: u64, past: u64| {
            if first < past {
                // Both lie between two UIDs, and so does their difference.
                rest.push(Run {
                    uid: first as u32,
                    sequence: count + 1,
                });
                count += (past - first) as u32;
            }
        };
        for (at, run) in self.runs.iter().enumerate() {
            let end = self
                .runs
                .get(at + 1)
                .map_or(self.count + 1, |next| next.sequence);
            let past = u64::from(run.uid) + u64::from(end - run.sequence);
            let mut first = u64::from(run.uid);
            while let Some(uid) = gone.next_if(|&uid| u64::from(uid) < past) {
                if u64::from(uid) >= first {
                    keep(first, u64::from(uid));
                    first = u64::from(uid) + 1;
                }
            }
            keep(first, past);
        }
        self.runs = Arc::new(rest);
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn uid(number: u32) -> Uid {
        Uid::new(number).unwrap()
    }

    fn uids(numbers: impl IntoIterator<Item = u32>) -> impl Iterator<Item = Uid> {
        numbers.into_iter().map(uid)
    }

    fn view(numbers: &[u32]) -> View {
        View::new(uids(numbers.iter().copied()), None, ModSeq(1))
    }

    fn set(text: &str) -> SequenceSet {
        let number = |text: &str| match text.parse() {
            Ok(number) => Number::Is(number),
            Err(_) => Number::Last,
        };
        let ranges = text.split(',').map(|range| {
            let (a, b) = range.split_once(':').unwrap_or((range, range));
            (number(a), number(b))
        });
        SequenceSet::new(ranges.collect()).unwrap()
    }

    fn list(ranges: &Ranges) -> Vec<u32> {
        ranges.iter().collect()
    }

    fn told(view: &mut View, expunges: bool) -> String {
        let mut out = Vec::new();
        view.announce(expunges, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sets_of_uids_are_found_whether_they_are_there_or_not() {
        let view = view(&[3, 4, 7, 9]);
        for (text, expected) in [
            ("4:8", vec![2, 3]),
            ("10:*", vec![4]),
            ("*", vec![4]),
            ("8:5,1", vec![3]),
            ("1:4294967295", vec![1, 2, 3, 4]),
            ("5,6,10", vec![]),
        ] {
            assert_eq!(list(&view.by_uid(&set(text))), expected, "{text}");
        }
        assert!(
            View::new([], None, ModSeq(0))
                .by_uid(&set("1:*"))
                .is_empty()
        );
    }

    #[test]
    fn sequence_numbers_without_a_message_are_an_error() {
        let some = view(&[3, 4, 7]);
        assert_eq!(
            some.by_sequence(&set("*:2,1")).map(|r| list(&r)),
            Ok(vec![1, 2, 3])
        );
        assert_eq!(some.by_sequence(&set("2:4")), Err(OutOfRange));
        assert_eq!(list(&some.within(&set("2:9"))), [2, 3]);
        let none = view(&[]);
        assert_eq!(none.by_sequence(&set("1:*")).map(|r| list(&r)), Ok(vec![]));
        assert_eq!(none.by_sequence(&set("1")), Err(OutOfRange));
        assert!(none.within(&set("1:*")).is_empty());
    }

    #[test]
    fn expunged_messages_keep_their_numbers_until_it_may_be_said() {
        let mut view = view(&[1, 2, 3, 4]);
        let mut known = Vec::new();
        view.apply(ModSeq(5), uids([2, 5, 6]), uids([1, 3]), |n, _| {
            known.push(n);
        });
        assert_eq!(known, [2]);
        assert_eq!(told(&mut view, false), "* 6 EXISTS\r\n");
        assert_eq!(view.sequence(uid(4)), Some(4));
        assert!(view.is_gone(uid(3)));
        assert_eq!(told(&mut view, true), "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n");
        assert_eq!(view.sequence(uid(4)), Some(2));
        assert_eq!(view.exists(), 4);
        assert!(!view.has_news());
    }

    #[test]
    fn what_was_never_announced_goes_without_a_word() {
        let mut view = view(&[1, 2]);
        view.apply(ModSeq(5), uids([3, 4]), [], |_, _| {});
        view.apply(ModSeq(6), [], uids([2, 3]), |_, _| {});
        // Of the new ones the client learns only the one that is still there.
        assert_eq!(told(&mut view, true), "* 2 EXPUNGE\r\n* 2 EXISTS\r\n");
        view.apply(ModSeq(7), uids([7]), [], |_, _| {});
        assert_eq!(told(&mut view, true), "* 3 EXISTS\r\n");
    }

    #[test]
    fn recent_messages_are_counted_and_leave() {
        let mut view = View::new(uids([1, 5, 6]), Some(uid(3)), ModSeq(1));
        assert_eq!(view.recent_count(), 2);
        view.apply(ModSeq(2), uids([9]), [], |_, _| {});
        view.add_recent(uid(7));
        assert_eq!(told(&mut view, true), "* 4 EXISTS\r\n* 3 RECENT\r\n");
        view.apply(ModSeq(3), [], uids([5]), |_, _| {});
        assert_eq!(told(&mut view, true), "* 2 EXPUNGE\r\n* 2 RECENT\r\n");
        assert!(view.is_recent(uid(9)) && !view.is_recent(uid(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn numbers_are_places_in_the_order_of_uids(
            start in proptest::collection::btree_set(1..60_u32, 0..30),
            gone in proptest::collection::btree_set(1..60_u32, 0..30),
        ) {
            let mut view = view(&start.iter().copied().collect::<Vec<_>>());
            let mark = view.mark();
            view.apply(ModSeq(9), [], uids(gone.iter().copied()), |_, _| {});
            let rest: BTreeSet<u32> = start.difference(&gone).copied().collect();
            let both: Vec<u32> = start.intersection(&gone).copied().collect();
            let again = View::rebuild(mark, uids(rest.iter().copied()), uids(both));
            prop_assert_eq!(again.uids(), view.uids());
            prop_assert_eq!(&again.gone, &view.gone);
            let mut out = Vec::new();
            view.announce(true, &mut out);
            prop_assert_eq!(view.exists() as usize, rest.len());
            for (sequence, &number) in (1..).zip(&rest) {
                prop_assert_eq!(view.sequence(uid(number)), Some(sequence));
                prop_assert_eq!(view.uid(sequence), Some(uid(number)));
            }
            let pairs: Vec<_> = view.messages(&view.all()).map(|(_, uid)| uid.get()).collect();
            prop_assert_eq!(pairs, rest.iter().copied().collect::<Vec<_>>());
            for &number in start.symmetric_difference(&rest) {
                prop_assert_eq!(view.sequence(uid(number)), None);
            }
            // What a client makes of the lines is what the view is.
            let mut client: Vec<u32> = start.iter().copied().collect();
            for line in String::from_utf8(out).unwrap().lines() {
                let number = line.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
                client.remove(number - 1);
            }
            prop_assert_eq!(client, rest.into_iter().collect::<Vec<_>>());
        }
    }
}
