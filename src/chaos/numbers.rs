//! The daemon's numbers at one moment, and what has become of them since.

use std::collections::BTreeMap;

use serde::Serialize;

/// Every number that the daemon served, by its name and labels.
#[derive(Clone, Debug, Default)]
pub struct Numbers(BTreeMap<String, f64>);

/// How long something took, by buckets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// How often it was measured.
    pub count: u64,
    /// The upper end of the bucket in which half of them end, in seconds.
    pub p50_seconds: Option<f64>,
    /// The upper end of the bucket in which 99 of 100 end, in seconds.
    pub p99_seconds: Option<f64>,
}

impl Numbers {
    /// Reads what `/metrics` serves. A line that is no number is passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let number = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(lines.filter_map(number).collect())
    }

    /// What was added to each number since `before`. A daemon that was started again since begins
    /// at zero, and nothing is less than that.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let grown = |(name, now): (&String, &f64)| {
            let then = before.0.get(name).copied().unwrap_or_default();
            (name.clone(), (now - then).max(0.0))
        };
        Self(self.0.iter().map(grown).collect())
    }

    /// The sum over every label.
    #[must_use]
    pub fn sum(&self, name: &str) -> u64 {
        self.series(name).map(|(_, value)| value).sum::<f64>() as u64
    }

    /// The sums by the values of one label, without those that are zero.
    #[must_use]
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (labels, value) in self.series(name) {
            if let Some(found) = value_of(labels, label)
                && value > 0.0
            {
                *sums.entry(found.to_owned()).or_default() += value as u64;
            }
        }
        sums
    }

    /// A histogram, over every label.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Histogram {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (labels, value) in self.series(&format!("{name}_bucket")) {
            let Some(end) = value_of(labels, "le").and_then(|end| end.parse().ok()) else {
                continue;
            };
            match buckets.iter_mut().find(|(known, _)| *known == end) {
                Some((_, sum)) => *sum += value,
                None => buckets.push((end, value)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = buckets.last().map_or(0.0, |&(_, sum)| sum);
        let end_of = |part: f64| {
            let holds = |&&(_, sum): &&(f64, f64)| count > 0.0 && sum >= count * part;
            buckets.iter().find(holds).map(|&(end, _)| end)
        };
        Histogram {
            count: count as u64,
            p50_seconds: end_of(0.5).filter(|end| end.is_finite()),
            p99_seconds: end_of(0.99).filter(|end| end.is_finite()),
        }
    }

    /// The labels and values of a metric.
    fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> + 'a {
        let from = self.0.range(name.to_owned()..);
        let same = from.take_while(move |(full, _)| full.starts_with(name));
        same.filter_map(move |(full, value)| {
            let labels = &full[name.len()..];
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, *value))
        })
    }
}

/// The value of a label in `{one="x",two="y"}`.
fn value_of<'a>(labels: &'a str, label: &str) -> Option<&'a str> {
    let inner = labels.strip_prefix('{')?.strip_suffix('}')?;
    inner.split("\",").find_map(|pair| {
        let (name, value) = pair.split_once("=\"")?;
        (name == label).then(|| value.strip_suffix('"').unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# HELP x y\nrestarts{kind=\"a\",cause=\"panic\"} 2\nplain 7\n";
    const AFTER: &str = "restarts{kind=\"a\",cause=\"panic\"} 5\n\
        restarts{kind=\"b\",cause=\"killed\"} 1\nrestarts_more 9\nplain 7\n\
        took_bucket{command=\"x\",le=\"0.1\"} 90\ntook_bucket{command=\"x\",le=\"1\"} 98\n\
        took_bucket{command=\"x\",le=\"+Inf\"} 98\ntook_bucket{command=\"y\",le=\"0.1\"} 0\n\
        took_bucket{command=\"y\",le=\"1\"} 2\ntook_bucket{command=\"y\",le=\"+Inf\"} 2\n";

    #[test]
    fn numbers_are_counted_from_before_and_summed_over_labels() {
        let grown = Numbers::read(AFTER).since(&Numbers::read(BEFORE));
        assert_eq!(grown.sum("restarts"), 4);
        assert_eq!(grown.sum("plain"), 0);
        assert_eq!(grown.sum("missing"), 0);
        let by = grown.by("restarts", "cause");
        assert_eq!(
            by,
            [("killed".to_owned(), 1), ("panic".to_owned(), 3)].into()
        );
    }

    #[test]
    fn a_daemon_that_was_started_again_has_not_counted_backwards() {
        let grown = Numbers::read("plain 3\n").since(&Numbers::read(BEFORE));
        assert_eq!(grown.sum("plain"), 0);
    }

    #[test]
    fn a_histogram_is_read_over_every_label() {
        let took = Numbers::read(AFTER).histogram("took");
        let expected = Histogram {
            count: 100,
            p50_seconds: Some(0.1),
            p99_seconds: Some(1.0),
        };
        assert_eq!(took, expected);
        assert_eq!(Numbers::read(AFTER).histogram("none"), Histogram::default());
    }
}
