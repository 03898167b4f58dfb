//! What time it is: the machine's clock, one that a test turns, and one that follows tokio's.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mail::Time;

/// Tells the time. Rooms get an `Arc<dyn Clock>` and never ask the machine.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The instant on the wall clock. It may jump when an operator or NTP sets it.
    fn now(&self) -> Time;

    /// How long since some fixed instant in the past; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

/// A clock that stands still until a test turns it. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

/// A clock that goes with tokio's: in a runtime whose time is paused, it jumps to the next timer.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    epoch: Time,
    start: tokio::time::Instant,
}

#[derive(Debug)]
struct Hands {
    wall: AtomicU64,
    passed: AtomicU64,
}

impl SystemClock {
    /// The clock of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Time::default() + since.unwrap_or_default() // a clock before 1970 is not set at all
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self(Arc::new(Hands {
            wall: AtomicU64::new(now.0),
            passed: AtomicU64::new(0),
        }))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.0.wall.fetch_add(millis, Ordering::SeqCst);
        self.0.passed.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the wall clock, as an operator does; the monotonic time does not move.
    pub fn set(&self, now: Time) {
        self.0.wall.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.passed.load(Ordering::SeqCst))
    }
}

impl VirtualClock {
    /// A clock that shows `epoch` now and goes on with tokio's time.
    #[must_use]
    pub fn new(epoch: Time) -> Self {
        Self {
            epoch,
            start: tokio::time::Instant::now(),
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.epoch + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_turned() {
        let clock = ManualClock::new(Time::from_seconds(100));
        let same = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(same.now(), Time::from_seconds(105));
        clock.set(Time::from_seconds(1));
        assert_eq!(same.now(), Time::from_seconds(1));
        assert_eq!(same.monotonic(), Duration::from_secs(5));
    }

    #[test]
    fn the_machines_clock_is_past_the_day_this_was_written() {
        assert!(SystemClock::new().now() > Time::from_seconds(1_700_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_goes_with_paused_time() {
        let clock = VirtualClock::new(Time::from_seconds(7));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), Time::from_seconds(3607));
    }
}
