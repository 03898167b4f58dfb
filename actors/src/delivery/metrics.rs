//! The numbers of the deliveries.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[CONNECTIONS, LEFT, MESSAGES, REUSED, UNCHUNKED];

/// `outcome`: connected | failed; `tls`: unknown until it is connected.
pub(super) const CONNECTIONS: Metric = Metric {
    name: "heronry_delivery_connections_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Connections to other systems, by outcome.",
};

/// `why`: closing | idle | limit | nothing | peer | settings.
pub(super) const LEFT: Metric = Metric {
    name: "heronry_delivery_left_total",
    kind: Kind::Counter,
    labels: &["why"],
    help: "Connections that carry nothing more: the house closes, nothing came while they waited, they have carried their limit, the queue had nothing, the peer ended them, other settings are in force.",
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

/// `why`: lost | refused.
pub(super) const UNCHUNKED: Metric = Metric {
    name: "heronry_delivery_unchunked_total",
    kind: Kind::Counter,
    labels: &["why"],
    help: "Times that a system which offers CHUNKING got its mail after DATA for an hour from then on: its connection ended over a chunk, it did not know BDAT.",
};
