//! That an incarnation is there, told to its supervisor at the very end of it.
//!
//! ractor tells a supervisor of an end *before* the actor's state is dropped, says nothing of a
//! failed start, and lets grandchildren live on for a moment when their parent is killed. A
//! presence is told exactly once, as the last thing of all: the actor holds it, and so does the
//! presence of each of its children. When the last of them is gone, and their states with them,
//! the presence is dropped and the supervisor hears why the incarnation ended.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use ractor::ActorCell;
use tokio::time::Instant;

use crate::{
    cause::ExitCause,
    crash::let_go,
    flight::{Began, Flight, Last},
    metrics as count,
    name::Name,
};

/// Held by everything that keeps one incarnation alive.
pub(crate) struct Presence {
    cause: OnceLock<ExitCause>,
    /// Taken at the very end.
    host: Option<Box<dyn Host>>,
    /// The supervisor's own presence: it is not gone before its children are.
    parent: Mutex<Option<Arc<Self>>>,
    flight: Flight,
    since: Instant,
    /// What has happened to it so far, a bit each.
    past: AtomicU8,
}

/// The supervisor's side of an incarnation.
pub(crate) trait Host: Send + Sync {
    /// It has come up and hears what it is told.
    fn up(&self, cell: &ActorCell, took: Duration);

    /// What the actor is called in metrics.
    fn kind(&self) -> &Name;

    /// Nothing of it is left; after a crash, that is the last that is known of it.
    fn gone(self: Box<Self>, cause: ExitCause, last: Option<Box<Last>>);
}

impl Presence {
    pub(crate) fn new(host: Box<dyn Host>, parent: Option<Arc<Self>>) -> Self {
        Self {
            cause: OnceLock::new(),
            host: Some(host),
            parent: Mutex::new(parent),
            flight: Flight::default(),
            since: Instant::now(),
            past: AtomicU8::new(0),
        }
    }

    /// Its `pre_start` is through and ractor runs it; false if it has been counted out and
    /// must not take the place of its successor.
    pub(crate) fn begins(&self) -> bool {
        self.past.fetch_or(BEGUN, Ordering::AcqRel) & ABANDONED == 0
    }

    /// Whether it can be drained: before it has begun that would make its start fail.
    pub(crate) fn has_begun(&self) -> bool {
        self.past.load(Ordering::Acquire) & BEGUN != 0
    }

    /// Tells the supervisor that the incarnation is up; once.
    pub(crate) fn up(&self, cell: &ActorCell) {
        let is_news = self.past.fetch_or(UP, Ordering::AcqRel) & UP == 0;
        if let (true, Some(host)) = (is_news, &self.host) {
            host.up(cell, self.since.elapsed());
        }
    }

    /// Notes why the incarnation ends; the first cause stays.
    pub(crate) fn ends(&self, cause: ExitCause) {
        let _ = self.cause.set(cause);
    }

    /// What it does and has done.
    pub(crate) fn flight(&self) -> &Flight {
        &self.flight
    }

    /// The handler of a message has returned, and all is well.
    pub(crate) fn handled(&self, began: Began) {
        self.flight.ends(began, || match &self.host {
            Some(host) => count::handle_seconds(host.kind()),
            None => metrics::Histogram::noop(), // it is taken at the very end
        });
    }

    /// Drops what the incarnation leaves behind; if that panics, it is told and goes no further.
    pub(crate) fn lets_go<T>(&self, theirs: T) {
        if let Some(host) = &self.host {
            let_go(host.kind(), theirs);
        }
    }

    /// Cuts it from its supervisor's presence: an incarnation that cannot be killed must not hold
    /// up everybody above it.
    pub(crate) fn abandon(&self) {
        self.past.fetch_or(ABANDONED, Ordering::AcqRel);
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
        let is_up = *self.past.get_mut() & UP != 0;
        let cause = match (self.cause.take(), is_up) {
            (Some(cause), true) => cause,
            (Some(cause @ ExitCause::StartFailed(_)), false) => cause,
            (Some(ExitCause::Normal), false) => ExitCause::Cancelled,
            (Some(cause), false) => ExitCause::StartFailed(Box::new(cause)),
            // No handler ended and yet it is gone: it was killed, or its runtime went away.
            (None, true) => ExitCause::Killed,
            (None, false) => ExitCause::StartFailed(Box::new(ExitCause::Killed)),
        };
        if let Some(host) = self.host.take() {
            let last = cause.is_abnormal().then(|| Box::new(self.flight.last()));
            host.gone(cause, last);
        }
    }
}

const BEGUN: u8 = 1;
const UP: u8 = 2;
const ABANDONED: u8 = 4;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Teller(Sender<(&'static str, ExitCause)>, &'static str);

    impl Host for Teller {
        fn up(&self, _: &ActorCell, _: Duration) {}

        fn kind(&self) -> &Name {
            unreachable!("it hears no messages")
        }

        fn gone(self: Box<Self>, cause: ExitCause, _: Option<Box<Last>>) {
            self.0.send((self.1, cause)).unwrap();
        }
    }

    #[test]
    fn a_parent_is_gone_once_its_children_are_unless_they_are_counted_out() {
        let (tell, told) = channel();
        let of = |name, parent: Option<&Arc<Presence>>| {
            Arc::new(Presence::new(
                Box::new(Teller(tell.clone(), name)),
                parent.cloned(),
            ))
        };
        let parent = of("parent", None);
        let (child, stuck) = (of("child", Some(&parent)), of("stuck", Some(&parent)));
        parent.ends(ExitCause::Normal);
        drop(parent);
        assert!(told.try_recv().is_err());
        drop(child);
        assert_eq!(
            told.try_iter().map(|told| told.0).collect::<Vec<_>>(),
            ["child"]
        );
        stuck.abandon();
        assert_eq!(
            told.try_iter().map(|told| told.0).collect::<Vec<_>>(),
            ["parent"]
        );
    }

    #[test]
    fn an_end_is_told_by_what_was_noted_first_and_by_whether_it_had_been_up() {
        let (tell, told) = channel();
        let end = |causes: &[ExitCause]| {
            let presence = Presence::new(Box::new(Teller(tell.clone(), "")), None);
            causes.iter().for_each(|cause| presence.ends(cause.clone()));
            drop(presence);
            told.recv().unwrap().1
        };
        assert_eq!(end(&[]).to_string(), "start failed: killed");
        assert!(matches!(end(&[ExitCause::Normal]), ExitCause::Cancelled));
        assert!(matches!(
            end(&[ExitCause::Killed, ExitCause::Normal]),
            ExitCause::StartFailed(_)
        ));
    }
}
