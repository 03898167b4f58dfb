//! The configuration: one TOML file, one struct made of each room's own.
//!
//! Every key says its unit, every default is a documented constant, and a key that is not known
//! is an error with the line and the nearest known one.

mod defaults;
mod difference;
mod effective;
mod error;
mod listener;
mod read;
mod sections;

pub use difference::{Change, changes};
pub use effective::{Effective, Source};
pub use error::ConfigError;
pub use listener::{Listener, Protocol};
pub use sections::{Config, Limits, Log, LogFormat, Silence, Stop, Tls};
