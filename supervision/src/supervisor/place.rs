//! What a supervisor's shell knows of one child, and how it ends it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use ractor::{ActorCell, ActorRef};
use tokio::{sync::oneshot, time::Instant};

use super::{actor::SupervisorMsg, roster::NotStarted};
use crate::{
    cause::ExitCause,
    flight::Last,
    metrics as count,
    name::Name,
    presence::{Host, Presence},
    spec::{ChildSpec, Shutdown},
    start::Child,
    tree::Node,
};

/// What the shell knows of one child.
pub(super) struct Place {
    pub(super) spec: ChildSpec,
    pub(super) node: Arc<Node>,
    pub(super) path: Name,
    pub(super) live: Option<Live>,
    pub(super) last_cause: ExitCause,
    /// Who added it and waits for it to come up.
    pub(super) joining: Option<oneshot::Sender<Result<(), NotStarted>>>,
    /// Who had it taken away and waits for its end.
    pub(super) leaving: Vec<oneshot::Sender<bool>>,
}

/// An incarnation that is there.
pub(super) struct Live {
    pub(super) incarnation: u64,
    pub(super) child: Option<Child>,
    pub(super) presence: Weak<Presence>,
    pub(super) asked_to_stop: Option<Instant>,
    pub(super) timed_out: bool,
}

impl Place {
    /// An empty place below the supervisor at `path`.
    pub(super) fn new(spec: ChildSpec, path: &Name, above: &Node) -> Self {
        Self {
            node: above.below(&spec),
            path: path.join(&spec.name),
            live: None,
            last_cause: ExitCause::Normal,
            joining: None,
            leaving: Vec::new(),
            spec,
        }
    }

    pub(super) fn stop(&mut self) {
        let Some(live) = &mut self.live else { return };
        live.asked_to_stop = Some(Instant::now());
        self.node.stopping();
        let Some(child) = &live.child else { return };
        let presence = live.presence.upgrade();
        let has_begun = presence.is_some_and(|presence| presence.has_begun());
        match (&child.frame, self.spec.shutdown) {
            (Some(frame), _) => frame.shut_down(),
            // A drain before it has begun would make its start fail: it has nothing to drain yet.
            (None, Shutdown::Drain(_)) if has_begun => {
                let _ = child.cell.drain(); // who has ended needs no telling
            }
            (None, _) => child.cell.stop(None),
        }
    }

    pub(super) fn kill(&mut self) {
        let Some(live) = &mut self.live else { return };
        match live.asked_to_stop {
            Some(_) => {
                live.timed_out = true;
                count::shutdown_timed_out(&self.spec.name);
                tracing::warn!(child = %self.path, "did not stop in time and is killed");
            }
            None => live.asked_to_stop = Some(Instant::now()),
        }
        self.node.stopping();
        if let Some(child) = &live.child {
            child.cell.kill();
        }
    }
}

/// The supervisor's side of a child's incarnation.
pub(super) struct ChildHost {
    pub(super) supervisor: ActorRef<SupervisorMsg>,
    pub(super) child: usize,
    pub(super) incarnation: u64,
    pub(super) name: Name,
}

impl Host for ChildHost {
    fn up(&self, _: &ActorCell, took: Duration) {
        count::started(&self.name, took);
        let (child, incarnation) = (self.child, self.incarnation);
        // A supervisor that has ended has killed us already.
        let _ = self
            .supervisor
            .cast(SupervisorMsg::Up { child, incarnation });
    }

    fn kind(&self) -> &Name {
        &self.name
    }

    fn gone(self: Box<Self>, cause: ExitCause, last: Option<Box<Last>>) {
        let (child, incarnation) = (self.child, self.incarnation);
        let _ = self.supervisor.cast(SupervisorMsg::Gone {
            child,
            incarnation,
            cause,
            last,
        });
    }
}
