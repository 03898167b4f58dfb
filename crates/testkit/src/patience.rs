//! Waiting with a bound: the only place in the tests where time passes.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How long something may take that takes milliseconds on an idle machine.
pub const SHORT: Duration = Duration::from_secs(20);

/// How long something may take that takes seconds on an idle machine.
pub const LONG: Duration = Duration::from_secs(120);

/// Asks again and again until the answer is yes.
///
/// # Panics
/// When `limit` has passed, with `what` was waited for.
pub fn until(what: impl Display, limit: Duration, mut happened: impl FnMut() -> bool) {
    until_some(what, limit, || happened().then_some(()));
}

/// Asks again and again until there is an answer, and returns it.
///
/// # Panics
/// When `limit` has passed, with `what` was waited for.
pub fn until_some<T>(what: impl Display, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        thread::park_timeout(pause); // may wake early, which does no harm
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
