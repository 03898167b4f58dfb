//! Deliveries of an incarnation before. What they carry nobody knows any more; so nothing is tried
//! beside them, or their recipients would get it twice. What they say is taken as it is. When they
//! are gone the spool is read again: what the incarnation before was about to record has got there
//! since, and they do not go before it has.

use std::{collections::BTreeSet, time::Duration};

use mail::{Outcome, Time};

use super::{DomainQueue, Effect, Item, Key, Stage};

/// Those that are still there.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    attempts: BTreeSet<u64>,
    /// Whether nothing is tried because of them.
    is_awaited: bool,
    /// When they are not waited for any longer.
    until: Time,
}

impl DomainQueue {
    /// These deliveries were begun by an incarnation before and are still there. Nothing is tried
    /// until they are gone, or for [`PATIENCE`].
    pub fn inherit(&mut self, attempts: impl IntoIterator<Item = u64>, now: Time) {
        self.inherited.attempts.extend(attempts);
        self.inherited.is_awaited = !self.inherited.attempts.is_empty();
        self.inherited.until = now + PATIENCE;
    }

    /// Begins with what waits, if until now it was not to be tried because of them; false if there is
    /// no need to. All of it is read again.
    pub(super) fn begin_without_them(&mut self, now: Time, effects: &mut Vec<Effect>) -> bool {
        if !self.inherited.is_awaited || self.inherited.awaited(now).is_some() {
            return false;
        }
        self.inherited.is_awaited = false;
        for (_, key) in std::mem::take(&mut self.waiting) {
            self.items.remove(&key);
        }
        self.beyond = Some(Time(0));
        self.ask_the_spool(effects);
        true
    }

    /// One of them carries nothing more; false if it is none of them.
    pub(super) fn lose_inherited(
        &mut self,
        attempt: u64,
        now: Time,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_known = self.inherited.attempts.remove(&attempt);
        if is_known {
            self.fill(now, effects);
        }
        is_known
    }

    /// Whether the end of an attempt for that recipient is to be heard, and was not before.
    pub(super) fn may_end(&mut self, attempt: u64, key: Key, outcome: &Outcome, now: Time) -> bool {
        let is_inherited = self.inherited.attempts.contains(&attempt);
        match self.items.get(&key).map(|item| (item.stage, item.due)) {
            Some((stage, _)) if stage == Stage::InFlight(attempt) => true,
            Some((Stage::Waiting, due)) if is_inherited => {
                self.waiting.remove(&(due, key));
                true
            }
            // The spool has not been looked at yet, or it is farther back than the window reaches.
            None if is_inherited && !matches!(outcome, Outcome::Defer(_)) => {
                let item = Item {
                    arrived: now,
                    due: now,
                    attempts: 0,
                    stage: Stage::Recording,
                    late_told: false,
                };
                self.items.insert(key, item);
                true
            }
            _ => false,
        }
    }
}

impl Inherited {
    /// Until when nothing may be tried, if they are waited for.
    pub(super) fn awaited(&self, now: Time) -> Option<Time> {
        let is_over = self.attempts.is_empty() || now >= self.until;
        (self.is_awaited && !is_over).then_some(self.until)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }
}

/// How long deliveries of an incarnation before are waited for. Few need so long for what they
/// carry; a peer that does must not hold up the domain.
const PATIENCE: Duration = Duration::from_secs(60);
