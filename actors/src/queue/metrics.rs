//! The numbers of the domain queues.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[ATTEMPTS, MESSAGES, SETTLED];

pub(super) const ATTEMPTS: Metric = Metric {
    name: "heronry_queue_attempts_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Deliveries started by domain queues.",
};

/// `state`: waiting | in_flight.
pub(super) const MESSAGES: Metric = Metric {
    name: "heronry_queue_messages",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Recipients held in memory by the domain queues, by state.",
};

/// `outcome`: deliver | defer | fail.
pub(super) const SETTLED: Metric = Metric {
    name: "heronry_queue_settled_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Attempts at recipients that ended, by outcome.",
};
