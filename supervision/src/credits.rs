//! How many things may be under way to one target at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of credits for one target. Clones are the same credits.
///
/// Credits are awaited downwards only (listener, session, queue or mailbox, store), or two who
/// wait for each other wait for ever. A hint that finds none is dropped: the store has the fact.
#[derive(Clone, Debug)]
pub struct Credits(Arc<Semaphore>);

/// One credit; comes back when this is dropped.
#[derive(Debug)]
#[must_use = "a credit that is dropped comes back at once"]
pub struct Credit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Credits {
    /// This many credits.
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes one, if there is one.
    pub fn try_take(&self) -> Option<Credit> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Credit {
            _permit: Some(permit),
        })
    }

    /// Waits for one; who asked first gets it first.
    pub async fn take(&self) -> Credit {
        // The semaphore is never closed, so there always is a permit in the end.
        Credit {
            _permit: Arc::clone(&self.0).acquire_owned().await.ok(),
        }
    }

    /// How many are left.
    pub fn free(&self) -> usize {
        self.0.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_credit_goes_to_whoever_waits() {
        let credits = Credits::new(1);
        let held = credits.take().await;
        assert!(credits.try_take().is_none());
        let (got, ()) = tokio::join!(credits.take(), async { drop(held) });
        assert_eq!(credits.free(), 0);
        drop(got);
        assert_eq!(credits.free(), 1);
    }
}
