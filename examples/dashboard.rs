//! Writes `docs/metrics.md` and the Grafana dashboard from what the rooms declare.
//!
//! `cargo run --example dashboard`, after a metric has come or gone; `tests/house.rs` says when.

use std::{fmt::Write, fs, io, path::Path};

use heronry::{admin::Recorder, tree};
use serde_json::{Value, json};
use telemetry::{Kind, Metric};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut metrics = Recorder::measured(&tree::metrics());
    metrics.sort_by_key(|metric| (room(metric), metric.name));
    fs::write(root.join("docs/metrics.md"), table(&metrics))?;
    let dashboard = serde_json::to_string_pretty(&dashboard(&metrics))?;
    fs::write(
        root.join("grafana/dashboards/heronry.json"),
        dashboard + "\n",
    )
}

/// `queue` of `heronry_queue_messages`.
fn room(metric: &Metric) -> &'static str {
    metric.name.split('_').nth(1).unwrap_or(metric.name)
}

fn rooms(metrics: &[Metric]) -> impl Iterator<Item = &[Metric]> {
    metrics.chunk_by(|a, b| room(a) == room(b))
}

fn table(metrics: &[Metric]) -> String {
    let mut text = String::from(HEAD);
    for metrics in rooms(metrics) {
        let _ = write!(
            text,
            "\n## {}\n\n| metric | kind | labels | tells |\n|---|---|---|---|\n",
            room(&metrics[0])
        );
        for metric in metrics {
            let labels: Vec<_> = metric
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let (kind, labels) = (kind(metric.kind), labels.join(", "));
            let _ = writeln!(
                text,
                "| `{}` | {kind} | {labels} | {} |",
                metric.name, metric.help
            );
        }
    }
    text
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

fn dashboard(metrics: &[Metric]) -> Value {
    let mut panels = Vec::new();
    let mut y = 0;
    for metrics in rooms(metrics) {
        let id = panels.len() + 1;
        let place = json!({ "h": 1, "w": COLUMNS * WIDTH, "x": 0, "y": y });
        panels.push(json!({
            "collapsed": false, "gridPos": place, "id": id, "panels": [],
            "title": room(&metrics[0]), "type": "row",
        }));
        y += 1;
        for row in metrics.chunks(COLUMNS) {
            for (column, metric) in row.iter().enumerate() {
                let place = json!({ "h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": y });
                panels.push(panel(metric, panels.len() + 1, place));
            }
            y += HEIGHT;
        }
    }
    json!({
        "annotations": { "list": [] },
        "editable": true,
        "graphTooltip": 1,
        "panels": panels,
        "refresh": "10s",
        "schemaVersion": 39,
        "tags": ["heronry", "mail"],
        "templating": { "list": [variable()] },
        "time": { "from": "now-1h", "to": "now" },
        "timezone": "browser",
        "title": "Heronry",
        "uid": "heronry",
        "version": 1,
    })
}

/// One daemon, several, or all.
fn variable() -> Value {
    json!({
        "allValue": ".*",
        "current": { "text": "All", "value": "$__all" },
        "datasource": source(),
        "definition": "label_values(heronry_process_version, instance)",
        "includeAll": true,
        "label": "instance",
        "multi": true,
        "name": "instance",
        "query": { "query": "label_values(heronry_process_version, instance)", "refId": "instance" },
        "refresh": 2,
        "type": "query",
    })
}

fn panel(metric: &Metric, id: usize, place: Value) -> Value {
    let targets: Vec<Value> = queries(metric)
        .into_iter()
        .enumerate()
        .map(|(number, (expression, legend))| {
            let letter = char::from(b'A' + number as u8).to_string();
            json!({ "datasource": source(), "expr": expression, "legendFormat": legend, "refId": letter })
        })
        .collect();
    json!({
        "datasource": source(),
        "description": format!("{} ({})", metric.help, metric.name),
        "fieldConfig": { "defaults": { "min": 0, "unit": unit(metric) }, "overrides": [] },
        "gridPos": place,
        "id": id,
        "options": {
            "legend": { "displayMode": "list", "placement": "bottom" },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
        "targets": targets,
        "title": metric.name.trim_start_matches("heronry_").replace('_', " "),
        "type": "timeseries",
    })
}

/// Expressions with their legends.
fn queries(metric: &Metric) -> Vec<(String, String)> {
    let name = metric.name;
    let labels = metric.labels.join(", ");
    let legend: Vec<_> = metric
        .labels
        .iter()
        .map(|label| format!("{{{{{label}}}}}"))
        .collect();
    let legend = legend.join(" ");
    let by = |labels: &str| {
        if labels.is_empty() {
            String::new()
        } else {
            format!(" by ({labels})")
        }
    };
    match metric.kind {
        Kind::Counter => {
            let rate = format!("sum{}(rate({name}{SELECT}[$__rate_interval]))", by(&labels));
            vec![(rate, legend)]
        }
        Kind::Gauge if name.ends_with("_timestamp_seconds") => {
            vec![(
                format!("time() - ({name}{SELECT} > 0)"),
                "{{instance}}".to_owned(),
            )]
        }
        Kind::Gauge => vec![(format!("sum{}({name}{SELECT})", by(&labels)), legend)],
        Kind::Histogram => [0.5, 0.99]
            .iter()
            .map(|quantile| {
                let labels = ["le", labels.as_str()].join(", ");
                let labels = by(labels.trim_end_matches(", "));
                let rate = format!("rate({name}_bucket{SELECT}[$__rate_interval])");
                let expression = format!("histogram_quantile({quantile}, sum{labels}({rate}))");
                (
                    expression,
                    format!("p{} {legend}", quantile * 100.0).trim().to_owned(),
                )
            })
            .collect(),
    }
}

fn unit(metric: &Metric) -> &'static str {
    let name = metric.name.trim_end_matches("_total");
    match (
        metric.kind,
        name.ends_with("_octets"),
        name.ends_with("_seconds"),
    ) {
        (Kind::Counter, true, _) => "Bps",
        (Kind::Counter, false, _) => "cps",
        (_, true, _) => "bytes",
        (_, _, true) => "s",
        _ => "short",
    }
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "heronry-prometheus" })
}

const SELECT: &str = "{instance=~\"$instance\"}";
const COLUMNS: usize = 3;
const WIDTH: usize = 8;
const HEIGHT: usize = 7;

const HEAD: &str = "# Metrics

What `/metrics` serves, by room. Names end in their unit; labels are closed sets, which the comment at
the metric's declaration writes down. Each has a panel in the Grafana dashboard of the same room.

This file and `grafana/dashboards/heronry.json` are written by `cargo run --example dashboard`.
";
