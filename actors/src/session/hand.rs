//! The command that a session has in hand: noted if it brings the session down, and not run if it
//! has done so before.

use std::ops::{Deref, DerefMut};

use mail::Spoken;
use supervision::in_hand;
use world::connection::Event;

use crate::{
    contract::{CommandId, CommandInHand, CommandMark, SessionMsg, Speaker},
    refused::{Admission, RefusedCommands},
};

/// A session that can tell what it has in hand.
pub(super) trait Handy {
    /// The command that is being carried out.
    fn in_hand(&self) -> Option<CommandMark>;
}

/// A session whose handler runs. If that comes to no good end, by a panic or because the session
/// is killed, what was in hand is noted on the way out: while all is well it costs nothing.
pub(super) struct AtWork<'a, S: Handy> {
    session: &'a mut S,
    /// Whether it is for a command that it works.
    is_to_blame: bool,
}

impl<'a, S: Handy> AtWork<'a, S> {
    /// It begins to handle this message. Only what a client says, or has said to a predecessor,
    /// is a command; not what the house says.
    pub(super) const fn new(session: &'a mut S, message: &SessionMsg) -> Self {
        Self {
            session,
            is_to_blame: matches!(
                message,
                SessionMsg::Begin | SessionMsg::Connection(Event::Octets)
            ),
        }
    }

    /// It has come to a good end.
    pub(super) fn done(mut self) {
        self.is_to_blame = false;
    }
}

impl<S: Handy> Drop for AtWork<'_, S> {
    fn drop(&mut self) {
        if self.is_to_blame
            && let Some(mark) = self.session.in_hand()
        {
            in_hand(CommandInHand(mark));
        }
    }
}

impl<S: Handy> Deref for AtWork<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.session
    }
}

impl<S: Handy> DerefMut for AtWork<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        self.session
    }
}

/// A session's look into the book of refused commands.
pub(super) struct Vetting {
    protocol: &'static str,
    refused: RefusedCommands,
    /// The command in hand is tried once more.
    trial: Option<CommandId>,
}

impl Vetting {
    pub(super) fn new(protocol: &'static str, refused: &RefusedCommands) -> Self {
        Self {
            protocol,
            refused: refused.clone(),
            trial: None,
        }
    }

    /// Whether any command has to be looked for; one relaxed load.
    pub(super) fn is_due(&self) -> bool {
        self.refused.is_open()
    }

    /// Whether this command may be run. The one before it is over.
    pub(super) fn admits(&mut self, speaker: &Speaker, spoken: Option<&Spoken<'_>>) -> bool {
        self.is_over();
        let Some(spoken) = spoken else {
            return true;
        };
        match self.refused.admission(self.protocol, speaker, spoken) {
            Admission::Refuse => return false,
            Admission::Run => {}
            Admission::Try(id) => self.trial = Some(id),
        }
        true
    }

    /// Whether the command in hand is tried once more.
    pub(super) const fn is_trying(&self) -> bool {
        self.trial.is_some()
    }

    /// No command is in hand any more; if one was tried, it has gone well.
    pub(super) fn is_over(&mut self) {
        if let Some(id) = self.trial.take() {
            self.refused.acquit(id);
        }
    }

    /// How the command in hand is known.
    pub(super) fn mark(&self, speaker: &Speaker, spoken: &Spoken<'_>) -> CommandMark {
        self.refused.mark(self.protocol, speaker, spoken)
    }
}
