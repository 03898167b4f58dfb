//! Says whether a password is right, without letting anybody guess.
//!
//! `core` decides who waits, who is refused and when; [`password`] computes; [`Login`] is the
//! shell, and [`Hasher`]s do the work.

mod actor;
mod config;
mod core;
mod generations;
mod hasher;
mod metrics;
pub mod password;

pub use actor::{Login, LoginArgs};
pub use config::Config;
pub use hasher::{Hasher, HasherArgs};
pub use metrics::METRICS;
