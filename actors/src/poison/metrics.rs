//! The numbers of the poison actor.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[CRASHES, REFUSED, SET_ASIDE];

/// `kind`: what the actor had in hand: message | command | nothing.
pub(super) const CRASHES: Metric = Metric {
    name: "heronry_poison_crashes_total",
    kind: Kind::Counter,
    labels: &["kind"],
    help: "Crashes of actors, by what they had in hand.",
};

pub(super) const REFUSED: Metric = Metric {
    name: "heronry_poison_refused_commands",
    kind: Kind::Gauge,
    labels: &[],
    help: "Commands that are refused because they have brought sessions down.",
};

pub(super) const SET_ASIDE: Metric = Metric {
    name: "heronry_poison_set_aside",
    kind: Kind::Gauge,
    labels: &[],
    help: "Messages that are set aside because they have brought actors down.",
};
