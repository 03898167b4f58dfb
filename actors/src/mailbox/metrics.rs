//! The numbers of the mailboxes.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[DELIVERED, WRITES_FAILED];

/// `outcome`: delivered | repeated | failed | over_quota | refused.
pub(super) const DELIVERED: Metric = Metric {
    name: "heronry_mailbox_deliveries_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Deliveries to local mailboxes that ended, by outcome.",
};

pub(super) const WRITES_FAILED: Metric = Metric {
    name: "heronry_mailbox_writes_failed_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Changes of mailboxes that the store did not take.",
};
