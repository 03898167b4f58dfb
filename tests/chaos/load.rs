//! How long clients work: so many turns, or until they are told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// The turns that clients share.
#[derive(Clone, Debug)]
pub(crate) struct Load(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    is_over: AtomicBool,
    left: AtomicU64,
    taken: AtomicU64,
}

impl Load {
    /// So many turns at most.
    pub(crate) fn of(turns: u64) -> Self {
        Self(Arc::new(Shared {
            is_over: AtomicBool::new(false),
            left: AtomicU64::new(turns),
            taken: AtomicU64::new(0),
        }))
    }

    /// Takes a turn; false if there is none.
    pub(crate) fn turn(&self) -> bool {
        let order = Ordering::Relaxed;
        let is_over = self.0.is_over.load(order);
        let one_less = |left: u64| left.checked_sub(1);
        let taken = !is_over && self.0.left.fetch_update(order, order, one_less).is_ok();
        self.0.taken.fetch_add(u64::from(taken), order);
        taken
    }

    /// How many turns were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}
