//! Backups: dated states of the whole system in one folder, which share what has not changed.
//!
//! ```text
//! DIR/heronry-backup                    says what the folder is
//!     2026-11-29T13-33-43Z/             a state: complete, and no state needs another one
//!         manifest.json                 every file with its length and BLAKE3
//!         manifest.blake3               of that file itself
//!         data/                         what becomes a data folder again
//!         settings/                     configuration, certificates, keys
//!     unfinished/                       a run that was interrupted; the next one goes on with it
//! ```
//!
//! Segments of the journal never change once they are sealed: a state has them as hard links to the
//! files of the state before.

mod error;
mod files;
mod last;
mod manifest;
mod metrics;
mod open;
mod paced;
mod progress;
mod put_back;
mod shelf;
mod take;
mod verify;

pub use error::BackupError;
pub use last::Last;
pub use manifest::{Entry, Manifest};
pub use metrics::METRICS;
pub use open::OpenState;
pub use paced::Paced;
pub use progress::Progress;
pub use put_back::{PutBack, put_back, settle};
pub use shelf::{Shelf, State};
pub use take::{About, Taken, Wanted, take};
pub use verify::{Verified, verify};
