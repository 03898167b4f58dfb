//! When an engine gives memory back. Counts go in, what is to be done comes out.
//!
//! An engine that nobody uses any more keeps what it has read for those who did. After a minute of
//! that it is opened anew, and holds nothing. Whoever asks it for a row just then waits until it is
//! open: so the longer that took the last time, the longer it has to be quiet for it.

use std::time::Duration;

/// How much an engine was used, from question to question.
#[derive(Debug, Default)]
pub(super) struct Ease {
    /// How long it took to open it anew the last time.
    took: Duration,
    /// How often it had been used when somebody last asked,
    before: u64,
    /// when it last counted what it holds,
    counted: u64,
    /// and when it was opened.
    opened: u64,
    /// How often somebody has asked since it was to count what it holds, and has not.
    asked: u32,
    /// How many of the last questions found that hardly anybody had used it.
    quiet: u32,
}

/// What an engine is to do about the memory that it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Relief {
    /// Count what it holds, so that its cache is as large as it is configured.
    Count,
    /// Hold nothing.
    Reopen,
}

impl Ease {
    /// It has been opened anew, which took so long.
    pub(super) const fn was_opened(&mut self, took: Duration) {
        self.took = took;
    }

    /// What is to be done, for an engine that has been used so often since the beginning; what is
    /// much work only if it `may_work`. To be asked every few seconds.
    pub(super) fn ask(&mut self, used: u64, may_work: bool) -> Option<Relief> {
        let lately = used.saturating_sub(self.before);
        self.before = used;
        self.quiet = if lately <= QUIET_USED {
            self.quiet.saturating_add(1)
        } else {
            0
        };
        if u128::from(self.quiet) >= self.quiet_enough()
            && used.saturating_sub(self.opened) >= REOPEN_FROM_USED
        {
            (self.opened, self.counted, self.asked) = (used, used, 0);
            return Some(Relief::Reopen);
        }
        if used.saturating_sub(self.counted) < COUNT_FROM_USED {
            return None;
        }
        self.asked += 1;
        if may_work && (lately < CALM_USED || self.asked > ASKED_MAX) {
            (self.counted, self.asked) = (used, 0);
            return Some(Relief::Count);
        }
        None
    }

    /// After how many quiet questions nobody uses it any more.
    fn quiet_enough(&self) -> u128 {
        u128::from(QUIET_ASKED).max(self.took.as_millis() / PAUSE_MILLIS)
    }
}

/// Between two questions, some seconds: nobody who notices a pause reads so little. The house itself looks
/// whether there is something to do, now and then.
const QUIET_USED: u64 = 16;

/// So many at least, a minute.
const QUIET_ASKED: u32 = 12;

/// Each may have read another page, of up to 64 KiB: so many are worth it.
const REOPEN_FROM_USED: u64 = 256;

/// For each so many milliseconds that it took to open it there has to be a quiet question more, which
/// is some thousand times as long.
const PAUSE_MILLIS: u128 = 5;

/// To count takes some 30 ms, and so many pages are more than what it reads for that.
const COUNT_FROM_USED: u64 = 4096;

/// Between two questions: who does so little does not wait for anybody.
const CALM_USED: u64 = 256;

/// After so many questions, a minute, it counts whatever goes on.
const ASKED_MAX: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of so many questions, each after so many uses.
    fn ask(ease: &mut Ease, used: &mut u64, each: u64, questions: u32) -> Vec<Relief> {
        let answers = (0..questions).filter_map(|_| {
            *used += each;
            ease.ask(*used, true)
        });
        answers.collect()
    }

    #[test]
    fn who_was_used_and_is_not_any_more_is_opened_anew_once() {
        let (mut ease, mut used) = (Ease::default(), 0);
        assert_eq!(ask(&mut ease, &mut used, 0, 100), [], "nobody ever used it");
        assert_eq!(ask(&mut ease, &mut used, 300, 1), []);
        assert_eq!(ask(&mut ease, &mut used, QUIET_USED, QUIET_ASKED - 1), []);
        assert_eq!(ask(&mut ease, &mut used, 1, 1), [Relief::Reopen]);
        assert_eq!(ask(&mut ease, &mut used, 1, 100), [], "it holds nothing");
        ask(&mut ease, &mut used, 300, 1);
        let again = ask(&mut ease, &mut used, 0, 100);
        assert_eq!(again, [Relief::Reopen], "it was used again");
    }

    #[test]
    fn who_is_used_a_little_all_the_time_only_counts_what_it_holds() {
        let (mut ease, mut used) = (Ease::default(), 0);
        let answers = ask(&mut ease, &mut used, QUIET_USED + 1, 10_000);
        assert!(!answers.is_empty() && answers.len() < 50, "{answers:?}");
        assert!(answers.iter().all(|answer| *answer == Relief::Count));
    }

    #[test]
    fn who_is_never_calm_counts_what_it_holds_now_and_then() {
        let (mut ease, mut used) = (Ease::default(), 0);
        let answers = ask(&mut ease, &mut used, COUNT_FROM_USED, 130);
        assert_eq!(answers, [Relief::Count; 10]);
    }

    #[test]
    fn much_work_waits_until_it_may_be_done_and_quiet_time_is_counted_meanwhile() {
        let (mut ease, mut used) = (Ease::default(), 0);
        used += 2 * COUNT_FROM_USED;
        let asked = (0..QUIET_ASKED).map(|_| ease.ask(used, false));
        assert!(asked.flatten().next().is_none(), "the first was not quiet");
        assert_eq!(ease.ask(used, false), Some(Relief::Reopen));
        used += 2 * COUNT_FROM_USED;
        assert_eq!(ease.ask(used, true), None, "somebody is at work");
        assert_eq!(ease.ask(used, false), None);
        assert_eq!(ask(&mut ease, &mut used, 0, 1), [Relief::Count]);
    }

    #[test]
    fn who_takes_long_to_open_must_be_quiet_for_longer() {
        let (mut ease, mut used) = (Ease::default(), 0);
        ask(&mut ease, &mut used, 300, 1);
        ease.was_opened(Duration::from_secs(1));
        assert_eq!(ask(&mut ease, &mut used, 0, 199), []);
        assert_eq!(ask(&mut ease, &mut used, 0, 1), [Relief::Reopen]);
    }
}
