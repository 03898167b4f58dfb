//! What the bounce actor hears.

use mail::MessageId;
use ractor::RpcReplyPort;
use serde::Serialize;

/// Everything the bounce actor can be told.
#[derive(Debug)]
pub enum BounceMsg {
    /// From an operator: how are you?
    Inspect(RpcReplyPort<BounceReport>),
    /// From a domain queue: recipients of that message are late; tell the sender, once.
    Late(MessageId),
    /// From the clock: look at the spool again for what a lost hint left lying.
    Look,
    /// From a domain queue, a mailbox or the router: recipients of that message have failed for
    /// ever, and the spool says so.
    Return(MessageId),
    /// From itself: the report on that message is on stable storage, or could not be stored.
    Written(MessageId),
}

/// How the bounce actor is.
#[derive(Clone, Debug, Serialize)]
pub struct BounceReport {
    /// Reports that are on their way to the disk.
    pub writing: usize,
    /// Reports written since this incarnation began.
    pub written: u64,
    /// Failures that nobody was told of, because the message had no sender or the sender is not
    /// known here.
    pub untold: u64,
}
