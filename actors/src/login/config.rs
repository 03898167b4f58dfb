//! What an operator may set about logins.

use serde::{Deserialize, Serialize};

/// The section `[login]`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Hashes computed at the same time; each takes 19 MiB and a core for some 20 ms.
    pub workers: usize,
    /// Requests that may wait for a hash; one more is told to come back later.
    pub waiting_max: usize,
    /// Logins that were right and need no hash for a while.
    pub remembered_max: usize,
    /// How long they need none, in seconds.
    pub remembered_seconds: u64,
    /// How late the first refusal comes, in milliseconds; it doubles with each failure.
    pub refusal_first_milliseconds: u64,
    /// How late a refusal comes at most, in milliseconds; below 25,000.
    pub refusal_longest_milliseconds: u64,
    /// After how many quiet seconds a network or an account has half as many failures.
    pub failures_halve_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: WORKERS,
            waiting_max: WAITING_MAX,
            remembered_max: REMEMBERED_MAX,
            remembered_seconds: REMEMBERED_SECONDS,
            refusal_first_milliseconds: REFUSAL_FIRST_MILLISECONDS,
            refusal_longest_milliseconds: REFUSAL_LONGEST_MILLISECONDS,
            failures_halve_seconds: FAILURES_HALVE_SECONDS,
        }
    }
}

/// Two cores of hashing at most: logins must not starve the mail.
const WORKERS: usize = 2;
/// At 50 hashes a second and worker, the last one waits for about five seconds.
const WAITING_MAX: usize = 512;
/// 64 octets each: 4 MiB.
const REMEMBERED_MAX: usize = 65_536;
/// Clients that poll every five minutes stay remembered.
const REMEMBERED_SECONDS: u64 = 900;
const REFUSAL_FIRST_MILLISECONDS: u64 = 500;
const REFUSAL_LONGEST_MILLISECONDS: u64 = 16_000;
const FAILURES_HALVE_SECONDS: u64 = 300;
