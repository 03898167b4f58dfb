//! Keeps the recorder's handles, one small table per thread, so that recording takes no lock.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, with_recorder};

use crate::metric::{Kind, Metric, is_installed};

/// What the recorder gave for one metric with one set of label values.
#[derive(Clone)]
pub(crate) enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// Does something with the handle of `metric` for these label values.
pub(crate) fn with(metric: &Metric, values: &[&str], act: impl FnOnce(&Handle)) {
    if !is_installed() {
        act(&register(metric, values));
        return;
    }
    let handle = TABLE.try_with(|table| {
        let mut table = table.try_borrow_mut().ok()?;
        let entries = table.entry(digest(metric, values)).or_default();
        if let Some(entry) = entries.iter().find(|entry| entry.is(metric, values)) {
            return Some(entry.handle.clone());
        }
        let handle = register(metric, values);
        if entries.len() < COLLISIONS_MAX {
            entries.push(Entry {
                name: metric.name,
                values: values.iter().map(|&value| value.into()).collect(),
                handle: handle.clone(),
            });
        }
        if table.len() > ENTRIES_MAX {
            table.clear(); // labels are closed sets, so this is somebody's mistake: stay bounded
        }
        Some(handle)
    });
    // A thread that is ending has no table any more, but what it says still counts.
    match handle {
        Ok(Some(handle)) => act(&handle),
        _ => act(&register(metric, values)),
    }
}

/// Asks the recorder for the handle.
pub(crate) fn register(metric: &Metric, values: &[&str]) -> Handle {
    let labels: Vec<Label> = metric
        .labels
        .iter()
        .zip(values)
        .map(|(&label, &value)| Label::new(label, value.to_owned()))
        .collect();
    let key = Key::from_parts(metric.name, labels);
    let metadata = Metadata::new(module_path!(), Level::INFO, None);
    with_recorder(|recorder| match metric.kind {
        Kind::Counter => Handle::Counter(recorder.register_counter(&key, &metadata)),
        Kind::Gauge => Handle::Gauge(recorder.register_gauge(&key, &metadata)),
        Kind::Histogram => Handle::Histogram(recorder.register_histogram(&key, &metadata)),
    })
}

struct Entry {
    name: &'static str,
    values: Box<[Box<str>]>,
    handle: Handle,
}

impl Entry {
    fn is(&self, metric: &Metric, values: &[&str]) -> bool {
        self.name == metric.name
            && self.values.len() == values.len()
            && self.values.iter().zip(values).all(|(a, b)| **a == **b)
    }
}

/// FNV-1a over the name's address and the values: they are a few octets, and nobody chooses them
/// who would wish for collisions.
fn digest(metric: &Metric, values: &[&str]) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64 ^ metric.name.as_ptr().addr() as u64;
    for octet in values.iter().flat_map(|value| value.bytes().chain([0])) {
        digest = (digest ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    }
    digest.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The key is a digest already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(octet);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

type Table = HashMap<u64, Vec<Entry>, BuildHasherDefault<Same>>;

thread_local! {
    static TABLE: RefCell<Table> = RefCell::new(Table::default());
}

/// More label sets than this on one thread are no closed sets.
const ENTRIES_MAX: usize = 4096;

const COLLISIONS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_that_run_together_are_told_apart() {
        let metric = Metric {
            name: "heronry_test_total",
            kind: Kind::Counter,
            labels: &["a", "b"],
            help: "A test.",
        };
        assert_ne!(digest(&metric, &["ab", "c"]), digest(&metric, &["a", "bc"]));
    }
}
