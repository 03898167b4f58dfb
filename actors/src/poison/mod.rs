//! Sets aside what brings actors down, so that everything else goes on.

mod actor;
mod core;
mod metrics;

pub use self::core::{Suspects, Verdict};
pub use actor::{Poison, PoisonArgs};
pub use metrics::METRICS;
