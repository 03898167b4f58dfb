//! Harm on purpose ends with who does it, however that is.

use std::process::Command;

use testkit::{Daemon, Door, Guard, ImapClient, PASSWORD, SHORT, until};

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

#[track_caller]
fn nobody_was_found_stuck(daemon: &Daemon) {
    let metrics = daemon.metrics();
    let found = |line: &&str| line.starts_with("heronry_supervision_stuck_total{");
    assert_eq!(metrics.lines().find(found), None);
}
