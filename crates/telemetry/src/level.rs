//! A gauge's share that is taken back by itself.

use std::fmt;

use crate::cache::Handle;

/// One in a gauge, as long as this lives: made by [`Metric::hold`](crate::Metric::hold).
pub struct Held(Handle);

impl Held {
    pub(crate) fn new(handle: Handle) -> Self {
        if let Handle::Gauge(gauge) = &handle {
            gauge.increment(1.0);
        }
        Self(handle)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Handle::Gauge(gauge) = &self.0 {
            gauge.decrement(1.0);
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}
