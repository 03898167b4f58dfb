//! The guard: says when users have noticed too much.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::measure::Bound;

/// Looks at how long answers take, and at who waits for one.
#[derive(Debug)]
pub struct Guard {
    bound: Bound,
    /// When an answer came, and how long it took.
    answers: VecDeque<(Duration, Duration)>,
    /// Who waits for an answer, and since when.
    waiting: BTreeMap<&'static str, Duration>,
}

impl Guard {
    /// A guard that lets that much pass.
    #[must_use]
    pub fn new(bound: Bound) -> Self {
        Self {
            bound,
            answers: VecDeque::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// `who` has asked at that time.
    pub fn asked(&mut self, who: &'static str, at: Duration) {
        self.waiting.insert(who, at);
    }

    /// `who` has an answer, or knows that there will be none.
    pub fn answered(&mut self, who: &'static str, at: Duration) {
        if let Some(asked) = self.waiting.remove(who) {
            self.answers.push_back((at, at.saturating_sub(asked)));
        }
    }

    /// How long the answers of the last [`WINDOW`] took at the percentile that is guarded, if that
    /// is more than may be. Who waits now counts with the time until now.
    pub fn passed(&mut self, now: Duration) -> Option<Duration> {
        let is_old = |at: Duration| at + WINDOW < now;
        while self.answers.front().is_some_and(|&(at, _)| is_old(at)) {
            self.answers.pop_front();
        }
        let answers = self.answers.iter().map(|&(_, took)| took);
        let waiting = self
            .waiting
            .values()
            .map(|&asked| now.saturating_sub(asked));
        let mut times: Vec<Duration> = answers.chain(waiting).collect();
        if times.len() < ANSWERS_MIN {
            return None;
        }
        times.sort_unstable();
        percentile(&times, self.bound.percent).filter(|&time| time > self.bound.limit)
    }
}

/// The value that so many percent of the values do not exceed; `sorted` ascends. None for none.
#[must_use]
pub fn percentile(sorted: &[Duration], percent: f64) -> Option<Duration> {
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// What is long ago says nothing of now.
const WINDOW: Duration = Duration::from_secs(10);

/// A percentile of fewer says nothing.
const ANSWERS_MIN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn guard() -> Guard {
        Guard::new("p99=100ms".parse().unwrap())
    }

    /// So many answers that took that long, one every 100 ms.
    fn answers(guard: &mut Guard, from: Duration, count: u32, took: Duration) -> Duration {
        for number in 0..count {
            guard.asked("smtp", from + ms(100) * number);
            guard.answered("smtp", from + ms(100) * number + took);
        }
        from + ms(100) * count
    }

    #[test]
    fn answers_in_time_pass_and_slow_ones_do_not() {
        let mut guard = guard();
        let now = answers(&mut guard, ms(0), 50, ms(100));
        assert_eq!(guard.passed(now), None);
        let now = answers(&mut guard, now, 2, ms(150));
        assert_eq!(guard.passed(now + ms(50)), Some(ms(150)));
    }

    #[test]
    fn an_answer_that_does_not_come_is_noticed_before_it_comes() {
        let mut guard = guard();
        let now = answers(&mut guard, ms(0), 50, ms(1));
        guard.asked("imap", now);
        assert_eq!(guard.passed(now + ms(90)), None);
        assert_eq!(guard.passed(now + ms(400)), Some(ms(400)));
    }

    #[test]
    fn few_answers_say_nothing_and_old_ones_are_forgotten() {
        let mut guard = guard();
        let now = answers(&mut guard, ms(0), 10, ms(900));
        assert_eq!(guard.passed(now), None);
        let now = answers(&mut guard, now, 20, ms(900));
        assert_eq!(guard.passed(now + ms(1000)), Some(ms(900)));
        let now = answers(&mut guard, now + ms(12_000), 20, ms(1));
        assert_eq!(guard.passed(now), None);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_there() {
        let times: Vec<Duration> = (1..=100).map(ms).collect();
        assert_eq!(percentile(&times, 50.0), Some(ms(50)));
        assert_eq!(percentile(&times, 99.0), Some(ms(99)));
        assert_eq!(percentile(&times, 100.0), Some(ms(100)));
        assert_eq!(percentile(&times[..1], 50.0), Some(ms(1)));
        assert_eq!(percentile(&[], 99.0), None);
    }
}
