//! The numbers of the router.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[FOUND, ROUTED];

/// Above nothing now and then: hints get lost, and the look at the spool makes up for it.
pub(super) const FOUND: Metric = Metric {
    name: "heronry_router_found_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Messages that a look at the spool found still open.",
};

pub(super) const ROUTED: Metric = Metric {
    name: "heronry_router_messages_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Messages handed on to mailboxes and domain queues.",
};
