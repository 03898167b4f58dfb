//! What the owner of the socket must do next.

use bytes::Bytes;
use mail::Credentials;

use crate::codec::{Append, Command};

/// What the owner of the socket must do next.
///
/// The machine's own words are in the buffer that it was handed: whoever reads, closes or starts
/// TLS sends that first.
#[must_use = "a step that is not carried out stalls the session"]
#[derive(Debug, Eq, PartialEq)]
pub enum Step {
    /// What came of this message is worth nothing: forget it. The machine has answered.
    AppendAbort,
    /// A message is announced: [`Server::accept`](super::Server::accept) or
    /// [`Server::answer`](super::Server::answer) with a refusal.
    AppendBegin(Append),
    /// Octets of the message. While it lasts, an answer refuses the rest.
    AppendChunk(Bytes),
    /// The message is whole: keep it, then answer.
    AppendEnd,
    /// Check who this is, then answer; `OK` logs in.
    Authenticate(Credentials),
    /// Send what is in the buffer, then close the connection.
    Close,
    /// While commands are watched, see [`Server::watch`](super::Server::watch): this one is
    /// [in hand](super::Server::in_hand), and nothing of it has been read. Then
    /// [`Server::admit`](super::Server::admit) or
    /// [`Server::refuse_command`](super::Server::refuse_command).
    Heard,
    /// The client waits for news: say them as they come, then wait as for [`Step::Read`].
    IdleBegin,
    /// The client no longer waits: say what is new, then answer.
    IdleEnd,
    /// Send what is in the buffer, wait for the peer, then call
    /// [`Server::feed`](super::Server::feed).
    Read,
    /// Carry it out: untagged data first, then answer.
    Run(Command),
    /// Send what is in the buffer, negotiate TLS, then call
    /// [`Server::tls_started`](super::Server::tls_started).
    StartTls,
}
