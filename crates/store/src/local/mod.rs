//! The store on a local disk: the journal is the truth, the directory follows it.

mod awaited;
mod check;
mod compaction;
mod compare;
mod config;
mod damaged;
mod ended;
mod keeper;
mod ledger;
mod lives;
mod marks;
mod open;
mod progress;
mod report;
mod scrub;
mod snapshot;
mod threads;
mod upkeep;

#[cfg(test)]
mod crash;

pub use check::CheckReport;
pub use compare::Compared;
pub use config::Config;
pub use keeper::Local;
pub use marks::{Formats, RESTORING};
pub use progress::{Progress, Stage, Teller};
pub use report::{Opened, SegmentReport, Stats};
pub use scrub::{Scrub, Scrubbed};
pub use snapshot::{Snapshot, SnapshotFile};
