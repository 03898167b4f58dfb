//! The recipients of a transaction, as a list that all its checkpoints share.

use std::sync::Arc;

use crate::Rcpt;

/// Recipients in the order in which they were accepted.
///
/// A client may name thousands, one in each round trip, and each round trip has its checkpoint.
/// So a clone costs a few reference counts however many there are, and one more recipient copies
/// a few others on average: the list is made of runs whose lengths are the digits of its own
/// length as a binary number, the longest first, and a run is never changed.
#[derive(Clone, Debug, Default)]
pub struct Recipients {
    runs: Vec<Arc<[Rcpt]>>,
}

impl Recipients {
    /// Nobody.
    pub(super) const NONE: &Self = &Self { runs: Vec::new() };

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Rcpt> {
        self.runs.iter().flat_map(|run| run.iter())
    }

    /// The recipient, if there is exactly one.
    #[must_use]
    pub fn only(&self) -> Option<&Rcpt> {
        match &self.runs[..] {
            [run] if run.len() == 1 => run.first(),
            _ => None,
        }
    }

    /// Adds one. As when one is added to a binary number, the ones at its end become one digit.
    pub(super) fn push(&mut self, rcpt: Rcpt) {
        let ones = self.len().trailing_ones() as usize;
        let ended = self.runs.split_off(self.runs.len().saturating_sub(ones));
        let before = ended.iter().flat_map(|run| run.iter().cloned());
        self.runs.push(before.chain([rcpt]).collect());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn rcpt(number: usize) -> Rcpt {
        Rcpt::new(format!("u{number}@a.test").parse().unwrap())
    }

    #[test]
    fn ten_thousand_recipients_are_not_copied_ten_thousand_times() {
        let mut recipients = Recipients::default();
        let mut kept = Vec::new(); // a checkpoint for each of them
        for number in 0..10_000 {
            assert_eq!(recipients.len(), number);
            recipients.push(rcpt(number));
            kept.push(recipients.clone());
        }
        let runs = kept.iter().flat_map(|list| &list.runs);
        let held: HashMap<_, _> = runs.map(|run| (run.as_ptr(), run.len())).collect();
        let copies: usize = held.values().sum();
        assert!(copies <= 10_000 * 14, "{copies}");
        for (number, list) in kept.iter().enumerate().step_by(997) {
            assert!(list.iter().cloned().eq((0..=number).map(rcpt)));
        }
        assert_eq!(kept[0].only(), Some(&rcpt(0)));
        assert_eq!((kept[1].only(), Recipients::NONE.only()), (None, None));
        assert!(Recipients::NONE.is_empty() && !recipients.is_empty());
    }
}
