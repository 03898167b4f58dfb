//! What a supervisor's core is told and what it says.

use std::time::Duration;

use crate::spec::{Backoff, Restart, Shutdown};

/// What the supervisor knows of one child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) significant: bool,
}

/// What the supervisor is told. Children are told by their place; incarnations never repeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// The time of a [`Command::Wake`] has come.
    Alarm(u64),
    /// Start everything.
    Begin,
    /// An incarnation is gone, and everything below it.
    Gone {
        child: usize,
        incarnation: u64,
        abnormal: bool,
    },
    /// Stop this child and take it away for good.
    Remove { child: usize },
    /// Stop everything.
    Stop,
    /// An incarnation is up.
    Up { child: usize, incarnation: u64 },
}

/// What the shell must do, in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    /// Count it out: it was killed and is still there.
    Abandon { child: usize, incarnation: u64 },
    /// End with this.
    Finish(Finish),
    /// It is gone for good: let go of its spec.
    Forget { child: usize },
    /// Drop its handler.
    Kill { child: usize, incarnation: u64 },
    /// Start a new incarnation.
    Start {
        child: usize,
        incarnation: u64,
        restart: bool,
    },
    /// Ask it to stop in the way its spec says.
    Stop { child: usize, incarnation: u64 },
    /// All children have been up: tell whoever is above.
    Up,
    /// Tell me when this much time has passed.
    Wake { alarm: u64, after: Duration },
}

/// Why a supervisor ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Finish {
    /// Its significant children have ended by themselves.
    Auto,
    /// This child failed once too often.
    Escalate { child: usize },
    /// This child's first start failed.
    StartFailed { child: usize },
    /// It was asked to.
    Stopped,
}
