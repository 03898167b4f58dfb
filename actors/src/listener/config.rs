//! What an operator may set about the number of connections.

use serde::{Deserialize, Serialize};

/// How many connections a listener lets in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// At this number of connections the rest waits in the kernel.
    pub connections_soft: usize,
    /// At this number of connections the rest is turned away.
    pub connections_max: usize,
    /// Connections from one address (one /64, for IPv6).
    pub connections_per_client_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_soft: CONNECTIONS_SOFT,
            connections_max: CONNECTIONS_MAX,
            connections_per_client_max: CONNECTIONS_PER_CLIENT_MAX,
        }
    }
}

/// 20,000 idle sessions take some 300 MiB.
const CONNECTIONS_SOFT: usize = 20_000;

const CONNECTIONS_MAX: usize = 25_000;

/// A household behind one address has tens of clients with several connections each; an
/// organisation behind one address sets it higher.
const CONNECTIONS_PER_CLIENT_MAX: usize = 2_000;
