//! What an operator may set about outbound queues.

use policy::retry::Schedule;
use serde::{Deserialize, Serialize};

use super::Limits;

/// The `[queue]` table of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Connections to one domain at one time.
    pub connections_per_domain_max: usize,
    /// After how many seconds a sender is told that a message is late.
    pub delay_warning_seconds: u64,
    /// After how many seconds a message is given up (RFC 5321 §4.5.4.1: at least 4 to 5 days).
    pub expire_seconds: u64,
    /// Recipients of one message in one transaction.
    pub recipients_per_transaction_max: usize,
    /// The factor by which the pause grows with each attempt.
    pub retry_factor: f64,
    /// The first pause, in seconds.
    pub retry_first_seconds: u64,
    /// How far chance moves a pause, as a part of it, 0.0 to 1.0.
    pub retry_jitter: f64,
    /// The longest pause, in seconds.
    pub retry_longest_seconds: u64,
    /// Recipients of one domain that are held in memory; the spool has them all.
    pub window: usize,
}

impl Config {
    /// How much a domain queue does at one time: one of each at least, or nothing would move.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            deliveries_max: self.connections_per_domain_max.max(1),
            recipients_max: self.recipients_per_transaction_max.max(1),
            window: self.window.max(1),
        }
    }

    /// When what is tried again.
    #[must_use]
    pub const fn schedule(&self) -> Schedule {
        Schedule {
            first_seconds: self.retry_first_seconds,
            factor: self.retry_factor,
            pause_max_seconds: self.retry_longest_seconds,
            jitter: self.retry_jitter,
            expiry_seconds: self.expire_seconds,
            late_seconds: self.delay_warning_seconds,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let schedule = Schedule::default();
        Self {
            connections_per_domain_max: CONNECTIONS_PER_DOMAIN_MAX,
            delay_warning_seconds: schedule.late_seconds,
            expire_seconds: schedule.expiry_seconds,
            recipients_per_transaction_max: RECIPIENTS_PER_TRANSACTION_MAX,
            retry_factor: schedule.factor,
            retry_first_seconds: schedule.first_seconds,
            retry_jitter: schedule.jitter,
            retry_longest_seconds: schedule.pause_max_seconds,
            window: WINDOW,
        }
    }
}

/// As many as Postfix opens to one destination: what receivers are used to.
const CONNECTIONS_PER_DOMAIN_MAX: usize = 20;

/// RFC 5321 §4.5.3.1.8: every server takes at least a hundred.
const RECIPIENTS_PER_TRANSACTION_MAX: usize = 100;

/// About 100 KiB a domain at most: a thousand domains that cannot be reached, with a million messages, have
/// half of them in memory.
const WINDOW: usize = 500;
