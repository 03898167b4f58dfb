//! When the house has so little to do that its threads may give back what they keep by. Times go in,
//! the word comes out.
//!
//! What is kept by saves a few instructions for each allocation, and is found again within milliseconds by
//! whoever allocates much. So nobody is asked for it who is at work, and a house that rests is asked only when it
//! has done something since: it is left asleep for as long as it does next to nothing.

use std::time::{Duration, Instant};

use store::DiskStore;
use supervision::on_each_thread;

use crate::{
    admin::processor_time,
    allocator::{self, give_back},
};

/// What was used of processors, from look to look.
#[derive(Debug)]
pub(super) struct Quiet {
    /// When the last look was,
    looked: Instant,
    /// and how much had been used then.
    used: Duration,
    /// How much had been used when the word was given last.
    given: Duration,
}

impl Quiet {
    /// Of a house that begins now.
    pub(super) const fn since(now: Instant) -> Self {
        Self {
            looked: now,
            used: Duration::ZERO,
            given: Duration::ZERO,
        }
    }

    /// To be called every second or so: has all threads of the house give back what they keep by, if
    /// it is quiet.
    pub(super) fn look(&mut self, disk: &DiskStore) {
        if self.ask(Instant::now(), processor_time) {
            give_back();
            on_each_thread(give_back);
            disk.on_each_thread(give_back);
            allocator::GIVEN_BACK.count(&[]);
        }
    }

    /// Whether it is time. `used` is what was used of processors since the beginning.
    fn ask(&mut self, now: Instant, used: impl FnOnce() -> Duration) -> bool {
        let took = now.saturating_duration_since(self.looked);
        if took < WHILE {
            return false;
        }
        let used = used();
        let lately = used.saturating_sub(self.used);
        (self.looked, self.used) = (now, used);
        let is_time = lately < took / SHARE && used.saturating_sub(self.given) >= WORTH;
        if is_time {
            self.given = used;
        }
        is_time
    }
}

/// For so long the house has to be quiet: mailboxes that nobody uses have left by then.
const WHILE: Duration = Duration::from_secs(10);

/// It is quiet when it uses less than this part of one processor, some hundred messages a second.
const SHARE: u32 = 10;

/// What threads have kept by in less work than this is not worth waking them. A partition that is opened anew
/// costs as much, and a house that does nothing takes a minute for it.
const WORTH: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// What is answered second by second, when so much is used in each.
    fn answers(quiet: &mut Quiet, now: &mut (Instant, Duration), millis: u64, seconds: u32) -> u32 {
        let mut given = 0;
        for _ in 0..seconds {
            now.0 += Duration::from_secs(1);
            now.1 += Duration::from_millis(millis);
            given += u32::from(quiet.ask(now.0, || now.1));
        }
        given
    }

    fn begin() -> (Quiet, (Instant, Duration)) {
        let now = Instant::now();
        (Quiet::since(now), (now, Duration::ZERO))
    }

    #[test]
    fn who_was_at_work_and_is_not_any_more_is_asked_once() {
        let (mut quiet, mut now) = begin();
        assert_eq!(answers(&mut quiet, &mut now, 1500, 95), 0, "at work");
        assert_eq!(
            answers(&mut quiet, &mut now, 0, 14),
            0,
            "some of it was work"
        );
        assert_eq!(answers(&mut quiet, &mut now, 0, 1), 1);
        assert_eq!(answers(&mut quiet, &mut now, 0, 3600), 0, "left asleep");
        assert_eq!(answers(&mut quiet, &mut now, 200, 10), 0, "at work again");
        assert_eq!(answers(&mut quiet, &mut now, 0, 10), 1);
    }

    #[test]
    fn who_does_a_little_all_the_time_is_asked_now_and_then() {
        let (mut quiet, mut now) = begin();
        assert_eq!(answers(&mut quiet, &mut now, 99, 100), 10);
        assert_eq!(answers(&mut quiet, &mut now, 1, 1000), 10);
    }

    #[test]
    fn who_is_never_quiet_is_never_asked() {
        let (mut quiet, mut now) = begin();
        assert_eq!(answers(&mut quiet, &mut now, 100, 10_000), 0);
    }
}
