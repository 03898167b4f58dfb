//! What a domain queue wants done.

use mail::{MessageId, Time};
use store::port::Settle;

#[cfg(doc)]
use super::DomainQueue;

/// How much a domain queue does at one time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections to the domain.
    pub deliveries_max: usize,
    /// Recipients of one message in one transaction (RFC 5321 §4.5.3.1.8 lets every server
    /// refuse the hundred and first).
    pub recipients_max: usize,
    /// Recipients held in memory.
    pub window: usize,
}

/// A recipient of a message: the message's id and the recipient's number.
pub type Key = (MessageId, u32);

/// What the shell must do. Effects are carried out in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Start a delivery with this message.
    Attempt {
        /// Its number.
        attempt: u64,
        /// The message.
        id: MessageId,
        /// Its recipients.
        recipients: Vec<u32>,
    },
    /// Tell a delivery that has asked that there is nothing more for it.
    Dismiss(u64),
    /// Give a delivery that has asked this message. If it has not waited, say
    /// [`DomainQueue::leave`].
    Hand {
        /// Its number.
        attempt: u64,
        /// The message.
        id: MessageId,
        /// Its recipients.
        recipients: Vec<u32>,
    },
    /// Tell the bounce actor that recipients of the message are late.
    Late(MessageId),
    /// Write to the spool, then say [`DomainQueue::recorded`].
    Record {
        /// The message.
        id: MessageId,
        /// What became of its recipients.
        what: Vec<(u32, Settle)>,
    },
    /// Read the spool's due rows, at most that many, then say [`DomainQueue::refill`].
    Refill(usize),
    /// Tell the bounce actor that recipients of the message have failed.
    Return(MessageId),
    /// Say [`DomainQueue::wake`] at that time.
    WakeAt(Time),
}
