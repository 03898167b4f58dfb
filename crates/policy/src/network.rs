//! Networks as operators write them: an address, a slash, a number of bits.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// A network in CIDR form, `192.0.2.0/24` or `2001:db8::/32`; a lone address is a network of one
/// (RFC 4632 §3.1, RFC 4291 §2.3). IPv4 addresses mapped into IPv6 count as IPv4.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// The text is not a network. Fault of whoever wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// What stands before the slash is no IP address.
    #[error("a network begins with an IP address, as in 192.0.2.0/24 or 2001:db8::/32")]
    Address,
    /// The number behind the slash is none, or too large.
    #[error("behind the slash stands a number of bits: at most 32 for IPv4, 128 for IPv6")]
    Bits,
    /// The address has bits behind those that the network fixes: probably a slip.
    #[error("the address has bits set beyond the network's: {0} is meant?")]
    Host(Network),
}

impl Network {
    /// The network of that many bits around an address; too many bits are all of them.
    #[must_use]
    pub fn around(address: IpAddr, bits: u8) -> Self {
        let address = address.to_canonical();
        let (base, bits) = match address {
            IpAddr::V4(v4) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                (IpAddr::from((u32::from(v4) & mask).to_be_bytes()), bits)
            }
            IpAddr::V6(v6) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                (IpAddr::from((u128::from(v6) & mask).to_be_bytes()), bits)
            }
        };
        Self { base, bits }
    }

    /// Whether the address lies in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && Self::around(address, self.bits) == *self
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.trim().parse().map_err(|_| NetworkError::Address)?;
        let address = written.to_canonical();
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        // ::ffff:192.0.2.0/120 is 192.0.2.0/24.
        let mapped = if written == address { 0 } else { 96 };
        let bits = match bits {
            None => bits_max,
            Some(bits) => bits
                .trim()
                .parse::<u8>()
                .ok()
                .and_then(|bits| bits.checked_sub(mapped))
                .filter(|&bits| bits <= bits_max)
                .ok_or(NetworkError::Bits)?,
        };
        let network = Self::around(address, bits);
        if network.base != address {
            return Err(NetworkError::Host(network));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
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

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.2.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("::/0", "192.0.2.1", false),
            ("127.0.0.0/8", "127.0.1.1", true),
        ];
        for (network, address, inside) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                inside,
                "{network} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_its_reason() {
        let of = |text: &str| text.parse::<Network>().unwrap_err();
        assert_eq!(of("localhost/8"), NetworkError::Address);
        assert_eq!(of("192.0.2.0/33"), NetworkError::Bits);
        assert_eq!(of("192.0.2.0/"), NetworkError::Bits);
        assert_eq!(of("::ffff:192.0.2.0/24"), NetworkError::Bits);
        let meant = "192.0.2.0/24".parse().unwrap();
        assert_eq!(of("192.0.2.1/24"), NetworkError::Host(meant));
    }
}
