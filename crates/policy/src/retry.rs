//! When a deferred message is tried again, when its sender hears of it, when it is given up.

use std::time::Duration;

use mail::Time;
use serde::{Deserialize, Serialize};

/// The times of a queue's retries.
///
/// RFC 5321 §4.5.4.1 asks for at least 30 minutes between attempts and for giving up after four
/// to five days at the earliest, and allows cleverer strategies. Ours begins sooner, since most
/// deferrals of today (greylisting, a restart, a short limit) are over in minutes, and grows to the
/// pace that the RFC names.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// From the first failure to the second attempt.
    pub first_seconds: u64,
    /// By how much each pause is longer than the one before; 1.0 or more.
    pub factor: f64,
    /// No pause is longer.
    pub pause_max_seconds: u64,
    /// How far chance moves a pause, as a part of it, 0.0 to 1.0: so that what failed together
    /// does not come back together.
    pub jitter: f64,
    /// How long after its arrival a message is tried; then it goes back.
    pub expiry_seconds: u64,
    /// How long after its arrival the sender is told that it is late.
    pub late_seconds: u64,
}

impl Schedule {
    /// The pause after the first failed attempt, without chance.
    #[must_use]
    pub const fn first(&self) -> Duration {
        Duration::from_secs(self.first_seconds)
    }

    /// When to try again after `attempts` failed ones (1 or more); `None`: never, it is expired.
    /// `chance` is a random number from 0 to 1. The last attempt is at the expiry itself.
    #[must_use]
    pub fn next(&self, attempts: u32, arrived: Time, now: Time, chance: f64) -> Option<Time> {
        let expires = self.expires(arrived);
        if now >= expires {
            return None;
        }
        Some((now + self.pause(attempts, chance)).min(expires))
    }

    /// When a message is given up.
    #[must_use]
    pub fn expires(&self, arrived: Time) -> Time {
        arrived + Duration::from_secs(self.expiry_seconds)
    }

    /// Whether the sender should hear that the message has not arrived yet.
    #[must_use]
    pub fn is_late(&self, arrived: Time, now: Time) -> bool {
        now.since(arrived) >= Duration::from_secs(self.late_seconds)
    }

    fn pause(&self, attempts: u32, chance: f64) -> Duration {
        let growths = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let pause_max = self.pause_max_seconds.max(1) as f64;
        let grown = self.first_seconds as f64 * self.factor.max(1.0).powi(growths);
        let moved = 1.0 + self.jitter.clamp(0.0, 1.0) * (chance.clamp(0.0, 1.0) * 2.0 - 1.0);
        let seconds = (grown.min(pause_max) * moved).clamp(1.0, SECONDS_MAX);
        // A factor that is no number gives none: then the longest pause.
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(self.pause_max_seconds))
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            first_seconds: 5 * 60,
            factor: 2.0,
            pause_max_seconds: 4 * 60 * 60,
            jitter: 0.1,
            expiry_seconds: 5 * 24 * 60 * 60,
            late_seconds: 4 * 60 * 60,
        }
    }
}

/// A hundred years: no sum with it leaves the calendar.
const SECONDS_MAX: f64 = 100.0 * 365.0 * 86_400.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARRIVED: Time = Time(1_000_000_000);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn pauses_double_from_five_minutes_to_four_hours() {
        let schedule = Schedule::default();
        let cases = [
            (1, 300),
            (2, 600),
            (3, 1200),
            (6, 9600),
            (7, 14_400),
            (u32::MAX, 14_400),
        ];
        for (attempts, pause) in cases {
            let next = schedule.next(attempts, ARRIVED, ARRIVED, 0.5);
            assert_eq!(next, Some(ARRIVED + seconds(pause)), "{attempts}");
        }
    }

    #[test]
    fn chance_moves_a_pause_by_a_tenth_each_way() {
        let schedule = Schedule::default();
        assert_eq!(
            schedule.next(1, ARRIVED, ARRIVED, 0.0),
            Some(ARRIVED + seconds(270))
        );
        assert_eq!(
            schedule.next(1, ARRIVED, ARRIVED, 1.0),
            Some(ARRIVED + seconds(330))
        );
    }

    #[test]
    fn the_last_attempt_is_at_the_expiry_and_then_there_is_none() {
        let schedule = Schedule::default();
        let expires = schedule.expires(ARRIVED);
        assert_eq!(
            schedule.next(40, ARRIVED, expires - seconds(60), 0.5),
            Some(expires)
        );
        assert_eq!(schedule.next(41, ARRIVED, expires, 0.5), None);
    }

    #[test]
    fn a_message_is_late_after_four_hours() {
        let schedule = Schedule::default();
        assert!(!schedule.is_late(ARRIVED, ARRIVED + seconds(14_399)));
        assert!(schedule.is_late(ARRIVED, ARRIVED + seconds(14_400)));
    }

    proptest! {
        #[test]
        fn the_next_attempt_is_later_and_never_behind_the_expiry(attempts: u32, waited in 0_u64..600_000, chance: f64, factor: f64, first: u64) {
            let schedule = Schedule { factor, first_seconds: first, ..Schedule::default() };
            let now = ARRIVED + seconds(waited);
            match schedule.next(attempts, ARRIVED, now, chance) {
                Some(next) => prop_assert!(next > now && next <= schedule.expires(ARRIVED)),
                None => prop_assert!(now >= schedule.expires(ARRIVED)),
            }
        }
    }
}
