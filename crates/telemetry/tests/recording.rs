//! What is recorded arrives at the recorder, with its labels, before and after handles are kept.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::disallowed_types, reason = "a recorder is shared by threads")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use heronry_telemetry::{Kind, Metric, describe};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit,
};

const SETTLED: Metric = Metric {
    name: "heronry_test_settled_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    help: "Ended.",
};
const OPEN: Metric = Metric {
    name: "heronry_test_open",
    kind: Kind::Gauge,
    labels: &[],
    help: "Open.",
};

#[derive(Clone, Default)]
struct Slate(Arc<Mutex<HashMap<String, Arc<Cell>>>>);

#[derive(Default)]
struct Cell(AtomicU64);

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.0.fetch_add(value as u64, Ordering::Relaxed);
    }
    fn decrement(&self, value: f64) {
        self.0.fetch_sub(value as u64, Ordering::Relaxed);
    }
    fn set(&self, value: f64) {
        self.0.store(value as u64, Ordering::Relaxed);
    }
}

impl Slate {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        let name = format!("{}{labels:?}", key.name());
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }

    fn read(&self, name: &str) -> u64 {
        let cells = self.0.lock().unwrap();
        cells
            .get(name)
            .map_or(0, |cell| cell.0.load(Ordering::Relaxed))
    }
}

impl Recorder for Slate {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn numbers_arrive_under_their_labels_before_and_after_handles_are_kept() {
    SETTLED.count(&["lost"]); // nobody listens yet, and nothing breaks
    let slate = Slate::default();
    metrics::set_global_recorder(slate.clone())
        .map_err(|_| ())
        .unwrap();
    SETTLED.count(&["deliver"]);
    describe(&[SETTLED, OPEN]);
    for _ in 0..3 {
        SETTLED.count(&["deliver"]);
        SETTLED.add(2, &["fail"]);
    }
    assert_eq!(slate.read("heronry_test_settled_total[\"deliver\"]"), 4);
    assert_eq!(slate.read("heronry_test_settled_total[\"fail\"]"), 6);

    let one = OPEN.hold(&[]);
    let two = OPEN.hold(&[]);
    assert_eq!(slate.read("heronry_test_open[]"), 2);
    drop((one, two));
    assert_eq!(slate.read("heronry_test_open[]"), 0);
}
