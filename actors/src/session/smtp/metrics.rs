//! The numbers of the SMTP sessions.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[
    ACCEPT_SECONDS,
    DELIVERED,
    MESSAGES,
    OCTETS,
    OVER_QUOTA,
    RESUMED,
];

/// From the end of the message to the 250 that says it is on stable storage.
pub(super) const ACCEPT_SECONDS: Metric = Metric {
    name: "heronry_smtp_accept_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "Time from the end of a message to its being on stable storage.",
};

/// The rest goes by the spool, and is counted by the mailboxes.
pub(super) const DELIVERED: Metric = Metric {
    name: "heronry_smtp_delivered_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Mailboxes that had a message in the same step in which it was accepted.",
};

/// `outcome`: accepted | refused | failed.
pub(super) const MESSAGES: Metric = Metric {
    name: "heronry_smtp_messages_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Messages that clients sent to their end, by outcome.",
};

pub(super) const OCTETS: Metric = Metric {
    name: "heronry_smtp_accepted_octets_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Octets of accepted messages.",
};

/// `at`: rcpt | data.
pub(super) const OVER_QUOTA: Metric = Metric {
    name: "heronry_smtp_over_quota_total",
    kind: Kind::Counter,
    labels: &["at"],
    help: "Recipients, and messages at their end, that were refused because mailboxes are full.",
};

pub(super) const RESUMED: Metric = Metric {
    name: "heronry_smtp_sessions_resumed_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Sessions that went on from their checkpoint after a crash.",
};
