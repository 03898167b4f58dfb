//! What an operator says about the store.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The store's configuration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder. It is created if it is not there. Not read from a configuration: the whole
    /// daemon has one data folder.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Memory for the directory's caches, in octets, all of them together.
    pub cache_octets: u64,
    /// How long a segment of the journal is, in octets; at most 1 GiB.
    pub segment_octets: u64,
    /// Octets of the disk that new mail leaves free, for all that is not new mail.
    pub reserve_octets: u64,
    /// Octets that may wait for the journal's writer before a write is refused.
    pub queue_octets: usize,
    /// Octets of directory rows that may wait in memory before they are put into the engine at
    /// once; four times as many, and writes are refused until they are.
    pub overlay_octets: usize,
    /// Octets of changes after which all rows are copied to a checkpoint; more when the
    /// checkpoint is larger.
    pub checkpoint_octets: u64,
    /// Over how many partitions mail is spread, 1 to 16. May be changed at any time: the
    /// directory is then made anew.
    pub mail_partitions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("data"),
            cache_octets: 64 * MEBI,
            segment_octets: 64 * MEBI,
            reserve_octets: 256 * MEBI,
            queue_octets: 64 * 1024 * 1024,
            overlay_octets: 16 * 1024 * 1024,
            checkpoint_octets: 64 * MEBI,
            mail_partitions: 4,
        }
    }
}

impl Config {
    /// The configuration for a folder, with the defaults for everything else.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            ..Self::default()
        }
    }

    /// What is out of range is brought into it.
    pub(super) fn bounded(mut self) -> Self {
        self.segment_octets = self.segment_octets.clamp(SEGMENT_OCTETS_MIN, 1024 * MEBI);
        self.mail_partitions = self.mail_partitions.clamp(1, 16);
        self
    }
}

const MEBI: u64 = 1024 * 1024;
const SEGMENT_OCTETS_MIN: u64 = 64 * 1024;
