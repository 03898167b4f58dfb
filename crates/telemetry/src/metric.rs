//! A metric as data: its name, its kind, its labels, and what it tells.

use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

use crate::{
    Held,
    cache::{self, Handle},
};

/// One metric, declared by the room that records it.
///
/// The values of labels come from closed sets that the declaration's comment writes down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metric {
    /// `heronry_<room>_<what>_<unit>`.
    pub name: &'static str,
    /// What is done with it.
    pub kind: Kind,
    /// Names of the labels, in the order in which their values are given.
    pub labels: &'static [&'static str],
    /// One sentence for whoever looks at the dashboard.
    pub help: &'static str,
}

/// What can be done with a metric.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It rises and falls.
    Gauge,
    /// It gathers single observations.
    Histogram,
}

impl Metric {
    /// Adds one to a counter.
    pub fn count(&self, values: &[&str]) {
        self.add(1, values);
    }

    /// Adds `amount` to a counter.
    pub fn add(&self, amount: u64, values: &[&str]) {
        self.check(Kind::Counter, values);
        cache::with(self, values, |handle| {
            if let Handle::Counter(counter) = handle {
                counter.increment(amount);
            }
        });
    }

    /// Sets a gauge.
    pub fn set(&self, value: f64, values: &[&str]) {
        self.check(Kind::Gauge, values);
        cache::with(self, values, |handle| {
            if let Handle::Gauge(gauge) = handle {
                gauge.set(value);
            }
        });
    }

    /// Moves a gauge up, or down if `by` is negative.
    pub fn shift(&self, by: f64, values: &[&str]) {
        self.check(Kind::Gauge, values);
        cache::with(self, values, |handle| {
            if let Handle::Gauge(gauge) = handle {
                gauge.increment(by);
            }
        });
    }

    /// Raises a gauge by one until the returned guard is dropped.
    #[must_use = "the gauge falls again when the guard is dropped"]
    pub fn hold(&self, values: &[&str]) -> Held {
        self.check(Kind::Gauge, values);
        Held::new(cache::register(self, values))
    }

    /// Adds an observation to a histogram: seconds for a duration.
    pub fn observe(&self, value: f64, values: &[&str]) {
        self.check(Kind::Histogram, values);
        cache::with(self, values, |handle| {
            if let Handle::Histogram(histogram) = handle {
                histogram.record(value);
            }
        });
    }

    /// A mistake of ours that a test finds; in production the number is merely not recorded well.
    fn check(&self, kind: Kind, values: &[&str]) {
        debug_assert_eq!(self.kind, kind, "{} is of another kind", self.name);
        debug_assert_eq!(
            self.labels.len(),
            values.len(),
            "{} has these labels: {:?}",
            self.name,
            self.labels
        );
    }
}

/// Tells the recorder what each metric means.
///
/// Call it once the recorder of the process is installed: from here on handles are kept, so that
/// recording costs tens of nanoseconds. Before, every recording asks for its handle anew.
pub fn describe(metrics: &[Metric]) {
    for metric in metrics {
        let unit = unit(metric.name);
        match (metric.kind, unit) {
            (Kind::Counter, None) => describe_counter!(metric.name, metric.help),
            (Kind::Counter, Some(unit)) => describe_counter!(metric.name, unit, metric.help),
            (Kind::Gauge, None) => describe_gauge!(metric.name, metric.help),
            (Kind::Gauge, Some(unit)) => describe_gauge!(metric.name, unit, metric.help),
            (Kind::Histogram, None) => describe_histogram!(metric.name, metric.help),
            (Kind::Histogram, Some(unit)) => describe_histogram!(metric.name, unit, metric.help),
        }
    }
    INSTALLED.store(true, Ordering::Release);
}

/// Whether handles may be kept: the recorder that gives them is there for good.
pub(crate) fn is_installed() -> bool {
    INSTALLED.load(Ordering::Acquire)
}

/// The unit that a name says at its end.
fn unit(name: &str) -> Option<Unit> {
    let name = name.strip_suffix("_total").unwrap_or(name);
    if name.ends_with("_seconds") {
        Some(Unit::Seconds)
    } else if name.ends_with("_octets") || name.ends_with("_bytes") {
        Some(Unit::Bytes)
    } else {
        None
    }
}

static INSTALLED: AtomicBool = AtomicBool::new(false);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_read_from_the_name() {
        assert_eq!(unit("heronry_store_commit_seconds"), Some(Unit::Seconds));
        assert_eq!(unit("heronry_world_octets_total"), Some(Unit::Bytes));
        assert_eq!(unit("heronry_queue_settled_total"), None);
    }
}
