//! A network: the addresses that share a prefix.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// Addresses with a common prefix, written `192.0.2.0/24` or `2001:db8::/32` (RFC 4632 §3.1,
/// RFC 4291 §2.3); an address alone is the network of just that address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network. Fault of whoever wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// What stands before the `/` is no IP address.
    #[error("not a network: 192.0.2.0/24 or 2001:db8::/32 is expected")]
    Address,
    /// Bits behind the prefix are set: it is not clear what was meant.
    #[error("the address has bits set behind its prefix; {0} is the network it lies in")]
    Host(Network),
    /// What stands after the `/` is not 0 to 32, or 0 to 128 for IPv6.
    #[error("after the / a number up to {0} is expected")]
    Prefix(u8),
}

impl Network {
    /// Whether the address lies in this network. An IPv4 address mapped into IPv6 counts as the
    /// IPv4 address that it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                masked(own.to_bits().into(), 32, self.prefix)
                    == masked(other.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                masked(own.to_bits(), 128, self.prefix) == masked(other.to_bits(), 128, self.prefix)
            }
            _ => false,
        }
    }

    /// The network of that prefix length in which the address lies; a length beyond the
    /// address's own is the address alone.
    #[must_use]
    pub fn around(address: IpAddr, prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let prefix = prefix.min(32);
                let bits = masked(v4.to_bits().into(), 32, prefix);
                let bits = u32::try_from(bits).expect("32 bits, masked, are still 32 bits");
                Self {
                    address: IpAddr::V4(bits.into()),
                    prefix,
                }
            }
            IpAddr::V6(v6) => {
                let prefix = prefix.min(128);
                Self {
                    address: IpAddr::V6(masked(v6.to_bits(), 128, prefix).into()),
                    prefix,
                }
            }
        }
    }
}

fn masked(bits: u128, width: u8, prefix: u8) -> u128 {
    let behind = u32::from(width - prefix);
    bits.checked_shr(behind)
        .and_then(|kept| kept.checked_shl(behind))
        .unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|&prefix| prefix <= width)
                .ok_or(NetworkError::Prefix(width))?,
        };
        let network = Self { address, prefix };
        let meant = match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => network,
            _ => Self::around(address, prefix),
        };
        if meant == network {
            Ok(network)
        } else {
            Err(NetworkError::Host(meant))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let of = |net: &str, address: &str| network(net).contains(address.parse().unwrap());
        assert!(of("192.0.2.0/24", "192.0.2.255"));
        assert!(of("192.0.2.0/24", "::ffff:192.0.2.7"));
        assert!(!of("192.0.2.0/24", "192.0.3.0"));
        assert!(!of("192.0.2.0/24", "2001:db8::1"));
        assert!(of("0.0.0.0/0", "203.0.113.9"));
        assert!(of("::/0", "2001:db8::1"));
        assert!(of("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(of("192.0.2.1", "192.0.2.1"));
        assert!(!of("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_would_be_right() {
        let of = |text: &str| text.parse::<Network>().unwrap_err();
        assert_eq!(of("localhost"), NetworkError::Address);
        assert_eq!(of("192.0.2.0/33"), NetworkError::Prefix(32));
        assert_eq!(of("2001:db8::/129"), NetworkError::Prefix(128));
        assert_eq!(
            of("192.0.2.7/24"),
            NetworkError::Host(network("192.0.2.0/24"))
        );
    }

    #[test]
    fn an_address_lies_in_the_network_around_it() {
        let around = Network::around("192.0.2.77".parse().unwrap(), 24);
        assert_eq!(around.to_string(), "192.0.2.0/24");
        let around = Network::around("2001:db8:1:2:3::4".parse().unwrap(), 64);
        assert_eq!(around.to_string(), "2001:db8:1:2::/64");
    }
}
