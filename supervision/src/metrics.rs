//! The numbers of the frame.

use std::time::Duration;

use crate::{cause::ExitCause, name::Name};

/// One metric of the frame, for whoever keeps the census.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MetricRow {
    /// What it is called.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels. Their values are names from the program and its configuration: closed sets.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MetricKind {
    /// Only ever rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Is spread over buckets.
    Histogram,
}

/// Everything that the frame measures.
///
/// `kind` and `supervisor`: the name of a child, a family or a supervisor. `cause`:
/// [`ExitCause::kind`].
pub const METRICS: &[MetricRow] = &[
    MetricRow {
        name: CHILDREN,
        kind: MetricKind::Gauge,
        labels: &["supervisor"],
        help: "Children that are there, by supervisor or family.",
    },
    MetricRow {
        name: ESCALATIONS,
        kind: MetricKind::Counter,
        labels: &["supervisor"],
        help: "Times that a supervisor gave up, because a child failed more often than it may.",
    },
    MetricRow {
        name: GIVEN_UP,
        kind: MetricKind::Counter,
        labels: &["kind"],
        help: "Members of families that failed more often than they may, and were given up.",
    },
    MetricRow {
        name: HANDLE_SECONDS,
        kind: MetricKind::Histogram,
        labels: &["kind"],
        help: "Time that actors take for a message; one message in eight is measured.",
    },
    MetricRow {
        name: INBOX_DEPTH,
        kind: MetricKind::Gauge,
        labels: &["kind"],
        help: "Messages that wait for an actor, or for the members of a family; at least, for those that actors send to themselves are not counted.",
    },
    MetricRow {
        name: RESTARTS,
        kind: MetricKind::Counter,
        labels: &["kind", "cause"],
        help: "Children started again, by child and by how the incarnation before ended.",
    },
    MetricRow {
        name: SHUTDOWN_TIMEOUTS,
        kind: MetricKind::Counter,
        labels: &["kind"],
        help: "Children killed because they did not stop in time.",
    },
    MetricRow {
        name: START_SECONDS,
        kind: MetricKind::Histogram,
        labels: &["kind"],
        help: "Time from the decision to start a child until it is up.",
    },
    MetricRow {
        name: STOP_SECONDS,
        kind: MetricKind::Histogram,
        labels: &["kind"],
        help: "Time from asking a child to stop until nothing of it is left.",
    },
    MetricRow {
        name: STUCK,
        kind: MetricKind::Counter,
        labels: &["kind"],
        help: "Times that a handler did not return within the time its spec allows.",
    },
];

pub(crate) fn children(supervisor: &Name) -> metrics::Gauge {
    metrics::gauge!(CHILDREN, "supervisor" => supervisor.label())
}

pub(crate) fn escalated(supervisor: &Name) {
    metrics::counter!(ESCALATIONS, "supervisor" => supervisor.label()).increment(1);
}

pub(crate) fn given_up(kind: &Name) {
    metrics::counter!(GIVEN_UP, "kind" => kind.label()).increment(1);
}

pub(crate) fn handle_seconds(kind: &Name) -> metrics::Histogram {
    metrics::histogram!(HANDLE_SECONDS, "kind" => kind.label())
}

pub(crate) fn inbox_depth(kind: &Name) -> metrics::Gauge {
    metrics::gauge!(INBOX_DEPTH, "kind" => kind.label())
}

pub(crate) fn restarted(kind: &Name, cause: &ExitCause) {
    metrics::counter!(RESTARTS, "kind" => kind.label(), "cause" => cause.kind()).increment(1);
}

pub(crate) fn shutdown_timed_out(kind: &Name) {
    metrics::counter!(SHUTDOWN_TIMEOUTS, "kind" => kind.label()).increment(1);
}

pub(crate) fn started(kind: &Name, took: Duration) {
    metrics::histogram!(START_SECONDS, "kind" => kind.label()).record(took);
}

pub(crate) fn stopped(kind: &Name, took: Duration) {
    metrics::histogram!(STOP_SECONDS, "kind" => kind.label()).record(took);
}

pub(crate) fn stuck(kind: &Name) {
    metrics::counter!(STUCK, "kind" => kind.label()).increment(1);
}

const CHILDREN: &str = "heronry_supervision_children";
const ESCALATIONS: &str = "heronry_supervision_escalations_total";
const GIVEN_UP: &str = "heronry_supervision_given_up_total";
const HANDLE_SECONDS: &str = "heronry_supervision_handle_seconds";
const INBOX_DEPTH: &str = "heronry_supervision_inbox_depth";
const RESTARTS: &str = "heronry_supervision_restarts_total";
const SHUTDOWN_TIMEOUTS: &str = "heronry_supervision_shutdown_timeouts_total";
const START_SECONDS: &str = "heronry_supervision_start_seconds";
const STOP_SECONDS: &str = "heronry_supervision_stop_seconds";
const STUCK: &str = "heronry_supervision_stuck_total";
