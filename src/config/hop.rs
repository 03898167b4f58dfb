//! Where something else is: a next hop for mail, or a server for names.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use mail::Domain;
use serde::{Deserialize, Serialize};

/// A host, by name or address, and a port: `127.0.1.1:2525`, `relay.example.test:587`,
/// `[2001:db8::1]:25`. Without a port it is 25.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hop {
    /// A name, or an address literal such as `[192.0.2.1]`.
    pub host: Domain,
    /// Its port.
    pub port: u16,
}

/// A DNS server: an IP address, and a port that is 53 if it is not given.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Server(pub SocketAddr);

impl FromStr for Hop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no next hop: host:port is expected, such as relay.example.test:25")
        };
        if let Some(Server(address)) = address(text, SMTP_PORT) {
            let literal = match address.ip() {
                IpAddr::V4(v4) => format!("[{v4}]"),
                IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
            };
            let host = literal.parse().map_err(|_| wrong())?;
            return Ok(Self { host, port: address.port() });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
            None => (text, SMTP_PORT),
        };
        let host = host.parse().map_err(|_| wrong())?;
        if port == 0 { Err(wrong()) } else { Ok(Self { host, port }) }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.literal() {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        address(text, DNS_PORT).ok_or_else(|| {
            format!("{text:?} is no DNS server: an IP address is expected, such as 192.0.2.53 or 127.0.0.1:5353")
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn address(text: &str, port: u16) -> Option<Server> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = || bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
    text.parse().ok().or_else(alone).filter(|address| address.port() != 0).map(Server)
}

impl TryFrom<String> for Hop {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Hop> for String {
    fn from(hop: Hop) -> Self {
        hop.to_string()
    }
}

impl TryFrom<String> for Server {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Server> for String {
    fn from(server: Server) -> Self {
        server.to_string()
    }
}

const DNS_PORT: u16 = 53;
const SMTP_PORT: u16 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_hop_is_a_name_or_an_address_with_a_port_or_without() {
        let written = |text: &str| text.parse::<Hop>().map(|hop| hop.to_string());
        assert_eq!(written("127.0.1.1:2525").as_deref(), Ok("127.0.1.1:2525"));
        assert_eq!(written("relay.test").as_deref(), Ok("relay.test:25"));
        assert_eq!(written("[2001:db8::1]:587").as_deref(), Ok("[2001:db8::1]:587"));
        assert_eq!(written("2001:db8::1").as_deref(), Ok("[2001:db8::1]:25"));
        for wrong in ["", "relay.test:", "relay.test:0", "relay.test:x", "a b:25"] {
            assert!(written(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dns_server_is_an_address() {
        let written = |text: &str| text.parse::<Server>().map(|server| server.to_string());
        assert_eq!(written("192.0.2.53").as_deref(), Ok("192.0.2.53:53"));
        assert_eq!(written("127.0.0.1:5353").as_deref(), Ok("127.0.0.1:5353"));
        assert!(written("dns.test").is_err());
    }
}
