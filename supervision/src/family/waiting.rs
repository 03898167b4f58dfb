//! Messages that wait for an incarnation.

use std::sync::{Mutex, PoisonError};

/// Messages in the order in which they came.
///
/// Messages need not be `Sync`, and yet their slot is read by many: the lock is what the compiler
/// asks for. Whoever changes anything has exclusive access and does not take it.
#[derive(Debug)]
pub(super) struct Waiting<M>(Mutex<Vec<M>>);

impl<M> Waiting<M> {
    pub(super) fn new(messages: Vec<M>) -> Self {
        Self(Mutex::new(messages))
    }

    pub(super) fn as_mut(&mut self) -> &mut Vec<M> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&mut self) -> Vec<M> {
        std::mem::take(self.as_mut())
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
impl<M: Copy> Waiting<M> {
    pub(super) fn to_vec(&self) -> Vec<M> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
