//! What an operator may set about the DNS.

use serde::{Deserialize, Serialize};
use world::dns::DnsServer;

/// The section `[dns]`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which servers to ask, `ADDRESS` or `ADDRESS:PORT`; none: those of this machine.
    pub servers: Vec<DnsServer>,
    /// Answers that are kept.
    pub kept_max: usize,
    /// Questions that may be on their way at the same time.
    pub asking_max: usize,
    /// Answers are kept for so many seconds at least, whatever they say.
    pub ttl_min_seconds: u64,
    /// Answers are kept for so many seconds at most, whatever they say.
    pub ttl_max_seconds: u64,
    /// That there is no such name or record is kept for so many seconds at most.
    pub negative_max_seconds: u64,
    /// That no server answered is kept for so many seconds.
    pub trouble_seconds: u64,
    /// While no server answers, answers are used for so many seconds past their time.
    pub stale_max_seconds: u64,
    /// After a stale answer the servers are left alone for so many seconds.
    pub stale_rest_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            kept_max: KEPT_MAX,
            asking_max: ASKING_MAX,
            ttl_min_seconds: TTL_MIN_SECONDS,
            ttl_max_seconds: TTL_MAX_SECONDS,
            negative_max_seconds: NEGATIVE_MAX_SECONDS,
            trouble_seconds: TROUBLE_SECONDS,
            stale_max_seconds: STALE_MAX_SECONDS,
            stale_rest_seconds: STALE_REST_SECONDS,
        }
    }
}

/// A few hundred octets each.
const KEPT_MAX: usize = 20_000;
const ASKING_MAX: usize = 256;
/// Departs from RFC 1035 §3.2.1, which has a TTL of zero used once: one delivery asks for the
/// same host several times, and a zone must not make us ask for each.
const TTL_MIN_SECONDS: u64 = 5;
/// RFC 8767 §4 recommends a cap of days; whoever moves their mail does not want to wait for ours.
const TTL_MAX_SECONDS: u64 = 86_400;
/// RFC 2308 §5: one to three hours have been found to work well.
const NEGATIVE_MAX_SECONDS: u64 = 3600;
/// RFC 9520 §3.2: at least one second, at most five minutes.
const TROUBLE_SECONDS: u64 = 10;
/// RFC 8767 §5: between one and three days.
const STALE_MAX_SECONDS: u64 = 86_400;
/// RFC 8767 §4 and §5: 30 seconds.
const STALE_REST_SECONDS: u64 = 30;
