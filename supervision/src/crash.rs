//! What is said of a crash, and what becomes of what it leaves behind.

use std::fmt;

use crate::{cause::ExitCause, name::Name, panic_hook::caught_now, ration::Ration};

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

/// One line per crash, as long as there are not too many of them.
pub(crate) fn log_crash(who: impl fmt::Display, cause: &ExitCause) {
    static LINES: Ration = Ration::per_second(CRASH_LINES_PER_SECOND);
    if !LINES.take() {
        return;
    }
    match cause.panic().and_then(|report| report.backtrace.as_ref()) {
        Some(backtrace) => tracing::error!(child = %who, %cause, %backtrace, "crashed"),
        None => tracing::error!(child = %who, %cause, "crashed"),
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
