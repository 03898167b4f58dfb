//! How we speak TLS to clients.

use std::{fmt, sync::Arc};

use rustls::{ServerConfig, crypto::aws_lc_rs};

use super::{Certificates, TlsTrouble};

/// TLS as a server. Cheap to clone; its certificates can be replaced while it is used.
#[derive(Clone)]
pub struct ServerTls {
    certificates: Certificates,
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// TLS 1.2 and 1.3 with these certificates, and with session tickets (RFC 8446 §4.6.1), so
    /// that a client that comes again need not wait for a signature.
    ///
    /// # Errors
    /// [`TlsTrouble::Setting`] when the crypto provider refuses, which is our fault.
    pub fn new(certificates: Certificates) -> Result<Self, TlsTrouble> {
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(certificates.resolver());
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.send_tls13_tickets = TICKETS;
        // Tickets hold the state at the client: nothing of it is kept here.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Self {
            certificates,
            config: Arc::new(config),
        })
    }

    /// What is shown to clients, to be replaced.
    #[must_use]
    pub const fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// What rustls wants.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// Tickets per TLS 1.3 handshake: a mail client opens a few connections, each needs its own.
const TICKETS: usize = 2;
