//! The numbers of the resolver.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[
    RESOLVER_ANSWER_SECONDS,
    RESOLVER_ANSWERS,
    RESOLVER_ASKING,
    RESOLVER_KEPT,
    RESOLVER_QUESTIONS,
];

pub(super) const RESOLVER_ANSWER_SECONDS: Metric = Metric {
    name: "heronry_resolver_answer_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "Time from asking a DNS server to its answer, or to giving up.",
};

/// `kind`: a | aaaa | mx | ptr | txt; `outcome`: found | no_data | no_name | trouble.
pub(super) const RESOLVER_ANSWERS: Metric = Metric {
    name: "heronry_resolver_answers_total",
    kind: Kind::Counter,
    labels: &["kind", "outcome"],
    help: "Answers of DNS servers, by kind of record and outcome.",
};

pub(super) const RESOLVER_ASKING: Metric = Metric {
    name: "heronry_resolver_asking",
    kind: Kind::Gauge,
    labels: &[],
    help: "Questions on their way to a DNS server.",
};

pub(super) const RESOLVER_KEPT: Metric = Metric {
    name: "heronry_resolver_kept",
    kind: Kind::Gauge,
    labels: &[],
    help: "Answers that are kept.",
};

/// `source`: asked | busy | joined | memory | stale.
pub(super) const RESOLVER_QUESTIONS: Metric = Metric {
    name: "heronry_resolver_questions_total",
    kind: Kind::Counter,
    labels: &["source"],
    help: "Questions of the house, by where their answer came from.",
};
