//! What the router hears.

use mail::{MessageId, Target, Time};
use ractor::RpcReplyPort;
use serde::Serialize;

/// Everything the router can be told.
#[derive(Debug)]
pub enum RouterMsg {
    /// From a session: this is safe on disk and just accepted, so that nobody has tried anything
    /// yet. What is known of it need not be read again.
    Accepted {
        /// The message.
        id: MessageId,
        /// When it was accepted.
        arrived: Time,
        /// Where each of its recipients is to go, in their order.
        targets: Vec<Target>,
    },
    /// From an operator: how are you?
    Inspect(RpcReplyPort<RouterReport>),
    /// From the clock: look at the spool again for what a lost hint left lying.
    Look,
    /// From a session or the bounce actor: these are safe on disk and have open recipients.
    Route(MessageId),
}

/// How the router is.
#[derive(Clone, Debug, Serialize)]
pub struct RouterReport {
    /// Messages routed since this incarnation began.
    pub routed: u64,
    /// Messages that a look at the spool found and no hint had told.
    pub found: u64,
}
