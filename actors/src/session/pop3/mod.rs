//! Sessions of POP3.

mod actor;
mod maildrop;
mod metrics;

pub use actor::{Pop3Checkpoint, Pop3Connection, Pop3Session, Pop3SessionArgs};
pub use metrics::METRICS;
