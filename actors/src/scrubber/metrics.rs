//! The numbers of the scrubber.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[DAMAGE, OCTETS, ROUNDS];

/// Places, not messages: a damaged frame is one.
pub(super) const DAMAGE: Metric = Metric {
    name: "heronry_scrubber_damage",
    kind: Kind::Gauge,
    labels: &[],
    help: "Places in the store that a round of reading has found damaged.",
};

pub(super) const OCTETS: Metric = Metric {
    name: "heronry_scrubber_octets_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Octets at rest that were read again to see whether they are whole.",
};

pub(super) const ROUNDS: Metric = Metric {
    name: "heronry_scrubber_rounds_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Rounds of reading everything at rest that have come to their end.",
};
