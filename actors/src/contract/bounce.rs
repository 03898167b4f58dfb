//! What the bounce actor hears.

use mail::MessageId;

/// Everything the bounce actor can be told.
#[derive(Debug)]
pub enum BounceMsg {
    /// From a domain queue: recipients of that message are late; tell the sender, once.
    Late(MessageId),
    /// From the clock: look at the spool again for what a lost hint left lying.
    Look,
    /// From a domain queue, a mailbox or the router: recipients of that message have failed for
    /// ever, and the spool says so.
    Return(MessageId),
}
