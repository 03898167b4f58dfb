//! What went wrong with a member before.

use std::time::Duration;

use super::words::Rules;
use crate::cause::ExitCause;

/// What went wrong before.
#[derive(Debug)]
pub(super) struct Past {
    failures: Vec<Duration>,
    in_a_row: u32,
    pub(super) last_cause: ExitCause,
}

impl Past {
    pub(super) fn new() -> Self {
        Self {
            failures: Vec::new(),
            in_a_row: 0,
            last_cause: ExitCause::Normal,
        }
    }

    /// Counts a failure; true if there have been more than the intensity bears.
    pub(super) fn is_too_much(&mut self, cause: ExitCause, now: Duration, rules: &Rules) -> bool {
        self.last_cause = cause;
        let window = rules.intensity.window;
        self.failures.retain(|&at| now.saturating_sub(at) <= window);
        self.failures.push(now);
        self.failures.len() > rules.intensity.restarts_max as usize
    }

    /// How long to wait before it is started again; `lived`: how long it had been up, if it was.
    pub(super) fn pause(
        &mut self,
        lived: Option<Duration>,
        chance: f64,
        rules: &Rules,
    ) -> Duration {
        let Some(backoff) = rules.backoff else {
            return Duration::ZERO;
        };
        if lived.is_some_and(|lived| lived >= backoff.reset_after) {
            self.in_a_row = 0;
        }
        let pause = backoff.pause(self.in_a_row, chance);
        self.in_a_row = self.in_a_row.saturating_add(1);
        pause
    }
}
