//! Accepts sockets under a gate and hands them to a session family.

mod actor;
mod metrics;

pub use actor::{Guest, Listener, ListenerArgs};
pub use metrics::METRICS;
