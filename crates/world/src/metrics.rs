//! The numbers of the seams.

use telemetry::{Kind, Metric};

/// Every metric of this room.
pub const METRICS: &[Metric] = &[ACCEPT_TROUBLE, CLOSED, CONNECTIONS, HANDSHAKES, OCTETS];

/// `why`: descriptors | other.
pub(crate) const ACCEPT_TROUBLE: Metric = Metric {
    name: "heronry_world_accept_troubles_total",
    kind: Kind::Counter,
    labels: &["why"],
    help: "Times that a connection could not be accepted, by cause.",
};

/// `why`: ended | idle | lifetime | peer | reset | tls | write.
pub(crate) const CLOSED: Metric = Metric {
    name: "heronry_world_connections_closed_total",
    kind: Kind::Counter,
    labels: &["why"],
    help: "Client connections that ended, by cause.",
};

pub(crate) const CONNECTIONS: Metric = Metric {
    name: "heronry_world_connections",
    kind: Kind::Gauge,
    labels: &[],
    help: "Client connections that are open.",
};

/// `direction`: in | out; `outcome`: done | failed.
pub(crate) const HANDSHAKES: Metric = Metric {
    name: "heronry_world_tls_handshakes_total",
    kind: Kind::Counter,
    labels: &["direction", "outcome"],
    help: "TLS handshakes that ended, by who began them and by outcome.",
};

/// `direction`: in | out.
pub(crate) const OCTETS: Metric = Metric {
    name: "heronry_world_octets_total",
    kind: Kind::Counter,
    labels: &["direction"],
    help: "Octets carried by client connections, without the cost of TLS.",
};
