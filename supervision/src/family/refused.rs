//! Why a family did not take a message.

use std::fmt;

/// The family did not take the message; here it is back.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Refused<M> {
    /// The message.
    pub message: M,
    /// Why it was not taken.
    pub reason: Reason,
}

/// Why a family did not take a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Nobody has this key, and nobody is started by a message.
    #[error("nobody has this key")]
    Absent,
    /// As many messages wait for the next incarnation as may.
    #[error("too many messages wait for the next incarnation")]
    Busy,
    /// The family is not running at the moment.
    #[error("the family is not running")]
    Closed,
    /// The member is ending and has no next incarnation.
    #[error("the member is ending")]
    Ending,
    /// As many members are alive as may be.
    #[error("the family is full")]
    Full,
    /// The member failed too often and is left alone for a while.
    #[error("the member failed too often")]
    GivenUp,
}

impl<M> fmt::Debug for Refused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refused").field(&self.reason).finish()
    }
}

impl<M> fmt::Display for Refused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<M> std::error::Error for Refused<M> {}
