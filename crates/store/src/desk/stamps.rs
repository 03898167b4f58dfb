//! Stamps: what was looked up is remembered until what it was read from may have changed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Gives out stamps. What is remembered with one counts only while it is the newest: a newer one
/// comes when limits or domains change, and when what was read may have been lost.
#[derive(Debug)]
pub(super) struct Stamps(AtomicU64);

/// What was known when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp(Option<u64>);

impl Stamps {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(1)) // nobody has the stamp of what was never remembered
    }

    /// Something has changed. To be called when the change is committed, before its locks are
    /// free, and again when it is durable: some read only what is.
    pub(super) fn forget(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// To be taken before anything is read: what changes meanwhile makes it old. Both of what it is
    /// made of only ever rise.
    pub(super) fn stamp(&self, generation: u64) -> Stamp {
        let stamp = generation.checked_add(self.0.load(Ordering::Acquire));
        Stamp(stamp.filter(|stamp| *stamp < 1 << STAMP_BITS))
    }
}

impl Stamp {
    /// Its number; none between two lives of the store, when nothing is to be remembered.
    pub(super) const fn number(self) -> Option<u64> {
        self.0
    }
}

/// The octets of a stamp leave room for something that is remembered with it.
pub(super) const STAMP_BITS: u32 = 40;
