//! A value that may be exchanged while actors use it.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

/// A setting that an operator may change while the house stands. Clones show the same value, also
/// after [`set`](Self::set). Whoever uses it looks each time, and keeps what it got for as long as
/// that one use takes.
pub struct Live<T>(Arc<ArcSwap<T>>);

impl<T> Live<T> {
    /// Shows `value` from now on.
    pub fn new(value: T) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Exchanges the value. The old one is dropped with its last user.
    pub fn set(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Live").field(&*self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_show_what_was_set_and_who_uses_the_old_value_keeps_it() {
        let live = Live::new(1);
        let (clone, old) = (live.clone(), live.get());
        live.set(2);
        assert_eq!((*old, *clone.get()), (1, 2));
    }
}
