//! What a member's core is told and what it says.

use std::{any::Any, fmt, time::Duration};

use crate::{
    cause::ExitCause,
    core::KILL_GRACE,
    family::{
        refused::Reason,
        spec::{FamilySpec, Revive},
    },
    spec::{Backoff, Intensity, Restart, Shutdown},
};

/// What the decisions about a member depend on; the same for all of a family.
#[derive(Clone, Copy, Debug)]
pub(in crate::family) struct Rules {
    pub(in crate::family) restart: Restart,
    pub(in crate::family) shutdown: Shutdown,
    pub(in crate::family) intensity: Intensity,
    pub(in crate::family) backoff: Option<Backoff>,
    pub(in crate::family) revive: Revive,
    /// Whether messages for a member that is leaving wait for its next incarnation.
    pub(in crate::family) has_next: bool,
    /// Whether a member that was passivated stays in the books, whatever it leaves.
    pub(in crate::family) sleeps: bool,
    pub(in crate::family) buffer_max: usize,
    pub(in crate::family) quarantine: Duration,
}

/// What a core is told. Incarnations never repeat.
#[derive(Debug)]
pub(in crate::family) enum Event<M> {
    /// The time of a [`Command::Wake`] has come.
    Alarm(Alarm),
    /// Somebody sends.
    Cast { message: M, room: Room },
    /// The family ends.
    Close,
    /// Nothing of that incarnation is left.
    Gone {
        incarnation: u64,
        cause: ExitCause,
        spread: Spread,
    },
    /// That incarnation sends to the one after it.
    HandOn { incarnation: u64, message: M },
    /// The shard has the time to start it, and would give it this number.
    Launch { incarnation: u64 },
    /// Somebody outside wants it to end.
    Leave,
    /// The shard has ended, and whoever was there with it; the next one takes over.
    Orphan { spread: Spread },
    /// That incarnation wants to be forgotten, or to sleep if it leaves something.
    Passivate {
        incarnation: u64,
        left: Option<Left>,
    },
    /// Somebody wants it to be there.
    Start { room: Room },
    /// These could not be delivered: it takes no messages any more. `waited`: they are the rest of
    /// what had waited for it.
    Undelivered { messages: Vec<M>, waited: bool },
    /// That incarnation is up.
    Up { incarnation: u64 },
}

/// How those who fall together are kept from coming back together.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::family) struct Spread {
    /// 0 to 1: spreads the pauses of a backoff.
    pub(in crate::family) chance: f64,
    /// How long it is until its turn: nothing, unless a crowd has fallen.
    pub(in crate::family) turn: Duration,
}

/// What the shell must do, in order.
#[derive(Debug)]
pub(in crate::family) enum Command<M> {
    /// Count it out: it was killed and is still there.
    Abandon,
    /// Send it these, in order; what it does not take comes back as [`Event::Undelivered`].
    Deliver { messages: Vec<M>, waited: bool },
    /// Ask it to end once its inbox is empty.
    Drain,
    /// Nobody will hear these.
    Drop(Vec<M>),
    /// Its incarnation is gone: tell whoever waits for that. `asked`: so long after it was asked.
    Ended {
        cause: ExitCause,
        asked: Option<Duration>,
    },
    /// There is nothing to be remembered of it.
    Forget,
    /// It crashed and is not started again; these waited for it.
    GivenUp { cause: ExitCause, waiting: Vec<M> },
    /// Drop its handler: it did not end in time.
    Kill,
    /// Nobody will ask for this.
    LetGo(Left),
    /// Whoever sent is told so, and has the message back, if there was one.
    Refuse(Reason, Option<M>),
    /// It will be started again because it crashed.
    Restarts(ExitCause),
    /// Ask it to end in the way its spec says.
    ShutDown,
    /// Start this incarnation.
    Start { incarnation: u64 },
    /// Tell me when this much time has passed.
    Wake { after: Duration, alarm: Alarm },
    /// It is to be started: see [`Event::Launch`].
    Want,
}

/// What a core waits for. Of an incarnation that is gone, an alarm changes nothing.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::family) enum Alarm {
    /// A member that is down may be forgotten.
    Forget,
    /// Who was asked to end must be gone by now.
    Left(u64),
    /// The pause after the end of that incarnation is over.
    Return(u64),
}

/// Whether one more member may be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::family) enum Room {
    /// Yes, and a place is kept for it.
    Kept,
    /// Not by this message.
    Never,
    /// The family is full.
    None,
}

/// What an incarnation leaves for the next one.
pub(in crate::family) struct Left(pub(in crate::family) Box<dyn Any + Send + Sync>);

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Left(..)")
    }
}

impl Rules {
    pub(in crate::family) fn new<K, M>(spec: &FamilySpec<K, M>) -> Self {
        Self {
            restart: spec.restart,
            shutdown: spec.shutdown,
            intensity: spec.intensity,
            backoff: spec.backoff,
            revive: spec.revive,
            has_next: spec.has_next(),
            sleeps: spec.sleeps,
            buffer_max: spec.buffer_max.max(1), // what wakes a member has to wait for it
            quarantine: spec.quarantine,
        }
    }

    /// How long a member that was asked to end is waited for.
    pub(in crate::family) fn patience(&self) -> Option<Duration> {
        match self.shutdown {
            Shutdown::Kill => Some(KILL_GRACE),
            shutdown => shutdown.limit(),
        }
    }
}
