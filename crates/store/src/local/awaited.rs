//! Who waits for the store to be opened anew.

use std::sync::{Mutex, PoisonError};

use crate::port::{Pending, Promise};

/// Whoever waits, from one life of the store to the next.
#[derive(Default)]
pub(super) struct Awaited(Mutex<Vec<Promise<()>>>);

impl Awaited {
    /// Resolves at once if the store `is_there`, else with the next [`Awaited::tell`].
    ///
    /// It is looked at while nobody can be told: whoever opens the store tells it afterwards, and
    /// so finds everybody who had not seen it.
    pub(super) fn wait(&self, is_there: impl FnOnce() -> bool) -> Pending<()> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_there() {
            return Pending::ready(Ok(()));
        }
        let (promise, pending) = Pending::promise();
        waiting.push(promise);
        pending
    }

    /// The store is open.
    pub(super) fn tell(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut *waiting);
        for promise in waiting {
            promise.keep(Ok(()));
        }
    }
}
