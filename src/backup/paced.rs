//! A run that leaves time to others: so many octets in a second, and no more.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::Progress;

/// Holds a run back while it is ahead of its budget, and passes on how far it has come.
pub struct Paced<'a> {
    inner: &'a mut dyn Progress,
    octets_per_second: u64,
    begun: Instant,
    done: u64,
}

impl<'a> Paced<'a> {
    /// Holds back to so many octets in a second; to nothing, for zero.
    pub fn new(inner: &'a mut dyn Progress, octets_per_second: u64) -> Self {
        Self {
            inner,
            octets_per_second,
            begun: Instant::now(),
            done: 0,
        }
    }
}

impl Progress for Paced<'_> {
    fn begin(&mut self, what: &str, total: u64) {
        self.inner.begin(what, total);
        (self.begun, self.done) = (Instant::now(), 0);
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "a command that waits is a thread that waits"
    )]
    fn advance(&mut self, octets: u64) {
        self.inner.advance(octets);
        self.done += octets;
        thread::sleep(rest(
            self.done,
            self.octets_per_second,
            self.begun.elapsed(),
        ));
    }
}

/// How long whoever has done so much in that time rests.
fn rest(octets: u64, octets_per_second: u64, elapsed: Duration) -> Duration {
    if octets_per_second == 0 {
        return Duration::ZERO;
    }
    let due = Duration::from_secs_f64(octets as f64 / octets_per_second as f64);
    due.saturating_sub(elapsed)
}

#[test]
fn a_run_rests_as_long_as_it_is_ahead_and_never_without_a_budget() {
    let second = Duration::from_secs(1);
    assert_eq!(rest(3000, 1000, second), 2 * second);
    assert_eq!(rest(3000, 1000, 4 * second), Duration::ZERO);
    assert_eq!(rest(u64::MAX, 0, Duration::ZERO), Duration::ZERO);
}
