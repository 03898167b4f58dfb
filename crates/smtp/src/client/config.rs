//! What the owner of a connection wants of it.

use mail::{Credentials, Domain};

use crate::Family;

/// The settings of one connection.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name by which we introduce ourselves.
    pub hostname: Domain,
    /// [`Family::Lmtp`] or [`Family::Smtp`]; submission is spoken like SMTP.
    pub family: Family,
    /// Whether messages go out in chunks where that is offered (RFC 3030).
    pub chunking: bool,
    /// Whether STARTTLS is used.
    pub tls: Tls,
    /// Whether the connection begins inside TLS.
    pub tls_active: bool,
    /// Who we are for a peer that wants a login: a relay of ours.
    pub credentials: Option<Credentials>,
    /// Whether the password may cross the network in the clear.
    pub plaintext_auth_allowed: bool,
}

/// Whether STARTTLS is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// Never: also the second try with a peer whose handshake fails (RFC 7435 §3).
    Never,
    /// If it is offered.
    Opportunistic,
    /// Nothing is sent without it.
    Required,
}

impl Config {
    /// A connection with TLS and chunks where they are offered, and without a login.
    #[must_use]
    pub const fn new(hostname: Domain, family: Family) -> Self {
        Self {
            hostname,
            family,
            chunking: true,
            tls: Tls::Opportunistic,
            tls_active: false,
            credentials: None,
            plaintext_auth_allowed: false,
        }
    }
}
