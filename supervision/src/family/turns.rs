//! Who of a crowd that has fallen is started again when: the others of the house need processors, too.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The turns of those who fall: a few of them have theirs at once, of more one after the other.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// When the next one would have its turn if none had theirs at once, in nanoseconds of the family's
    /// time.
    next: AtomicU64,
}

impl Turns {
    /// How long it is until the turn of one that has fallen at that time.
    pub(super) fn next(&self, now: Duration) -> Duration {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let turn = |next: u64| next.max(now);
        let step = |next| Some(turn(next).saturating_add(STEP));
        let (done, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        let (Ok(before) | Err(before)) = self.next.fetch_update(done, seen, step);
        let ahead = turn(before) - now; // how far the crowd has come by now
        Duration::from_nanos(ahead.saturating_sub(AT_ONCE * STEP))
    }
}

/// How many of those who fall in one moment are started again at once.
const AT_ONCE: u64 = 64;

/// From one of a crowd to the next, in nanoseconds.
const STEP: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_have_their_turn_at_once_and_a_crowd_one_after_the_other() {
        let (turns, now) = (Turns::default(), Duration::ZERO);
        for _ in 0..=AT_ONCE {
            assert_eq!(turns.next(now), Duration::ZERO);
        }
        for number in 1..1000 {
            assert_eq!(turns.next(now), Duration::from_nanos(number * STEP));
        }
        // All of them have had it.
        let now = now + Duration::from_nanos((1000 + AT_ONCE) * STEP);
        for _ in 0..=AT_ONCE {
            assert_eq!(turns.next(now), Duration::ZERO);
        }
    }
}
