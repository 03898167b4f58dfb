//! The numbers of the IMAP sessions.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[
    APPENDED,
    COMMANDS,
    COMMAND_SECONDS,
    FETCHED,
    IDLING,
    REFUSED,
    RESUMED,
    SLEEPING,
    WOKEN,
];

/// `outcome`: kept | refused.
pub(super) const APPENDED: Metric = Metric {
    name: "heronry_imap_appended_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Messages that clients wanted to add, by outcome.",
};

/// `command`: fetch | search | store | select | list | status | append | copy | move | expunge |
/// change | poll. `outcome`: ok | no | bad.
pub(super) const COMMANDS: Metric = Metric {
    name: "heronry_imap_commands_total",
    kind: Kind::Counter,
    labels: &["command", "outcome"],
    help: "Commands that needed the store, by kind and outcome.",
};

/// `command`: as above.
pub(super) const COMMAND_SECONDS: Metric = Metric {
    name: "heronry_imap_command_seconds",
    kind: Kind::Histogram,
    labels: &["command"],
    help: "Time from reading a command to its reply being queued.",
};

pub(super) const FETCHED: Metric = Metric {
    name: "heronry_imap_fetched_messages_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Messages of which something was sent to a client.",
};

pub(super) const IDLING: Metric = Metric {
    name: "heronry_imap_idling_sessions",
    kind: Kind::Gauge,
    labels: &[],
    help: "Sessions that wait for news in IDLE.",
};

/// `reason`: busy | damaged | disk_full | exists | keywords | missing | over_quota | too_large |
/// unavailable.
pub(super) const REFUSED: Metric = Metric {
    name: "heronry_imap_refused_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "Commands that were answered NO because the store or a mailbox did not do what they asked, by reason.",
};

pub(super) const RESUMED: Metric = Metric {
    name: "heronry_imap_sessions_resumed_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Sessions that went on from their checkpoint after a crash.",
};

pub(super) const SLEEPING: Metric = Metric {
    name: "heronry_imap_sleeping_sessions",
    kind: Kind::Gauge,
    labels: &[],
    help: "Connections at rest whose sessions have left memory until something happens.",
};

pub(super) const WOKEN: Metric = Metric {
    name: "heronry_imap_sessions_woken_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Sessions that came back from sleep because something happened.",
};
