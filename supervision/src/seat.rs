//! An address that outlives its occupant.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use ractor::{ActorId, ActorRef, ActorStatus, Message, MessagingErr, RpcReplyPort};

use crate::{call::CallError, call::answer, inbox::Inbox, name::Name};

/// Addresses a supervised actor across restarts.
///
/// Nobody keeps the `ActorRef` of a supervised actor: it dies with the incarnation. They keep its
/// seat. Who sits down is the frame's business: [`Start::actor`](crate::Start::actor) takes the
/// seat, and each incarnation sits down once its `pre_start` is through. Sending takes no lock.
pub struct Seat<M>(Arc<Chair<M>>);

struct Chair<M> {
    name: Name,
    occupant: ArcSwapOption<Sitter<M>>,
}

/// Who sits there, and what waits for it.
struct Sitter<M> {
    actor: ActorRef<M>,
    inbox: Inbox,
}

/// The seat was empty; here is the message back.
#[derive(Clone, Copy, Eq, PartialEq, thiserror::Error)]
#[error("nobody sits here at the moment")]
pub struct Vacant<M>(pub M);

impl<M: Message> Seat<M> {
    /// An empty seat.
    pub fn new(name: impl Into<Name>) -> Self {
        Self(Arc::new(Chair {
            name: name.into(),
            occupant: ArcSwapOption::empty(),
        }))
    }

    /// Sends `message` to whoever sits here now.
    ///
    /// # Errors
    ///
    /// [`Vacant`] between a crash and the restart. The caller decides: defer, or drop.
    pub fn cast(&self, message: M) -> Result<(), Vacant<M>> {
        match &*self.0.occupant.load() {
            Some(sitter) => send(&sitter.actor, &sitter.inbox, message).map_err(Vacant),
            None => Err(Vacant(message)),
        }
    }

    /// Sends the message that `build` makes of a reply port, and waits at most `timeout` for the
    /// reply.
    ///
    /// # Errors
    ///
    /// [`CallError::Vacant`]: nobody was here to ask. [`CallError::Dropped`]: the occupant ended,
    /// or dropped the port. [`CallError::Timeout`]: it may still act on the message later.
    pub async fn call<T: Send + 'static>(
        &self,
        build: impl FnOnce(RpcReplyPort<T>) -> M,
        timeout: Duration,
    ) -> Result<T, CallError> {
        answer(timeout, |port| {
            self.cast(build(port)).map_err(|_| CallError::Vacant)
        })
        .await
    }

    /// Sits `actor` down. The frame does this for whom it starts; a test may seat a stand-in.
    ///
    /// # Panics
    ///
    /// If `actor` does not take messages of type `M`, which a conversion from a cell can cause.
    pub fn sit(&self, actor: &ActorRef<M>) {
        self.seat(actor, Inbox::default());
    }

    /// Sits `actor` down; `inbox` counts what waits for it.
    pub(crate) fn seat(&self, actor: &ActorRef<M>, inbox: Inbox) {
        assert!(
            actor.is_message_type_of::<M>() != Some(false),
            "the occupant of {} takes other messages",
            self.0.name
        );
        let actor = actor.clone();
        self.0
            .occupant
            .store(Some(Arc::new(Sitter { actor, inbox })));
    }

    /// Empties the seat, whoever sits there.
    pub fn vacate(&self) {
        self.0.occupant.store(None);
    }

    /// Empties the seat if this is who sits there.
    pub(crate) fn rise(&self, id: ActorId) {
        let occupant = self.0.occupant.load();
        if occupant
            .as_ref()
            .is_some_and(|sitter| sitter.actor.get_id() == id)
        {
            self.0.occupant.compare_and_swap(&*occupant, None);
        }
    }

    /// Whether somebody sits here who hears messages.
    pub fn is_occupied(&self) -> bool {
        let occupant = self.0.occupant.load();
        occupant
            .as_ref()
            .is_some_and(|sitter| sitter.actor.get_status() < ActorStatus::Draining)
    }

    /// What the seat is called.
    pub fn name(&self) -> &Name {
        &self.0.name
    }
}

impl<M> Clone for Seat<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Seat<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&self.0.name).finish()
    }
}

impl<M> fmt::Debug for Vacant<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vacant(..)")
    }
}

/// Sends, or gives the message back: then the actor is ending, and its count is of no interest.
pub(crate) fn send<M: Message>(actor: &ActorRef<M>, inbox: &Inbox, message: M) -> Result<(), M> {
    inbox.add();
    actor.send_message(message).map_err(|error| match error {
        MessagingErr::SendErr(message) => message,
        MessagingErr::ChannelClosed | MessagingErr::InvalidActorType => {
            unreachable!("a local actor of this message type gives every message back")
        }
    })
}
