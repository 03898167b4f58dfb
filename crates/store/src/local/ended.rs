//! Who is told when the store has ended without being asked to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::port::{Pending, Promise};

/// Whoever waits for the end of one life of the store.
pub(super) struct Ended(Mutex<Waiting>);

enum Waiting {
    For(Vec<Promise<()>>),
    Over,
}

impl Ended {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Waiting::For(Vec::new())))
    }

    /// Resolves at the end; at once when it was before.
    pub(super) fn wait(&self) -> Pending<()> {
        let (promise, pending) = Pending::promise();
        match &mut *self.lock() {
            Waiting::For(promises) => promises.push(promise),
            Waiting::Over => return Pending::ready(Ok(())),
        }
        pending
    }

    /// Tells everybody.
    pub(super) fn tell(&self) {
        let before = std::mem::replace(&mut *self.lock(), Waiting::Over);
        if let Waiting::For(promises) = before {
            for promise in promises {
                promise.keep(Ok(()));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
