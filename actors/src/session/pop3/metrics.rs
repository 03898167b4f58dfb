//! The numbers of the POP3 sessions.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[LOGINS, MESSAGES, RESUMED];

/// `outcome`: welcome | refused | in_use | busy.
pub(super) const LOGINS: Metric = Metric {
    name: "heronry_pop3_logins_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Logins to POP3, by outcome.",
};

pub(super) const MESSAGES: Metric = Metric {
    name: "heronry_pop3_messages_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Messages sent to POP3 clients, whole or their top.",
};

pub(super) const RESUMED: Metric = Metric {
    name: "heronry_pop3_sessions_resumed_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Sessions that went on from their checkpoint after a crash.",
};
