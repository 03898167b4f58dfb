//! The numbers of the deliveries.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[CONNECTIONS, MESSAGES, REUSED];

/// `outcome`: connected | failed; `tls`: unknown until it is connected.
pub(super) const CONNECTIONS: Metric = Metric {
    name: "heronry_delivery_connections_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Connections to other systems, by outcome.",
};

/// `tls`: yes | no.
pub(super) const MESSAGES: Metric = Metric {
    name: "heronry_delivery_messages_total",
    kind: Kind::Counter,
    labels: &["tls"],
    help: "Messages carried to their end over a connection, whatever the answer, by encryption.",
};

pub(super) const REUSED: Metric = Metric {
    name: "heronry_delivery_reused_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Messages that found a connection standing.",
};
