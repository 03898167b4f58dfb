//! What an operator may set about deliveries to other systems.

use std::{fmt, net::IpAddr, str::FromStr};

use mail::{Domain, DomainError};
use serde::{Deserialize, Serialize};

/// The `[delivery]` table of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether messages go out in chunks to systems that offer it (RFC 3030).
    pub chunking: bool,
    /// How long a connection may take to be made, in seconds.
    pub connect_seconds: u64,
    /// Deliveries at work at one time, over all domains.
    pub deliveries_max: usize,
    /// Whether the DNS says where mail goes. Without it only routes and the relay lead out.
    pub dns: bool,
    /// How long a connection that has carried something waits for the next message, in seconds; 0:
    /// it is closed at once.
    pub linger_seconds: u64,
    /// Messages that one connection carries before a new one is made.
    pub messages_per_connection_max: u64,
    /// The port of hosts that the DNS names (RFC 5321 §4.5.4.2).
    pub port: u16,
    /// Where all remote mail goes that has no route of its own.
    pub relay: Option<Hop>,
    /// Our address that other systems see, if the machine has several.
    pub source: Option<IpAddr>,
}

/// A `[[route]]` of the configuration: mail for that domain goes there, whatever the DNS says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticRoute {
    /// The domain.
    pub domain: Domain,
    /// The host to hand its mail to.
    pub to: Hop,
}

/// A host and its port, as in `127.0.1.1:2525`, `[::1]:25` or `relay.example.test:587`.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hop {
    /// The host: a name, or an address as a literal.
    pub host: Domain,
    /// The port.
    pub port: u16,
}

/// Why a text is not a hop. Fault of whoever wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HopError {
    /// The host is neither a name nor an address.
    #[error("the host is not one: {0}")]
    Host(#[from] DomainError),
    /// There is no port behind the last colon.
    #[error("a host and a port are expected, as in 127.0.1.1:2525 or relay.example.test:25")]
    Port,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            chunking: true,
            connect_seconds: CONNECT_SECONDS,
            deliveries_max: DELIVERIES_MAX,
            dns: true,
            linger_seconds: LINGER_SECONDS,
            messages_per_connection_max: MESSAGES_PER_CONNECTION_MAX,
            port: SMTP_PORT,
            relay: None,
            source: None,
        }
    }
}

impl FromStr for Hop {
    type Err = HopError;

    fn from_str(text: &str) -> Result<Self, HopError> {
        let (host, port) = text.rsplit_once(':').ok_or(HopError::Port)?;
        let port = port.parse().map_err(|_| HopError::Port)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => format!("[{v4}]").parse()?,
            Ok(IpAddr::V6(v6)) => format!("[IPv6:{v6}]").parse()?,
            Err(_) => host.parse()?,
        };
        Ok(Self { host, port })
    }
}

impl TryFrom<String> for Hop {
    type Error = HopError;

    fn try_from(text: String) -> Result<Self, HopError> {
        text.parse()
    }
}

impl From<Hop> for String {
    fn from(hop: Hop) -> Self {
        hop.to_string()
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.literal() {
            Some(IpAddr::V4(v4)) => write!(f, "{v4}:{}", self.port),
            Some(IpAddr::V6(v6)) => write!(f, "[{v6}]:{}", self.port),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Shorter than the RFC's five minutes for the greeting: a SYN that nobody answers for so long is
/// answered by nobody, and there are other hosts and another day.
const CONNECT_SECONDS: u64 = 30;

/// Each needs a socket and some tens of KiB.
const DELIVERIES_MAX: usize = 1000;

/// Long enough for the next message of a busy hour, and far below what any peer bears (RFC 5321
/// §4.5.3.2.7: five minutes).
const LINGER_SECONDS: u64 = 2;

/// Many receivers send a client away that goes on for longer; one connection in a hundred costs
/// nobody anything.
const MESSAGES_PER_CONNECTION_MAX: u64 = 100;

const SMTP_PORT: u16 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_read_as_they_are_written() {
        for text in ["127.0.1.1:2525", "[::1]:25", "relay.example.test:587"] {
            assert_eq!(text.parse::<Hop>().unwrap().to_string(), text);
        }
        assert_eq!("relay.example.test".parse::<Hop>(), Err(HopError::Port));
        assert_eq!(
            "a b:25".parse::<Hop>(),
            Err(HopError::Host(DomainError::Character))
        );
    }
}
