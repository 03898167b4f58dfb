//! `openssl s_client`: TLS as a tool of its own sees it, at every door.

use std::process::Command;

use testkit::{Daemon, Door, finish, needs};

use crate::common::demo;

#[test]
fn every_door_speaks_tls_by_its_own_command_or_from_the_first_octet() {
    if !needs("openssl") {
        return;
    }
    let daemon = demo().start();
    for (door, upgrade, farewell) in [
        (Door::Smtp, "smtp", "QUIT\r\n"),
        (Door::Submission, "smtp", "QUIT\r\n"),
        (Door::Imap, "imap", "a LOGOUT\r\n"),
        (Door::Pop3, "pop3", "QUIT\r\n"),
        (Door::Submissions, "", "QUIT\r\n"),
        (Door::Imaps, "", "a LOGOUT\r\n"),
        (Door::Pop3s, "", "QUIT\r\n"),
    ] {
        let text = s_client(&daemon, door, upgrade, &[], farewell);
        assert!(text.contains("TLSv1.3"), "{door:?}: {text}");
        let text = s_client(&daemon, door, upgrade, &["-tls1_2"], farewell);
        assert!(text.contains("TLSv1.2"), "{door:?}: {text}");
    }
}

#[test]
fn versions_of_tls_that_are_broken_are_not_spoken() {
    if !needs("openssl") {
        return;
    }
    let daemon = demo().start();
    for version in ["-tls1", "-tls1_1"] {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-connect",
            &daemon.address(Door::Imaps).to_string(),
            version,
        ]);
        command.args(["-cipher", "DEFAULT:@SECLEVEL=0"]);
        let run = finish(&mut command, b"");
        assert!(!run.status.success(), "{version}: {}", run.text);
    }
}

fn s_client(daemon: &Daemon, door: Door, upgrade: &str, more: &[&str], farewell: &str) -> String {
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-connect",
        &daemon.address(door).to_string(),
        "-ign_eof",
        "-crlf",
    ]);
    if !upgrade.is_empty() {
        command.args(["-starttls", upgrade]);
    }
    finish(
        command.args(more),
        farewell.replace("\r\n", "\n").as_bytes(),
    )
    .ok()
}
