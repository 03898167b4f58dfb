//! What an operator says about the store.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::codec::Compress;

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
    /// Memory for the headers of messages that were read not long ago, in octets.
    pub heads_octets: usize,
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
    /// Octets of what is at rest that are read again in a second, for ever, to see whether they are
    /// still what was written; zero: never.
    pub scrub_octets_per_second: u64,
    /// Over how many partitions mail is spread, 1 to 16. May be changed at any time: the
    /// directory is then made anew.
    pub mail_partitions: usize,
    /// A segment of the journal is given back, and what is alive in it moved, when less than so
    /// many hundredths of it are alive; 0: only when nothing is alive. At most 90.
    pub compact_below_percent: u8,
    /// How many octets of bodies are moved in a second, at most. A disk that is nearly full is
    /// in more of a hurry.
    pub compact_octets_per_second: u64,
    /// How often, at most, all rows are copied to a checkpoint for no other reason than that room
    /// in the journal waits to be given back.
    pub reclaim_seconds: u64,
    /// When bodies are compressed.
    pub compress: Compress,
    /// With [`Compress::Cold`]: after so many seconds what is still alive of a segment is moved once, to
    /// be compressed; zero: never.
    pub cold_after_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("data"),
            cache_octets: 64 * MEBI,
            heads_octets: 16 * 1024 * 1024,
            segment_octets: 64 * MEBI,
            reserve_octets: 256 * MEBI,
            queue_octets: 64 * 1024 * 1024,
            overlay_octets: 16 * 1024 * 1024,
            checkpoint_octets: 64 * MEBI,
            scrub_octets_per_second: 4 * MEBI,
            mail_partitions: 4,
            compact_below_percent: 50,
            compact_octets_per_second: 8 * MEBI,
            reclaim_seconds: 600,
            compress: Compress::Cold,
            cold_after_seconds: 7 * 24 * 3600,
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
        // Above that much is moved for little room.
        self.compact_below_percent = self.compact_below_percent.min(90);
        self.compact_octets_per_second = self.compact_octets_per_second.max(MEBI / 4);
        self
    }
}

const MEBI: u64 = 1024 * 1024;
const SEGMENT_OCTETS_MIN: u64 = 64 * 1024;
