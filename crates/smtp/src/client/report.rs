//! How a transaction ended, and at which command.

use std::{fmt, time::Duration};

use mail::Outcome;

/// The end of a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// What became of each recipient, in the order in which they were given.
    pub recipients: Vec<Settled>,
    /// Why the peer should get its messages after DATA from now on, if so.
    pub unchunked: Option<Unchunked>,
}

/// Why a peer that offers chunks (RFC 3030) is to get none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unchunked {
    /// Its connection ended behind a chunk before it had taken any: it may not know what it is sent.
    Lost,
    /// It said that it does not know what it is sent.
    Refused,
}

/// How something ended, and which command decided it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settled {
    /// The end.
    pub outcome: Outcome,
    /// The command.
    pub stage: Stage,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// AUTH has been sent.
    Auth,
    /// Connected; the greeting is awaited.
    Banner,
    /// The message is being sent.
    Body,
    /// A chunk has been sent that the peer does not know or has closed over, though it offers them
    /// (RFC 3030 §2). It does not have the message, which is to go on another connection, after DATA.
    Chunk,
    /// DATA has been sent.
    Data,
    /// The message has been sent whole. Whether the peer has it, its reply tells; if the
    /// connection is lost here, nobody knows (RFC 5321 §6.1).
    End,
    /// EHLO, HELO or LHLO has been sent.
    Hello,
    /// Between transactions.
    Idle,
    /// MAIL has been sent.
    Mail,
    /// QUIT has been sent.
    Quit,
    /// RCPT has been sent.
    Rcpt,
    /// STARTTLS has been sent, or the handshake is under way.
    StartTls,
}

impl Stage {
    /// How long to wait for the peer before it is given up (RFC 5321 §4.5.3.2).
    #[must_use]
    pub const fn time_limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Data => 2 * 60,
            Self::Body => 3 * 60,
            Self::End => 10 * 60,
            // Not in the RFC: nothing is lost with the answer.
            Self::Quit => 5,
            _ => 5 * 60,
        })
    }
}

/// In the words of the protocol, for logs and reports.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auth => "AUTH",
            Self::Banner => "greeting",
            Self::Body => "message",
            Self::Chunk => "BDAT",
            Self::Data => "DATA",
            Self::End => "end of message",
            Self::Hello => "EHLO",
            Self::Idle => "idle",
            Self::Mail => "MAIL",
            Self::Quit => "QUIT",
            Self::Rcpt => "RCPT",
            Self::StartTls => "STARTTLS",
        })
    }
}
