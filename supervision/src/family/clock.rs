//! One timer for everything a shard waits for.

use std::{collections::BTreeMap, time::Duration};

use ractor::{ActorRef, Message};
use tokio::time::Instant;

use crate::alarm::{Alarm, alarm};

/// Things to do, by their time; one tokio timer for all of them.
pub(super) struct Clock<T> {
    due: BTreeMap<(Instant, u64), T>,
    last_number: u64,
    /// The timer, and when it rings.
    set: Option<(Instant, Alarm)>,
}

impl<T> Clock<T> {
    pub(super) fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            last_number: 0,
            set: None,
        }
    }

    /// Remembers `thing` for `at`; `actor` is sent a message made by `ring` when anything is due.
    pub(super) fn at<M: Message>(
        &mut self,
        at: Instant,
        thing: T,
        actor: &ActorRef<M>,
        ring: fn() -> M,
    ) {
        self.last_number += 1;
        self.due.insert((at, self.last_number), thing);
        self.set(actor, ring);
    }

    /// Takes one thing whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<T> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Sets the timer for the earliest thing, unless it is.
    pub(super) fn set<M: Message>(&mut self, actor: &ActorRef<M>, ring: fn() -> M) {
        let Some((&(first, _), _)) = self.due.first_key_value() else {
            self.set = None;
            return;
        };
        if self.set.as_ref().is_none_or(|(at, _)| first < *at) {
            let after = first.saturating_duration_since(Instant::now());
            self.set = Some((first, alarm(after, actor, ring())));
        }
    }

    /// The timer has rung.
    pub(super) fn rang(&mut self) {
        self.set = None;
    }
}

/// That much later than now; "never" is a long time from now.
pub(super) fn from_now(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + NEVER)
}

/// Thirty years: nobody waits for it, and no clock overflows.
const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);
