//! The address of a DNS server, as an operator writes it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// A DNS server: `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsServer(pub SocketAddr);

/// The text is no address. Fault of the operator.
#[derive(Debug, thiserror::Error)]
#[error("not a DNS server: an IP address is expected, with a port if it is not 53")]
pub struct DnsServerError;

impl FromStr for DnsServer {
    type Err = DnsServerError;

    fn from_str(text: &str) -> Result<Self, DnsServerError> {
        let at_53 = |address: IpAddr| SocketAddr::new(address, PORT);
        text.parse()
            .or_else(|_| text.parse().map(at_53))
            .map(Self)
            .map_err(|_| DnsServerError)
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for DnsServer {
    type Error = DnsServerError;

    fn try_from(text: String) -> Result<Self, DnsServerError> {
        text.parse()
    }
}

impl From<DnsServer> for String {
    fn from(server: DnsServer) -> Self {
        server.to_string()
    }
}

/// RFC 1035 §4.2.
const PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_may_be_left_out() {
        let server = |text: &str| text.parse::<DnsServer>().map(|server| server.to_string());
        assert_eq!(server("192.0.2.53").unwrap(), "192.0.2.53:53");
        assert_eq!(server("192.0.2.53:5353").unwrap(), "192.0.2.53:5353");
        assert_eq!(server("2001:db8::53").unwrap(), "[2001:db8::53]:53");
        assert_eq!(
            server("[2001:db8::53]:5353").unwrap(),
            "[2001:db8::53]:5353"
        );
        assert!(server("dns.test").is_err());
    }
}
