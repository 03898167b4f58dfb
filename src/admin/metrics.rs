//! The recorder: keeps what the rooms measure, until somebody asks.

use std::sync::Arc;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use supervision::{MetricKind, MetricRow};
use telemetry::{Kind, Metric};

use super::{TreeView, vitals};

/// The numbers of this process.
#[derive(Clone)]
pub struct Recorder(Arc<PrometheusHandle>);

/// The recorder could not be installed. Fault of us: there was one already.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the metrics recorder")]
pub struct RecorderError(#[from] BuildError);

impl Recorder {
    /// Installs the recorder of this process and tells it what the metrics mean: those given, the
    /// frame's, and the process's own.
    ///
    /// # Errors
    /// [`RecorderError`] if this process has one already.
    pub fn install(metrics: &[Metric]) -> Result<Self, RecorderError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_octets".to_owned()), &OCTETS)?
            .set_buckets(&COUNTS)?
            .install_recorder()?;
        let all = Self::measured(metrics);
        telemetry::describe(&all);
        all.iter()
            .filter(|metric| metric.labels.is_empty())
            .for_each(show_zero);
        Ok(Self(Arc::new(handle)))
    }

    /// The metrics given, the frame's, and the process's own.
    #[must_use]
    pub fn measured(metrics: &[Metric]) -> Vec<Metric> {
        let frame: Vec<Metric> = supervision::METRICS.iter().map(metric).collect();
        [metrics, &frame, vitals::METRICS].concat()
    }

    /// The numbers in Prometheus' text format. What waits in the tree is counted now: it would be
    /// too much work to do so all the time.
    #[must_use]
    pub fn render(&self, view: &TreeView) -> String {
        vitals::look();
        if let Some(root) = view.root() {
            root.measure();
        }
        self.tidy();
        self.0.render()
    }

    /// Puts what was observed since the last time into its buckets. Each observation waits for
    /// this in memory, so it must be done now and then, also where nobody asks for the numbers.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

/// A counter that is served before it counts: a rate has something to begin from.
fn show_zero(metric: &Metric) {
    match metric.kind {
        Kind::Counter => metric.add(0, &[]),
        Kind::Gauge => metric.shift(0.0, &[]),
        Kind::Histogram => {}
    }
}

/// The frame knows no other room, so it says in words of its own what it measures.
fn metric(row: &MetricRow) -> Metric {
    let kind = match row.kind {
        MetricKind::Counter => Kind::Counter,
        MetricKind::Gauge => Kind::Gauge,
        MetricKind::Histogram => Kind::Histogram,
    };
    Metric {
        name: row.name,
        kind,
        labels: row.labels,
        help: row.help,
    }
}

/// From a cache hit to a peer's time-out.
const SECONDS: [f64; 14] = [
    0.000_05, 0.000_2, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0,
];
/// From a note to the largest attachment.
const OCTETS: [f64; 8] = [1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 10e6, 100e6];
/// How many at once.
const COUNTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
