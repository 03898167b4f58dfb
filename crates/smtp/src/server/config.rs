//! What a listener tells its sessions.

use mail::{Address, Domain};

use crate::{Family, Mechanism};

/// The settings of one listener; its sessions share them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name by which we introduce ourselves.
    pub hostname: Domain,
    /// Which dialogue is spoken.
    pub family: Family,
    /// Longest message, in octets; told to the client as SIZE.
    pub size_max: u64,
    /// Most recipients of a message; RFC 5321 §4.5.3.1.8 asks for 100 at least.
    pub recipients_max: usize,
    /// Most `Received` fields before we believe in a loop; RFC 5321 §6.3 asks for 100 at least.
    pub received_max: u32,
    /// Longest line of a message, in octets without CRLF.
    pub line_octets_max: u64,
    /// Wrong commands before the connection is closed.
    pub errors_max: u32,
    /// Failed logins before the connection is closed.
    pub auth_failures_max: u32,
    /// Whether STARTTLS is offered.
    pub tls_offered: bool,
    /// Whether nothing is done without TLS.
    pub tls_required: bool,
    /// Whether the session begins inside TLS (RFC 8314 §3.3).
    pub tls_active: bool,
    /// The mechanisms of AUTH that are offered; none: no AUTH.
    pub mechanisms: Vec<Mechanism>,
    /// Whether `MAIL` needs a login.
    pub auth_required: bool,
    /// Whether passwords may cross the network in the clear.
    pub plaintext_auth_allowed: bool,
    /// Whether DSN is offered.
    pub dsn_offered: bool,
    /// Who `<postmaster>` without a domain is (RFC 5321 §4.5.1).
    pub postmaster: Option<Address>,
}

impl Config {
    /// The settings of a listener that offers neither TLS nor AUTH. Submission needs a login
    /// (RFC 6409 §4.3): whoever makes one sets [`Config::mechanisms`].
    #[must_use]
    pub fn new(hostname: Domain, family: Family) -> Self {
        Self {
            postmaster: Address::new("postmaster", hostname.clone()).ok(),
            hostname,
            family,
            size_max: SIZE_MAX,
            recipients_max: RECIPIENTS_MAX,
            received_max: RECEIVED_MAX,
            line_octets_max: LINE_OCTETS_MAX,
            errors_max: ERRORS_MAX,
            auth_failures_max: AUTH_FAILURES_MAX,
            tls_offered: false,
            tls_required: false,
            tls_active: false,
            mechanisms: Vec::new(),
            auth_required: family == Family::Submission,
            plaintext_auth_allowed: false,
            dsn_offered: false,
        }
    }
}

/// 50 MiB: what the large providers take.
const SIZE_MAX: u64 = 50 * 1024 * 1024;

const RECIPIENTS_MAX: usize = 1000;

/// RFC 5321 §6.3.
const RECEIVED_MAX: u32 = 100;

/// Departs from RFC 5321 §4.5.3.1.6, which asks for 1000 and would have more where possible: real
/// programs write HTML without a line break, and no line is ever held in memory here. The bound
/// spares those who read lines whole.
const LINE_OCTETS_MAX: u64 = 1024 * 1024;

const ERRORS_MAX: u32 = 20;

const AUTH_FAILURES_MAX: u32 = 3;
