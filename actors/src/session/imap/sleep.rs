//! How a session at rest leaves memory, and comes back when something happens.
//!
//! ```text
//!   awake ──at rest, and nothing was said for a while──▶ asleep: the connection has the checkpoint,
//!     ▲                                                  the mailbox actor the watcher of who idles
//!     └──octets, a hint, a time limit, the house closes────────────┘
//! ```
//!
//! Sleeping is passivation: the family keeps the session in its books, and whatever is said to it
//! starts the next incarnation, which goes on from the checkpoint. That is the way of a session that
//! crashed, and nothing new has to be right: the connection has what the client said, the store has
//! what happened, and the view in the checkpoint knows what of that the client has been told. What a
//! session is told while it falls asleep it hands on.

use std::{fmt, sync::Arc};

use telemetry::Held;

use super::{
    actor::{ImapConnection, ImapSessionState},
    metrics::SLEEPING,
};
use crate::{contract::SessionMsg, session::watch::Watch};

/// What a session that sleeps has left on.
#[derive(Default)]
pub(super) struct Nap {
    /// Hints that wake it: of a session that idles.
    pub(super) watch: Option<Watch>,
    pub(super) idling: Option<Held>,
    _asleep: Option<Held>,
}

impl Nap {
    /// Ends the nap of whoever served this connection, if it sleeps.
    ///
    /// It ends before anything is done: should whoever is woken crash, its successor finds a
    /// checkpoint of somebody who was awake, and answers for the crash.
    pub(super) fn end(connection: &ImapConnection) -> Option<Self> {
        let nap = connection.amend(|kept| kept.nap.take()).flatten()?;
        Some(Arc::into_inner(nap).unwrap_or_default())
    }
}

impl fmt::Debug for Nap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nap")
    }
}

impl ImapSessionState {
    /// What is to be heard here: who falls asleep would forget it.
    pub(super) fn hear(&self, msg: SessionMsg) -> Option<SessionMsg> {
        match &self.place_in_family {
            // Nobody comes after us when the house closes: then it is heard after all.
            Some(context) if self.falls_asleep => context.hand_on(msg).err(),
            _ => Some(msg),
        }
    }

    /// Falls asleep, if nothing is under way.
    pub(super) fn sleep(&mut self) {
        if !self.may_sleep() {
            return;
        }
        let idling = self.idling.take();
        let mut watch = None;
        if let Some(opened) = &mut self.opened {
            watch = opened.watch.take().filter(|_| idling.is_some()); // others: the next command
        }
        let nap = Nap {
            watch,
            idling,
            _asleep: Some(SLEEPING.hold(&[])),
        };
        let mut kept = self.checkpoint();
        kept.nap = Some(Arc::new(nap));
        self.connection.keep(kept);
        self.falls_asleep = true;
        if let Some(context) = &self.place_in_family {
            context.passivate();
        }
    }

    /// Whether a successor could go on as if nothing had happened, and would be told to.
    fn may_sleep(&self) -> bool {
        let hears = match (&self.idling, &self.opened) {
            (Some(_), Some(opened)) => opened.watch.is_some() && !opened.dirty,
            _ => true,
        };
        hears
            && self.place_in_family.is_some()
            && !self.falls_asleep
            && self.greeted
            && self.server.is_at_rest()
            && self.out.buffer.is_empty()
            && self.incoming.is_none()
            && self.again.is_none()
            && self.connection.is_open()
            && self.connection.overdue().is_none()
            && !self.connection.is_securing()
            && !self.awaits_tls()
    }
}
