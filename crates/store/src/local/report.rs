//! What the operator is told about the store.

use std::time::Duration;

/// What opening the store came upon.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Opened {
    /// Whether the store was closed the last time.
    pub clean: bool,
    /// Partitions of the directory that were made anew.
    pub rebuilt: Vec<String>,
    /// Frames of the journal that were applied again.
    pub replayed_frames: u64,
    /// Octets at the journal's end that a crash had left unfinished; nobody was ever told that
    /// they were safe. The beginning of them is kept in the folder `aside`, if there is room.
    pub torn_octets: u64,
    /// Damage that was found, each with its place. What is damaged is left where it is.
    pub damage: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A segment of the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SegmentReport {
    /// Its number, which is the name of its file.
    pub number: u32,
    /// Octets of its file.
    pub octets: u64,
    /// Octets of bodies in it that somebody refers to; `None` while a change of that is on its
    /// way into the directory.
    pub live_octets: Option<u64>,
    /// Whether a checkpoint still needs to be followed by what it says: until then it stays,
    /// whatever is alive in it.
    pub needed: bool,
}

/// How the store stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Segments of the journal.
    pub segments: usize,
    /// Octets of them.
    pub journal_octets: u64,
    /// The latest batch that was committed.
    pub committed_lsn: u64,
    /// The latest batch that is on stable storage.
    pub durable_lsn: u64,
    /// The latest batch that is in the directory's engine.
    pub applied_lsn: u64,
    /// Octets of directory rows in memory that are not in the engine yet.
    pub overlay_octets: usize,
    /// Octets that wait for the journal's writer.
    pub queued_octets: usize,
    /// Octets free on the disk.
    pub free_octets: u64,
    /// How often the store was opened.
    pub epoch: u64,
}
