//! From an accepted message to local mailboxes and remote domain queues.

mod actor;
mod core;
mod metrics;

pub use actor::{Router, RouterArgs};
pub use metrics::METRICS;
