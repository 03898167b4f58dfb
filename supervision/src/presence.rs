//! That an incarnation is there, told to its supervisor at the very end of it.
//!
//! ractor tells a supervisor of an end *before* the actor's state is dropped, says nothing of a
//! failed start, and lets grandchildren live on for a moment when their parent is killed. A
//! presence is told exactly once, as the last thing of all: the actor holds it, and so does the
//! presence of each of its children. When the last of them is gone, and their states with them,
//! the presence is dropped and the supervisor hears why the incarnation ended.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ractor::ActorCell;
use tokio::time::Instant;

use crate::{cause::ExitCause, pulse::Pulse};

/// Held by everything that keeps one incarnation alive.
pub(crate) struct Presence {
    cause: OnceLock<ExitCause>,
    host: Box<dyn Host>,
    /// The supervisor's own presence: it is not gone before its children are.
    parent: Mutex<Option<Arc<Presence>>>,
    pulse: Option<Arc<Pulse>>,
    since: Instant,
    up: OnceLock<()>,
}

/// The supervisor's side of an incarnation.
pub(crate) trait Host: Send + Sync {
    /// It has come up and hears what it is told.
    fn up(&self, cell: &ActorCell, took: std::time::Duration);

    /// Nothing of it is left.
    fn gone(&self, cause: ExitCause);
}

impl Presence {
    pub(crate) fn new(host: Box<dyn Host>, parent: Option<Arc<Self>>) -> Self {
        Self {
            cause: OnceLock::new(),
            host,
            parent: Mutex::new(parent),
            pulse: None,
            since: Instant::now(),
            up: OnceLock::new(),
        }
    }

    /// The same presence, with a pulse that a supervisor can feel.
    pub(crate) fn with_pulse(mut self, pulse: Option<Arc<Pulse>>) -> Self {
        self.pulse = pulse;
        self
    }

    /// Tells the supervisor that the incarnation is up; once.
    pub(crate) fn up(&self, cell: &ActorCell) {
        if self.up.set(()).is_ok() {
            self.host.up(cell, self.since.elapsed());
        }
    }

    /// Notes why the incarnation ends; the first cause stays.
    pub(crate) fn ends(&self, cause: ExitCause) {
        let _ = self.cause.set(cause);
    }

    pub(crate) fn pulse(&self) -> Option<&Pulse> {
        self.pulse.as_deref()
    }

    /// Cuts it from its supervisor's presence: an incarnation that cannot be killed must not hold
    /// up everybody above it.
    pub(crate) fn abandon(&self) {
        let parent = self
            .parent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(parent); // outside the lock: it may be the last, and tell its own supervisor
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let is_up = self.up.get().is_some();
        let cause = match (self.cause.take(), is_up) {
            (Some(cause), true) => cause,
            (Some(cause @ ExitCause::StartFailed(_)), false) => cause,
            (Some(ExitCause::Normal) | None, false) => ExitCause::Cancelled,
            (Some(cause), false) => ExitCause::StartFailed(Box::new(cause)),
            // No handler ended and yet it is gone: it was killed, or its runtime went away.
            (None, true) => ExitCause::Killed,
        };
        self.host.gone(cause);
    }
}
