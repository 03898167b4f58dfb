//! What a member knows of its place in the family.

use std::{any::Any, fmt, sync::Weak};

use ractor::Message;

use super::core::Left;
use crate::cause::ExitCause;

/// Given to each incarnation of a member.
#[derive(Clone)]
pub struct Context<K> {
    pub(super) key: K,
    pub(super) incarnation: u64,
    pub(super) restarts: u32,
    pub(super) last_cause: Option<ExitCause>,
    pub(super) family: Weak<dyn Passivate<K>>,
}

/// The address of a member, whichever incarnation is there. Unlike a [`Family`](super::Family) it
/// can be held by members and by what they leave behind: it does not keep the family.
pub struct Address<K> {
    key: K,
    family: Weak<dyn Passivate<K>>,
}

/// The family, as a member sees it.
pub(super) trait Passivate<K>: Send + Sync {
    /// Takes the message out of the `Option<M>` that it is given, if it is taken.
    fn hand_on(&self, key: &K, incarnation: u64, message: &mut dyn Any);
    fn passivate(&self, key: &K, incarnation: u64, left: Option<Left>);
    /// What the incarnation before this one has left.
    fn left(&self, key: &K, incarnation: u64) -> Option<Left>;
    /// As [`Passivate::hand_on`], to whoever has the key.
    fn tell(&self, key: &K, message: &mut dyn Any);
    fn touch(&self, key: &K, incarnation: u64);
}

impl<K> Context<K> {
    /// Whose incarnation this is.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The address of whoever has this key, now and later.
    pub fn address(&self) -> Address<K>
    where
        K: Clone,
    {
        Address {
            key: self.key.clone(),
            family: Weak::clone(&self.family),
        }
    }

    /// How often it was started again after a crash, since it was last absent.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Why the incarnation before this one crashed, if there was one.
    pub fn last_cause(&self) -> Option<&ExitCause> {
        self.last_cause.as_ref()
    }

    /// Asks to be drained and forgotten until the next message.
    ///
    /// The handler that calls this returns as usual; what is in the inbox already is handled
    /// before the end, and what is sent from now on waits for the next incarnation. A member with
    /// something to do never stops itself: `stop` would drop the queued messages.
    pub fn passivate(&self) {
        if let Some(family) = self.family.upgrade() {
            family.passivate(&self.key, self.incarnation, None);
        }
    }

    /// The same, leaving something for the next incarnation: until that one comes, the member
    /// stays in the books, asleep, and its family keeps what it left.
    ///
    /// A message wakes it, as it would start it. What is left is dropped if the member is stopped,
    /// or given up, or the family ends; a crash on the way out does not touch it.
    pub fn passivate_leaving<T: Any + Send + Sync>(&self, left: T) {
        if let Some(family) = self.family.upgrade() {
            family.passivate(&self.key, self.incarnation, Some(Left(Box::new(left))));
        }
    }

    /// What the incarnation before this one has left, if it was of this type; once.
    pub fn left<T: Any + Send + Sync>(&self) -> Option<T> {
        let family = self.family.upgrade()?;
        let Left(left) = family.left(&self.key, self.incarnation)?;
        left.downcast().ok().map(|left| *left)
    }

    /// Sends to whoever has this key when this incarnation has not: the next one, or nobody.
    ///
    /// For what an incarnation still hears after it has asked to be passivated and would forget
    /// with its end (a subscription, a lock), and for what comes of its work after its end.
    /// Messages handed on come before those that were sent later.
    ///
    /// # Errors
    ///
    /// The message, if nobody will have the key, or too many messages wait for it already.
    pub fn hand_on<M: Message>(&self, message: M) -> Result<(), M> {
        let mut message = Some(message);
        if let Some(family) = self.family.upgrade() {
            family.hand_on(&self.key, self.incarnation, &mut message);
        }
        message.map_or(Ok(()), Err)
    }

    /// Counts as a message as far as idling is concerned.
    pub fn touch(&self) {
        if let Some(family) = self.family.upgrade() {
            family.touch(&self.key, self.incarnation);
        }
    }
}

impl<K> Address<K> {
    /// Whose address it is.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Sends to the member, waking it if it sleeps; starts nobody.
    ///
    /// # Errors
    ///
    /// The message, if nobody has the key, or too many messages wait for it already.
    pub fn tell<M: Message>(&self, message: M) -> Result<(), M> {
        let mut message = Some(message);
        if let Some(family) = self.family.upgrade() {
            family.tell(&self.key, &mut message);
        }
        message.map_or(Ok(()), Err)
    }
}

impl<K: fmt::Debug> fmt::Debug for Address<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.key).finish()
    }
}

impl<K: fmt::Debug> fmt::Debug for Context<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("key", &self.key)
            .field("restarts", &self.restarts)
            .finish_non_exhaustive()
    }
}
