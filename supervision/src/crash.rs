//! What is said of a crash, and what becomes of what it leaves behind.

use std::sync::Arc;

use crate::{
    cause::ExitCause,
    flight::{InHand, Last, Recent},
    name::Name,
    panic_hook::caught_now,
    ration::Ration,
};

/// Drops what belongs to the children: the state of one that was killed between two messages, or
/// what nobody will hear any more. A panic on that way is theirs, and must not bring us down.
pub(crate) fn let_go<T>(who: &Name, theirs: T) {
    if let Err(report) = caught_now(|| drop(theirs)) {
        tracing::error!(supervisor = %who, %report, "what a child left behind panicked");
    }
}

/// Whether an end is worth a line in the log. Who was asked to end may be killed for being late,
/// and that has been said already; any other failure on that way is a crash like another.
pub(crate) fn is_crash(cause: &ExitCause, asked: bool) -> bool {
    let is_late = matches!(cause, ExitCause::Killed | ExitCause::ShutdownTimeout);
    cause.is_abnormal() && !(asked && is_late)
}

/// A crash, as the hook of [`Supervisor::on_crash`](crate::Supervisor::on_crash) is told of it.
#[derive(Clone, Debug)]
pub struct Crash {
    /// Where in the tree: `house/router`, or `house/mailboxes[17]`.
    pub path: String,
    /// How it ended: [`ExitCause::kind`], or `stuck` if it was killed because its handler did not
    /// return in time.
    pub kind: &'static str,
    /// What it had in hand, if it said so by [`in_hand`](crate::in_hand).
    pub in_hand: Option<InHand>,
    /// How it ended, with the place and the stack of a panic.
    pub cause: ExitCause,
    /// Its last messages, the newest first.
    pub recent: Vec<Recent>,
}

/// Told of every crash. It must not wait.
pub(crate) type CrashHook = Arc<dyn Fn(&Crash) + Send + Sync>;

impl Crash {
    pub(crate) fn new(path: String, cause: &ExitCause, last: Option<Box<Last>>) -> Self {
        let last = last.map(|last| *last).unwrap_or_default();
        Self {
            path,
            kind: match cause {
                ExitCause::Killed if last.is_stuck => "stuck",
                cause => cause.kind(),
            },
            in_hand: last.in_hand,
            cause: cause.clone(),
            recent: last.recent,
        }
    }

    /// Tells the hook, and the log as long as there are not too many crashes.
    pub(crate) fn tell(&self, hook: Option<&CrashHook>) {
        self.log();
        let told = hook.map(|hook| caught_now(|| hook(self)));
        if let Some(Err(report)) = told {
            tracing::error!(%report, "the crash hook panicked");
        }
    }

    fn log(&self) {
        static LINES: Ration = Ration::per_second(CRASH_LINES_PER_SECOND);
        if !LINES.take() {
            return;
        }
        let Self {
            path, kind, cause, ..
        } = self;
        let in_hand = self.in_hand.as_ref().map(tracing::field::display);
        let recent: Vec<_> = self.recent.iter().map(|message| message.kind).collect();
        let panic = cause.panic();
        match panic.and_then(|report| report.backtrace.as_ref()) {
            Some(backtrace) => {
                tracing::error!(child = %path, kind, in_hand, ?recent, %cause, %backtrace, "crashed");
            }
            None => tracing::error!(child = %path, kind, in_hand, ?recent, %cause, "crashed"),
        }
    }
}

/// What an operator can read.
const CRASH_LINES_PER_SECOND: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_on_the_way_out_is_told_and_a_kill_for_being_late_is_not_told_twice() {
        let failed = ExitCause::from_error("post_stop failed".into());
        assert!(is_crash(&failed, true));
        assert!(is_crash(&ExitCause::Killed, false));
        assert!(!is_crash(&ExitCause::ShutdownTimeout, true));
        assert!(!is_crash(&ExitCause::Normal, false));
    }
}
