//! The numbers of the bounce actor.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[REPORTS];

/// `kind`: failure | delay | untold | not_stored.
pub(super) const REPORTS: Metric = Metric {
    name: "heronry_bounce_reports_total",
    kind: Kind::Counter,
    labels: &["kind"],
    help: "Reports to senders, by kind; untold are failures that nobody could be told of.",
};
