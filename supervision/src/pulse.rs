//! Feels whether an actor's handler returns.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Since when a handler has been running; shared by the actor and its supervisor.
#[derive(Default)]
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    /// A handler begins; it has returned, or was dropped, once the beat is dropped.
    pub(crate) fn beat(&self) -> Beat<'_> {
        self.0.store(now(), Ordering::Relaxed);
        Beat(self)
    }

    /// For how long the present handler has been running.
    pub(crate) fn busy(&self) -> Option<Duration> {
        let since = self.0.load(Ordering::Relaxed);
        (since > 0).then(|| Duration::from_micros(now().saturating_sub(since)))
    }
}

/// A running handler.
pub(crate) struct Beat<'a>(&'a Pulse);

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        self.0.0.store(0, Ordering::Relaxed);
    }
}

/// Microseconds, never zero.
fn now() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let micros = EPOCH.get_or_init(Instant::now).elapsed().as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX - 1) + 1
}
