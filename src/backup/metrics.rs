//! The numbers of backups, as the daemon tells them.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[OCTETS, TAKEN];

pub(super) const OCTETS: Metric = Metric {
    name: "heronry_backup_octets",
    kind: Kind::Gauge,
    labels: &[],
    help: "Octets of all files of the last good state of a backup.",
};

/// Its age is `time()` minus this.
pub(super) const TAKEN: Metric = Metric {
    name: "heronry_backup_taken_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "When the last good state of a backup was begun, in seconds since 1970; 0: never. The panel shows its age.",
};
