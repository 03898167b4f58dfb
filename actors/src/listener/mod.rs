//! Accepts sockets under a gate and hands them to a session family.

mod actor;
mod config;
mod metrics;

pub use actor::{Guest, Listener, ListenerArgs};
pub use config::Config;
pub use metrics::METRICS;
