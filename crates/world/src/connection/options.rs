//! The limits of a connection.

use std::time::Duration;

use crate::tls::ServerTls;

/// Limits of time and of memory, and whether TLS comes first. Shared by all connections of a door.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a session may take to say goodbye after
    /// [`Event::TimedOut`](crate::connection::Event::TimedOut).
    pub grace: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the peer may say nothing while we wait for it, until
    /// [`Connection::set_idle`](crate::connection::Connection::set_idle) says otherwise
    /// (RFC 5321 §4.5.3.2.7 asks for 5 minutes at least).
    pub idle: Duration,
    /// How long the whole connection may last; `None` for as long as it likes.
    pub lifetime: Option<Duration>,
    /// How many octets may wait in the queue before a writer has to wait. One piece may be larger.
    pub queue_octets: usize,
    /// TLS before the first octet (RFC 8314 §3); `None` for a plain start.
    pub tls: Option<ServerTls>,
    /// How long the peer may take nothing of what we wrote.
    pub write: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            handshake: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            lifetime: None,
            queue_octets: 256 * 1024,
            tls: None,
            write: Duration::from_secs(120),
        }
    }
}
