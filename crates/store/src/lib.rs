//! The store: a journal that is the truth, and a directory that can be thrown away.
//!
//! The ports ([`Spool`](port::Spool), [`MailStore`](port::MailStore),
//! [`Accounts`](port::Accounts), [`Leases`](port::Leases)) are what the house asks for.
//! [`MemoryStore`] answers from memory; [`DiskStore`] makes every fact durable before it says so.
#![allow(
    clippy::disallowed_types,
    reason = "the store shares memory between its callers and its own threads; it knows no actors"
)]
#![allow(
    private_bounds,
    reason = "what keeps the rows is chosen here and nowhere else: the trait is sealed"
)]

mod batch;
mod codec;
mod desk;
mod directory;
mod disk;
mod error;
mod journal;
mod keeper;
mod keys;
mod local;
mod memory;
mod metrics;
pub mod port;
mod record;
mod zeros;

pub use codec::Compress;
pub use desk::Store;
#[doc(hidden)]
pub use directory::{ProbedCheckpoint, mend_checkpoint, probe_checkpoint};
pub use error::StoreError;
#[doc(hidden)]
pub use journal::{Probed, mend, probe};
pub use keeper::Clock;
pub use local::{
    CheckReport, Compared, Config, Formats, Local, Opened, Progress, RESTORING, Scrub, Scrubbed,
    SegmentReport, Snapshot, SnapshotFile, Stage, Stats, Teller,
};
pub use memory::Memory;
pub use metrics::METRICS;

/// The store in memory.
pub type MemoryStore = Store<Memory>;

/// The store on a local disk.
pub type DiskStore = Store<Local>;
