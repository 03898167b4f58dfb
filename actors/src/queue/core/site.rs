//! Whether a domain's hosts can be reached at all.

use std::time::Duration;

use mail::Time;

/// What the latest connections say of a domain's hosts.
#[derive(Debug, Default)]
pub(super) struct Site {
    failures: u32,
    held_until: Option<Time>,
}

impl Site {
    /// A delivery never had a connection. After a few of these in a row the site is held; no hold
    /// is longer than `hold_max`.
    pub(super) fn failed(&mut self, now: Time, hold_max: Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_BEFORE_HOLD {
            let doublings = (self.failures - FAILURES_BEFORE_HOLD).min(10);
            let pause = (HOLD_FIRST * 2_u32.pow(doublings)).min(hold_max);
            self.held_until = Some(now + pause);
        }
    }

    /// Whether nothing has failed since the last connection.
    pub(super) const fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// Whether so much has failed that only probes are sent.
    pub(super) const fn is_dead(&self) -> bool {
        self.failures >= FAILURES_BEFORE_HOLD
    }

    /// Until when nothing is tried; it may be over.
    pub(super) const fn held_until(&self) -> Option<Time> {
        self.held_until
    }

    /// Whether nothing is to be tried now.
    pub(super) fn is_held(&self, now: Time) -> bool {
        self.held_until.is_some_and(|until| until > now)
    }

    /// Ends the hold; what has failed is not forgotten.
    pub(super) const fn release(&mut self) {
        self.held_until = None;
    }
}

/// Connections that must fail in a row before the site is held: one lost SYN is not a dead site.
const FAILURES_BEFORE_HOLD: u32 = 3;

/// The first hold; it doubles with each probe that fails.
const HOLD_FIRST: Duration = Duration::from_secs(15);
