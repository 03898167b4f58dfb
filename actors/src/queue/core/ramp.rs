//! When one more connection to a domain is worth it.
//!
//! A new connection takes time: for the way, the greeting, the handshake. A message that waits for
//! less than that gains nothing by it, and the neighbour has one more guest. So a further one is
//! opened only when something has been due for longer than a new connection takes to carry its
//! first message, as the latest of them did. While that goes on their number doubles in each such
//! span, and no faster.

use std::time::Duration;

use mail::Time;

/// How fast connections are added.
#[derive(Debug)]
pub(super) struct Ramp {
    /// How long a new connection takes.
    pace: Duration,
    /// Since when the round goes in which some have been opened; it lasts as long as a new
    /// connection takes.
    round: Time,
    /// How many more may be opened in it.
    left: usize,
}

impl Default for Ramp {
    fn default() -> Self {
        Self {
            pace: PACE_SLOWEST,
            round: Time(0),
            left: 0,
        }
    }
}

impl Ramp {
    /// A new connection took so long until its first message was carried.
    pub(super) fn learn(&mut self, took: Duration) {
        self.pace = took.clamp(PACE_FASTEST, PACE_SLOWEST);
    }

    /// Counts one more connection beside the `at_work` that are there, for what has been due since
    /// `due`.
    ///
    /// # Errors
    /// When to ask again, if it is not worth it yet.
    pub(super) fn open(&mut self, at_work: usize, due: Time, now: Time) -> Result<(), Time> {
        self.round = self.round.min(now); // somebody may have set the clock back
        if at_work == 0 {
            (self.round, self.left) = (now, 0);
            return Ok(());
        }
        let worth_it = due + self.pace;
        if now < worth_it {
            return Err(worth_it);
        }
        if now >= self.round + self.pace {
            (self.round, self.left) = (now, at_work);
        }
        if self.left == 0 {
            return Err(self.round + self.pace);
        }
        self.left -= 1;
        Ok(())
    }
}

/// Faster than that no connection needs to come: it is the time of a few syncs of our own disk.
const PACE_FASTEST: Duration = Duration::from_millis(10);

/// However slow a neighbour's greeting is, and as long as nothing is known of it.
const PACE_SLOWEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000);

    fn after(milliseconds: u64) -> Time {
        NOW + Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_first_connection_is_opened_at_once_and_the_next_when_something_has_waited() {
        let mut ramp = Ramp::default();
        assert_eq!(ramp.open(0, NOW, NOW), Ok(()));
        assert_eq!(ramp.open(1, NOW, NOW), Err(after(1000)));
        assert_eq!(ramp.open(1, after(500), after(1000)), Err(after(1500)));
        assert_eq!(ramp.open(1, after(500), after(1500)), Ok(()));
    }

    #[test]
    fn their_number_doubles_in_the_time_that_one_takes() {
        let mut ramp = Ramp::default();
        assert_eq!(ramp.open(0, NOW, NOW), Ok(()));
        ramp.learn(Duration::from_millis(100));
        let mut there = 1;
        for round in 1..=4 {
            let now = after(100 * round);
            while ramp.open(there, NOW, now).is_ok() {
                there += 1;
                assert!(there <= 1 << round);
            }
            assert_eq!(there, 1 << round);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing_for_long() {
        let mut ramp = Ramp::default();
        assert_eq!(ramp.open(0, after(9_000_000), after(9_000_000)), Ok(()));
        assert_eq!(ramp.open(1, Time(0), NOW), Err(after(1000)));
        assert_eq!(ramp.open(1, Time(0), after(1000)), Ok(()));
    }
}
