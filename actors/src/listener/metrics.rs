//! The numbers of the listeners.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[ACCEPTED, CROWDED];

/// `protocol`: smtp | submission | submissions | lmtp | imap | imaps | pop3 | pop3s; `outcome`:
/// let_in | full | network_full.
pub(super) const ACCEPTED: Metric = Metric {
    name: "heronry_listener_connections_total",
    kind: Kind::Counter,
    labels: &["protocol", "outcome"],
    help: "Connections accepted from the kernel, by protocol and outcome.",
};

/// `protocol`: as above.
pub(super) const CROWDED: Metric = Metric {
    name: "heronry_listener_crowded_total",
    kind: Kind::Counter,
    labels: &["protocol"],
    help: "Times that a listener stopped accepting because its soft limit was reached.",
};
