//! Why a backup was not taken, not read or not put back.

use std::{io, path::Path};

use store::StoreError;

/// Why a backup was not taken, not read or not put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Another process works on the same backup. Fault of the operator.
    #[error("{folder} is in use by another backup or restore")]
    Busy {
        /// The backup.
        folder: String,
    },
    /// What is in the backup is not what was put there. Fault of the disk.
    #[error("{what} is damaged")]
    Damaged {
        /// What.
        what: String,
    },
    /// The disk refused. Fault of the disk, or of the operator.
    #[error("cannot {action}: {source}")]
    Disk {
        /// What was tried.
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is less room than what is to be written. Fault of the operator.
    #[error("{folder} has {free} octets free, and {needed} are needed")]
    Full {
        /// Where.
        folder: String,
        /// How many are free.
        free: u64,
        /// How many are needed.
        needed: u64,
    },
    /// A newer Heronry wrote it. Fault of the operator.
    #[error("{what} has format {found}, newer than {known}: use the Heronry that wrote it")]
    Newer {
        /// What.
        what: String,
        /// The format found.
        found: u8,
        /// The newest format known.
        known: u8,
    },
    /// A folder is not what was said of it. Fault of the operator.
    #[error("{0}")]
    Place(String),
    /// The store in the backup, or the one put back, cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// The disk refused to do something with a file.
    pub(super) fn disk(action: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let action = format!("{action} {}", path.display());
        move |source| Self::Disk { action, source }
    }
}
