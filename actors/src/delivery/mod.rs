//! Carries messages to other systems: one actor per outbound connection.

mod actor;
mod cargo;
mod config;
mod line;
mod metrics;
mod told;
mod unchunked;
mod way;

pub use actor::{Delivery, DeliveryArgs};
pub use config::{Config, Hop, HopError, StaticRoute};
pub use metrics::METRICS;
pub use unchunked::UnchunkedHosts;
