//! Writes non-delivery and delay reports and spools them like any other mail.

mod actor;
mod metrics;

pub use actor::{Bounce, BounceArgs};
pub use metrics::METRICS;
