//! Keeps location and backtrace of a panic for the frame, and keeps storms of panics out of the log.
//!
//! A panic hook runs on the panicking thread before unwinding begins, and the frame catches the
//! unwinding on that same thread: a thread-local is all that has to lie between the two.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    pin::pin,
    sync::Once,
    task::Poll,
};

use crate::{cause::PanicReport, ration::Ration, stack::Stack};

/// Installs the frame's panic hook in front of the present one; more than once is harmless.
///
/// A panic inside a supervised actor is kept for its [`ExitCause`](crate::ExitCause) and not
/// printed: its supervisor logs it. Every other panic goes to the hook that was there before.
/// Starting a root supervisor calls this.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CATCHING.try_with(|depth| depth.get() > 0).unwrap_or(false) {
                keep(info);
            } else {
                previous(info);
            }
        }));
    });
}

/// Runs `future`; a panic in it becomes a report.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, PanicReport> {
    let mut future = pin!(future);
    poll_fn(
        move |context| match caught_now(|| future.as_mut().poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(report) => Poll::Ready(Err(report)),
        },
    )
    .await
}

/// Runs `f`; a panic in it becomes a report.
pub(crate) fn caught_now<T>(f: impl FnOnce() -> T) -> Result<T, PanicReport> {
    let _catching = Catching::enter();
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(report)
}

/// The panic being unwound on this thread, told by the payload and by what the hook kept.
fn report(payload: Box<dyn Any + Send>) -> PanicReport {
    let message = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "a panic without a text".to_owned(),
        },
    };
    let kept = KEPT.with(RefCell::take);
    let (location, backtrace) = kept.map_or((None, None), |kept| (kept.location, kept.backtrace));
    PanicReport {
        message,
        location,
        backtrace,
    }
}

fn keep(info: &PanicHookInfo<'_>) {
    static BACKTRACES: Ration = Ration::per_second(BACKTRACES_PER_SECOND);
    let kept = Kept {
        location: info.location().map(ToString::to_string),
        backtrace: BACKTRACES.take().then(Stack::take).flatten(),
    };
    let _ = KEPT.try_with(|slot| slot.replace(Some(kept))); // a dying thread keeps nothing
}

struct Kept {
    location: Option<String>,
    backtrace: Option<Stack>,
}

/// While it lives, panics on this thread belong to the frame.
struct Catching;

impl Catching {
    fn enter() -> Self {
        CATCHING.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Catching {
    fn drop(&mut self) {
        CATCHING.with(|depth| depth.set(depth.get() - 1));
    }
}

thread_local! {
    static CATCHING: Cell<u32> = const { Cell::new(0) };
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Walking a stack costs some 20 µs: a storm of panics must not pay for each.
const BACKTRACES_PER_SECOND: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_panic_keeps_text_and_place() {
        install_panic_hook();
        let report = caught_now(|| panic!("egg {}", 7)).unwrap_err();
        assert_eq!(report.message, "egg 7");
        assert!(report.location.unwrap().contains("panic_hook.rs:"));
    }

    #[test]
    fn what_was_kept_of_one_panic_is_not_told_of_the_next() {
        install_panic_hook();
        let first = caught_now(|| panic!("first")).unwrap_err();
        let second = caught_now(|| panic!("second")).unwrap_err();
        assert_ne!(first.location, second.location);
    }
}
