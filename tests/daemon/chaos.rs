//! Harm on purpose ends with who does it, however that is.

use std::process::Command;

use rustix::process::Signal;
use testkit::{Daemon, Door, Guard, ImapClient, LONG, PASSWORD, SHORT, until, until_some};

use crate::common::{binary, demo};

#[test]
fn harm_that_has_not_struck_when_a_run_ends_is_taken_back_and_counted_as_that() {
    let daemon = demo().start();
    let words = "chaos --json --kinds login --harms stuck --rate 50/s --for 1s";
    let words: Vec<&str> = words.split(' ').collect();
    let told = daemon.command(&words, b"").ok();
    let report: serde_json::Value = serde_json::from_str(told.trim()).unwrap();
    assert!(
        report["lapsed"]["login"]["stuck"].as_u64() > Some(0),
        "{report}"
    );
    daemon.imap("user0");
    nobody_was_found_stuck(&daemon);
}

#[test]
fn harm_that_has_not_struck_when_its_client_is_killed_never_does() {
    let mut daemon = demo().start();
    let mut chaos = Command::new(binary());
    let words = "chaos --kinds login --harms stuck --rate 50/s --for 10m --data";
    chaos.args(words.split(' ')).arg(daemon.folder());
    let mut chaos = Guard::start(&mut chaos);
    let act = "\"harm\",\"about\":\"heronry/advisers/login\"";
    daemon.output().line_with(act, SHORT);
    chaos.kill9();
    // The daemon hears of its end a moment later; who logs in before that is told to come back.
    until("a login succeeds", SHORT, || {
        let mut client = ImapClient::connect(daemon.address(Door::Imap));
        let login = client.try_command(format!("LOGIN user0 {PASSWORD}"));
        login.is_ok_and(|answer| answer.is_ok())
    });
    nobody_was_found_stuck(&daemon);
}

#[test]
fn ctrl_c_ends_a_run_and_what_was_done_so_far_is_told() {
    let mut daemon = demo().start();
    let mut chaos = Command::new(binary());
    let words = "chaos --json --kinds router --harms kill --rate 50/s --for 10m --data";
    chaos.args(words.split(' ')).arg(daemon.folder());
    let mut chaos = Guard::start(&mut chaos);
    let act = "\"harm\",\"about\":\"heronry/trunk/router\"";
    daemon.output().line_with(act, SHORT);
    chaos.signal(Signal::INT);
    assert!(chaos.wait(LONG).success());
    let report: serde_json::Value = until_some("the report", SHORT, || {
        serde_json::from_str(&chaos.output().so_far()).ok()
    });
    assert_eq!(report["ending"], "interrupted");
    assert!(
        report["harmed"]["router"]["kill"].as_u64() > Some(0),
        "{report}"
    );
    assert!(report["whole_after_seconds"].is_number(), "{report}");
    assert!(report["seconds"].as_f64() < Some(600.0), "{report}");
}

#[track_caller]
fn nobody_was_found_stuck(daemon: &Daemon) {
    let metrics = daemon.metrics();
    let found = |line: &&str| line.starts_with("heronry_supervision_stuck_total{");
    assert_eq!(metrics.lines().find(found), None);
}
