//! The numbers of the store.

use telemetry::{Kind, Metric};

/// Every metric that the store records.
pub const METRICS: &[Metric] = &[
    APPLIED,
    APPLY_SECONDS,
    CHECKPOINT_SECONDS,
    COMPACTED,
    DAMAGED,
    DROPPED,
    FREE,
    GROUP_FRAMES,
    HELD_BACK,
    LAG,
    OCTETS,
    POISONED,
    QUEUE,
    REOPEN_SECONDS,
    SEALED_OCTETS,
    SEGMENTS,
    SYNC_SECONDS,
    ZEROS,
];

pub(crate) const APPLIED: Metric = Metric {
    name: "heronry_store_directory_operations_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Operations applied to the directory.",
};

pub(crate) const APPLY_SECONDS: Metric = Metric {
    name: "heronry_store_directory_apply_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long the directory took for a round of operations.",
};

pub(crate) const CHECKPOINT_SECONDS: Metric = Metric {
    name: "heronry_store_checkpoint_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long a checkpoint of the directory took.",
};

pub(crate) const COMPACTED: Metric = Metric {
    name: "heronry_store_compacted_octets_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Octets of bodies that were moved out of segments that were mostly dead.",
};

/// `what`: body | directory | frame.
pub(crate) const DAMAGED: Metric = Metric {
    name: "heronry_store_damaged_total",
    kind: Kind::Counter,
    labels: &["what"],
    help: "Damage that was found and set aside.",
};

pub(crate) const DROPPED: Metric = Metric {
    name: "heronry_store_segments_dropped_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Segments of the journal that were given back.",
};

pub(crate) const FREE: Metric = Metric {
    name: "heronry_store_free_octets",
    kind: Kind::Gauge,
    labels: &[],
    help: "Octets free on the store's disk.",
};

pub(crate) const GROUP_FRAMES: Metric = Metric {
    name: "heronry_store_group_frames",
    kind: Kind::Histogram,
    labels: &[],
    help: "Frames that shared one sync.",
};

pub(crate) const HELD_BACK: Metric = Metric {
    name: "heronry_store_held_back_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long a group of writes was held back because the directory did not keep up.",
};

pub(crate) const LAG: Metric = Metric {
    name: "heronry_store_directory_lag_octets",
    kind: Kind::Gauge,
    labels: &[],
    help: "Octets of operations that are durable and not yet in the directory.",
};

pub(crate) const OCTETS: Metric = Metric {
    name: "heronry_store_journal_octets_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Octets written to the journal.",
};

pub(crate) const POISONED: Metric = Metric {
    name: "heronry_store_poisoned_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Writes or syncs of the journal that failed; everybody who waited was refused.",
};

pub(crate) const QUEUE: Metric = Metric {
    name: "heronry_store_queue_octets",
    kind: Kind::Gauge,
    labels: &[],
    help: "Octets that wait for the journal's writer.",
};

/// `state`: dead | live.
pub(crate) const REOPEN_SECONDS: Metric = Metric {
    name: "heronry_store_directory_reopen_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long a partition of the directory that nobody used could not be read, because it was opened anew to give its memory back.",
};

pub(crate) const SEALED_OCTETS: Metric = Metric {
    name: "heronry_store_sealed_octets",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Octets of sealed segments: of bodies that somebody refers to, and all others.",
};

pub(crate) const SEGMENTS: Metric = Metric {
    name: "heronry_store_segments",
    kind: Kind::Gauge,
    labels: &[],
    help: "Segments of the journal.",
};

pub(crate) const SYNC_SECONDS: Metric = Metric {
    name: "heronry_store_sync_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long a sync of the journal took.",
};

pub(crate) const ZEROS: Metric = Metric {
    name: "heronry_store_zero_octets_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Zeros written to the journal where small groups of frames were to come.",
};
