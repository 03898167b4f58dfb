//! What a server is told before it starts.

use std::{borrow::Cow, sync::Arc};

/// What a server is told before it starts. Shared by all its connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// The host's name, for the greeting.
    pub host: Cow<'static, str>,
    /// Whether STARTTLS is offered while there is no TLS.
    pub starttls: bool,
    /// Whether passwords may be said without TLS.
    pub plaintext_login: bool,
    /// How much is taken.
    pub limits: Limits,
}

/// How much a peer may say before it is stopped. What is above costs no memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest command, without its literals, in octets. RFC 7162 §4 asks for 8192; lists of
    /// UIDs are longer.
    pub line_octets: usize,
    /// The literals of one command, together, in octets; an eighth of it before login.
    pub literal_octets: usize,
    /// The longest message, in octets.
    pub append_octets: u64,
    /// A literal that is refused and comes all the same is read past up to so many octets; for
    /// a longer one the connection is closed.
    pub skip_octets: u64,
    /// After so many commands in a row that are no commands the connection is closed.
    pub bad_commands: u32,
    /// After so many failed logins the connection is closed.
    pub failed_logins: u32,
}

impl Config {
    /// The defaults for that host: STARTTLS is offered, and no password is taken without TLS.
    #[must_use]
    pub fn new(host: impl Into<Cow<'static, str>>) -> Arc<Self> {
        Arc::new(Self {
            host: host.into(),
            starttls: true,
            plaintext_login: false,
            limits: Limits::default(),
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_octets: 64 * 1024,
            literal_octets: 256 * 1024,
            append_octets: 64 * 1024 * 1024,
            skip_octets: 1024 * 1024,
            bad_commands: 20,
            failed_logins: 5,
        }
    }
}
