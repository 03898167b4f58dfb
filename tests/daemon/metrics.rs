//! Health and metrics, as a probe and Prometheus see them.

use std::process::Command;

use testkit::{Door, LONG, finish, http_get, needs, until};

use crate::common::{demo, inbox, letter, user};

#[test]
fn promtool_is_content_with_the_metrics_of_a_daemon_that_has_worked() {
    if !needs("promtool") {
        return;
    }
    let daemon = demo().argument("--trust").argument("127.0.0.0/8").start();
    daemon.accept(&[&user(0)], &letter("counted"));
    daemon.accept(&["a@remote.test"], &letter("counted in a queue"));
    inbox(&daemon, "user0", 1);
    daemon.pop3("user0").ok("QUIT");
    daemon.smtp().command("FROBNICATE");
    let metrics = daemon.metrics();
    let check = finish(
        Command::new("promtool").args(["check", "metrics"]),
        metrics.as_bytes(),
    );
    assert!(
        check.status.success() && check.text.trim().is_empty(),
        "{}",
        check.text
    );
}

#[test]
fn promtool_is_content_with_the_configuration_and_the_rules_that_come_along() {
    if !needs("promtool") {
        return;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/grafana");
    let find = finish(Command::new("find").args([folder, "-name", "*.y*ml"]), b"").ok();
    let mut checked = 0;
    for file in find.lines().filter(|line| !line.is_empty()) {
        let text = std::fs::read_to_string(file).unwrap();
        let what = match text {
            text if text.contains("scrape_configs:") => ["check", "config"],
            text if text.contains("alert_rule_test:") => ["test", "rules"],
            text if text.starts_with("groups:") || text.contains("\ngroups:") => ["check", "rules"],
            _ => continue,
        };
        finish(Command::new("promtool").args(what).arg(file), b"").ok();
        checked += 1;
    }
    assert_eq!(
        checked, 3,
        "a configuration, rules and their test lie under grafana/"
    );
}

#[test]
fn the_metrics_count_what_has_happened() {
    let daemon = demo().start();
    let names = |metrics: &str| {
        let names = metrics
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        names
            .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for _ in 0..3 {
        daemon.accept(&[&user(1)], &letter("counted"));
    }
    inbox(&daemon, "user1", 3);
    let metrics = daemon.metrics();
    assert!(
        names(&metrics)
            .iter()
            .all(|name| name.starts_with("heronry_")),
        "{metrics}"
    );
    assert!(
        metrics.contains("heronry_queue_"),
        "the queues are shown:\n{metrics}"
    );
    for counter in [
        "heronry_smtp_messages_total{outcome=\"accepted\"}",
        "heronry_smtp_delivered_total",
        "heronry_smtp_accept_seconds_count",
    ] {
        let line = format!("{counter} 3");
        assert!(metrics.lines().any(|one| one == line), "{line}:\n{metrics}");
    }
}

#[test]
fn a_house_that_has_worked_and_is_quiet_gives_back_what_its_threads_keep_by() {
    let daemon = demo().start();
    daemon.accept(&[&user(0)], &letter("work"));
    until("memory is given back", LONG, || {
        let metrics = daemon.metrics();
        let given = |line: &str| {
            line.strip_prefix("heronry_process_heap_given_back_total ")
                .is_some_and(|times| times != "0")
        };
        metrics.lines().any(given)
    });
    daemon.accept(&[&user(0)], &letter("work goes on"));
}

#[test]
fn health_is_told_and_other_paths_are_not_there() {
    let daemon = demo().start();
    let http = daemon.address(Door::Http);
    assert_eq!(http_get(http, "/health/live").unwrap().0, 200);
    assert_eq!(http_get(http, "/health/ready").unwrap().0, 200);
    assert_eq!(http_get(http, "/no/such/path").unwrap().0, 404);
}
