//! What the machine asks, and how it may be refused.

use mail::Credentials;

/// A question that only accounts or storage can answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Question {
    /// Is this who it says it is, and is the maildrop free? Answered by
    /// [`Server::logged_in`](crate::Server::logged_in) or
    /// [`Server::refuse`](crate::Server::refuse).
    Login(Credentials),
    /// Is this message there to be read? After [`Server::yes`](crate::Server::yes) its pieces are
    /// asked for by [`Step::Piece`](crate::Step::Piece).
    Message {
        /// Its place in what was handed in at the login, from zero.
        index: usize,
    },
    /// Remove these messages for ever: the client has taken leave (RFC 1939 §6).
    Remove {
        /// Their places in what was handed in at the login, from zero, ascending.
        indices: Vec<usize>,
    },
}

/// Why a question is answered with no.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The password or the user name is wrong (RFC 3206 §5).
    Credentials,
    /// Another session has the maildrop (RFC 2449 §8.1.2).
    InUse,
    /// It will not work tomorrow either (RFC 3206 §4).
    Permanent,
    /// It may work in a while (RFC 3206 §4).
    Temporary,
}

impl Refusal {
    /// What follows `-ERR`.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Credentials => "[AUTH] wrong user name or password",
            Self::InUse => "[IN-USE] another session has the maildrop",
            Self::Permanent => "[SYS/PERM] this does not work here",
            Self::Temporary => "[SYS/TEMP] local trouble, try again later",
        }
    }
}
