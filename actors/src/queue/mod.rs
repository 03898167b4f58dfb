//! One actor per outbound domain: what waits, what is tried, what is due.

mod actor;
mod config;
mod core;
mod metrics;

pub use actor::{Queue, QueueArgs};
pub use config::Config;
pub use core::{DomainQueue, Effect, Key, Limits};
pub use metrics::METRICS;
