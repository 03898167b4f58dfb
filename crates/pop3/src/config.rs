//! What a listener tells its sessions.

/// The settings of one listener; its sessions share them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name by which we introduce ourselves.
    pub hostname: String,
    /// What IMPLEMENTATION says; `None`: nothing (RFC 2449 §6.9).
    pub implementation: Option<String>,
    /// Whether STLS is offered.
    pub tls_offered: bool,
    /// Whether the session begins inside TLS (RFC 8314 §3.2).
    pub tls_active: bool,
    /// Whether passwords may cross the network in the clear.
    pub plaintext_auth_allowed: bool,
    /// Wrong commands before the connection is closed.
    pub errors_max: u32,
    /// Failed logins before the connection is closed.
    pub auth_failures_max: u32,
}

impl Config {
    /// The settings of a listener that offers no TLS.
    #[must_use]
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            implementation: None,
            tls_offered: false,
            tls_active: false,
            plaintext_auth_allowed: false,
            errors_max: ERRORS_MAX,
            auth_failures_max: AUTH_FAILURES_MAX,
        }
    }
}

const ERRORS_MAX: u32 = 20;

const AUTH_FAILURES_MAX: u32 = 3;
