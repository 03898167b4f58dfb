//! Python's standard library, whose clients half the world's scripts are written with.

use std::process::Command;

use testkit::{finish, needs};

use crate::common::demo;

#[test]
fn smtplib_sends_in_every_way() {
    play("smtplib_client.py");
}

#[test]
fn imaplib_does_everything_that_it_can() {
    play("imaplib_client.py");
}

#[test]
fn poplib_does_everything_that_it_can() {
    play("poplib_client.py");
}

fn play(script: &str) {
    if !needs("python3") {
        return;
    }
    let daemon = demo().start();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/neighbours");
    let mut python = Command::new("python3");
    python
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(format!("{folder}/{script}"));
    finish(python.arg(daemon.base().to_string()), b"").ok();
}
