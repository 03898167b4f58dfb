//! What the scrubber hears.

use ractor::RpcReplyPort;
use serde::Serialize;

/// Everything the scrubber can be told.
#[derive(Debug)]
pub enum ScrubberMsg {
    /// From an operator: how are you?
    Inspect(RpcReplyPort<ScrubberReport>),
    /// From its clock: read on.
    Step,
}

/// How the scrubber is.
#[derive(Clone, Debug, Serialize)]
pub struct ScrubberReport {
    /// Octets that were read since this incarnation began.
    pub octets: u64,
    /// Rounds that have come to their end since then.
    pub rounds: u64,
    /// What is damaged, each with its place.
    pub damage: Vec<String>,
}
