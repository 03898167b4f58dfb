//! What a connection tells the one who serves it.

use bytes::Bytes;

use crate::tls::TlsInfo;

/// What happened on a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The peer has sent something:
    /// [`Connection::hear`](crate::connection::Connection::hear) it. Nothing more is read until
    /// [`Connection::read_on`](crate::connection::Connection::read_on).
    Octets,
    /// Octets are encrypted from here on.
    Secured(TlsInfo),
    /// There is room in the queue again, after
    /// [`try_write`](crate::connection::Connection::try_write) said [`Refused::Full`].
    Room,
    /// A limit has passed. Say goodbye with
    /// [`close_after`](crate::connection::Connection::close_after) now: after
    /// [`Options::grace`](crate::connection::Options::grace) the connection is closed without it.
    TimedOut(Limit),
    /// It is over. No event follows.
    Closed(Why),
}

/// A limit of time that a session is warned of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Limit {
    /// The peer said nothing for so long.
    Idle,
    /// The connection has lasted for so long.
    Lifetime,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Why {
    /// We closed it, and all that was to be said has been handed to the kernel.
    Ended,
    /// The peer said nothing for too long, and nobody said goodbye in time.
    Idle,
    /// It lasted too long, and nobody said goodbye in time.
    Lifetime,
    /// The peer closed it.
    Peer,
    /// The network or the peer broke it off.
    Reset,
    /// The TLS handshake failed or took too long, or the peer sent records that are none.
    Tls,
    /// The peer did not take what we wrote for too long.
    Write,
}

impl Why {
    /// A word for logs and for the label `why` of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Idle => "idle",
            Self::Lifetime => "lifetime",
            Self::Peer => "peer",
            Self::Reset => "reset",
            Self::Tls => "tls",
            Self::Write => "write",
        }
    }
}

/// The connection is closed or closing: nothing can be written any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the connection is closed")]
pub struct Gone;

/// Why octets were not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The queue is full: here are the octets back. [`Event::Room`] follows.
    #[error("the queue of the connection is full")]
    Full(Bytes),
    /// The connection is closed or closing.
    #[error("the connection is closed")]
    Gone,
}
