//! What the router hears.

use mail::MessageId;
use ractor::RpcReplyPort;
use serde::Serialize;

/// Everything the router can be told.
#[derive(Debug)]
pub enum RouterMsg {
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
