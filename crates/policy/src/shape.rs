//! How much one client may take: connections in all, and of one network.

use std::net::IpAddr;

use mail::{Enhanced, Network, Reply};
use serde::{Deserialize, Serialize};

/// The limits of a listener.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time.
    pub connections_max: usize,
    /// Of these, connections from one network.
    pub connections_per_network_max: usize,
    /// How many bits of an IPv4 address make a network.
    pub network_bits_v4: u8,
    /// How many bits of an IPv6 address make a network: a customer has a /64 at least.
    pub network_bits_v6: u8,
}

/// What to do with a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Serve it.
    Admit,
    /// Say this and close it.
    Refuse(Reply),
}

impl Limits {
    /// The network under which a client's connections are counted.
    #[must_use]
    pub fn network(&self, client: IpAddr) -> Network {
        let client = client.to_canonical();
        let bits = if client.is_ipv4() {
            self.network_bits_v4
        } else {
            self.network_bits_v6
        };
        Network::around(client, bits)
    }

    /// Whether one more connection is served, besides `open` in all and `of_network` of the
    /// client's network.
    #[must_use]
    pub fn connect(&self, open: usize, of_network: usize) -> Verdict {
        if open >= self.connections_max {
            Verdict::Refuse(Reply::new(
                421,
                Enhanced(4, 3, 2),
                "too many connections, try later",
            ))
        } else if of_network >= self.connections_per_network_max {
            let text = "too many connections from your network, try later";
            Verdict::Refuse(Reply::new(421, Enhanced(4, 7, 0), text))
        } else {
            Verdict::Admit
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_network_max: 200,
            network_bits_v4: 32,
            network_bits_v6: 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_refused_before_everybody_is() {
        let limits = Limits {
            connections_max: 10,
            connections_per_network_max: 2,
            ..Limits::default()
        };
        let code = |verdict| match verdict {
            Verdict::Admit => None,
            Verdict::Refuse(reply) => reply.enhanced(),
        };
        assert_eq!(code(limits.connect(9, 1)), None);
        assert_eq!(code(limits.connect(9, 2)), Some(Enhanced(4, 7, 0)));
        assert_eq!(code(limits.connect(10, 0)), Some(Enhanced(4, 3, 2)));
    }

    #[test]
    fn clients_are_counted_by_network() {
        let limits = Limits::default();
        let network = |ip: &str| limits.network(ip.parse().unwrap()).to_string();
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1/32");
        assert_eq!(network("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
    }
}
