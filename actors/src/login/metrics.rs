//! The numbers of logins.

use telemetry::{Kind, Metric};

/// What this room measures.
pub const METRICS: &[Metric] = &[LOGIN_CHECK_SECONDS, LOGIN_HELD_BACK, LOGIN_VERDICTS];

/// How long a hash takes, waiting for a worker included.
pub(super) const LOGIN_CHECK_SECONDS: Metric = Metric {
    name: "heronry_login_check_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "Time from a login's arrival to the end of its password hash.",
};

/// Refusals that wait until they are due.
pub(super) const LOGIN_HELD_BACK: Metric = Metric {
    name: "heronry_login_held_back",
    kind: Kind::Gauge,
    labels: &[],
    help: "Refused logins whose answer is being held back.",
};

/// `verdict`: busy | refused | remembered | welcome.
pub(super) const LOGIN_VERDICTS: Metric = Metric {
    name: "heronry_login_verdicts_total",
    kind: Kind::Counter,
    labels: &["verdict"],
    help: "Logins that were answered, by verdict; remembered ones needed no hash.",
};
