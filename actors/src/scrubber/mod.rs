//! Reads everything that is at rest again and again, slowly, and tells what has rotted.

mod actor;
mod metrics;

pub use actor::{ScrubStep, Scrubber, ScrubberArgs};
pub use metrics::METRICS;
