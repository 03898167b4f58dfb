//! What a metric is, and how tracing is set up.
//!
//! A room declares its numbers as [`Metric`] constants and records them through these; the census
//! in `actors` and `src` gathers the declarations. Which recorder keeps the numbers is the daemon's
//! choice: it installs one and then calls [`describe`].

mod cache;
mod level;
mod logging;
mod metric;

pub use level::Held;
pub use logging::{Format, LoggingError, set_up};
pub use metric::{Kind, Metric, describe};
