//! The store on a local disk: the journal is the truth, the directory follows it.

mod awaited;
mod check;
mod config;
mod ended;
mod keeper;
mod lives;
mod marks;
mod open;
mod report;
mod threads;

#[cfg(test)]
mod crash;

pub use check::CheckReport;
pub use config::Config;
pub use keeper::Local;
pub use report::{Opened, Stats};
