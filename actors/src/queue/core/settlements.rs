//! Ends of attempts that the store has not confirmed yet.

use std::collections::{BTreeMap, HashMap};

use mail::{MessageId, Time};
use store::port::Settle;

use super::Key;

/// What became of recipients, until the store has it. What the store did not take is told to it
/// again: nobody gets a mail twice because our disk is in trouble.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    unconfirmed: HashMap<Key, Settle>,
    /// Those that the store did not take.
    refused: BTreeMap<MessageId, Vec<u32>>,
    /// When the store is told of those again.
    again: Option<Time>,
}

impl Settlements {
    /// The store is being told.
    pub(super) fn begin(&mut self, key: Key, settle: Settle) {
        self.unconfirmed.insert(key, settle);
    }

    /// The store has it; yields what it has.
    pub(super) fn confirm(&mut self, key: Key) -> Option<Settle> {
        self.unconfirmed.remove(&key)
    }

    /// The store did not take it, and is told again at that time or before.
    pub(super) fn refuse(&mut self, key: Key, at: Time) {
        if self.unconfirmed.contains_key(&key) {
            self.refused.entry(key.0).or_default().push(key.1);
            self.again = Some(self.again.map_or(at, |again| again.min(at)));
        }
    }

    /// When [`due`](Self::due) has something to say.
    pub(super) const fn next(&self) -> Option<Time> {
        self.again
    }

    /// What the store is to be told again now, by message.
    pub(super) fn due(&mut self, now: Time) -> Vec<(MessageId, Vec<(u32, Settle)>)> {
        if self.again.is_none_or(|again| again > now) {
            return Vec::new();
        }
        self.again = None;
        let refused = std::mem::take(&mut self.refused).into_iter();
        let what = |(id, recipients): (MessageId, Vec<u32>)| {
            let settle =
                |recipient| Some((recipient, self.unconfirmed.get(&(id, recipient))?.clone()));
            (id, recipients.into_iter().filter_map(settle).collect())
        };
        refused.map(what).collect()
    }
}
