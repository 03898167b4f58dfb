//! How an attempt to hand over a message ended.

use serde::{Deserialize, Serialize};

use crate::Reply;

/// How one attempt to hand one message to one destination ended.
///
/// There are three ends and no fourth: every error of every transport is translated into one of
/// them where it is first seen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Try again later (a 4xx reply, a time-out, no route).
    Defer(Reply),
    /// The next hop took responsibility for the message (RFC 5321 §6.1).
    Deliver(Reply),
    /// Never try again (a 5xx reply, a null MX, a loop).
    Fail(Reply),
}

impl Outcome {
    /// What a peer's reply to a command of the mail transaction means for the recipient.
    #[must_use]
    pub fn from_reply(reply: Reply) -> Self {
        match reply.code() {
            200..=399 => Self::Deliver(reply),
            500..=599 => Self::Fail(reply),
            // Also codes that no RFC knows: a peer in confusion may be well tomorrow.
            _ => Self::Defer(reply),
        }
    }

    /// The reply that decided it.
    #[must_use]
    pub const fn reply(&self) -> &Reply {
        match self {
            Self::Defer(reply) | Self::Deliver(reply) | Self::Fail(reply) => reply,
        }
    }
}
