//! `heronry account` and `heronry domain` against a running daemon.

use std::fmt::Write;
use std::process::Command;

use testkit::{Daemon, Door, ImapClient, SmtpClient, finish};

use crate::common::{binary, demo, inbox, letter};

#[test]
fn an_account_is_added_used_given_another_password_and_removed_while_the_daemon_runs() {
    let daemon = demo().start();
    run(&daemon, &["account", "add", "ann@example.test"], b"first\n");
    daemon.accept(&["ann@example.test"], &letter("welcome"));
    assert!(logs_in(&daemon, "ann@example.test", "first"));

    run(
        &daemon,
        &["account", "password", "ann@example.test"],
        b"second\n",
    );
    assert!(!logs_in(&daemon, "ann@example.test", "first"));
    assert!(logs_in(&daemon, "ann@example.test", "second"));
    assert!(run(&daemon, &["account", "list"], b"").contains("ann@example.test"));
    assert!(run(&daemon, &["account", "show", "ann@example.test"], b"").contains("ann@"));

    run(&daemon, &["account", "remove", "ann@example.test"], b"");
    assert!(!logs_in(&daemon, "ann@example.test", "second"));
    daemon
        .smtp()
        .send("a@b.test", &["ann@example.test"], &letter("too late"))
        .expect(550);
    assert!(!run(&daemon, &["account", "list"], b"").contains("ann@example.test"));
}

#[test]
fn a_domain_is_added_filled_and_removed_when_it_is_empty() {
    let daemon = demo().start();
    daemon
        .smtp()
        .send("a@b.test", &["bob@second.test"], &letter("no"))
        .expect(550);
    run(&daemon, &["domain", "add", "second.test"], b"");
    run(&daemon, &["account", "add", "bob@second.test"], b"secret\n");
    daemon.accept(&["bob@second.test"], &letter("yes"));
    inbox(&daemon, "bob@second.test", 1);
    assert!(run(&daemon, &["domain", "list"], b"").contains("second.test"));
    assert!(
        !daemon
            .command(&["domain", "remove", "second.test"], b"")
            .status
            .success()
    );
    run(&daemon, &["account", "remove", "bob@second.test"], b"");
    run(&daemon, &["domain", "remove", "second.test"], b"");
    daemon
        .smtp()
        .send("a@b.test", &["bob@second.test"], &letter("no more"))
        .expect(550);
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let daemon = demo().start();
    let refused = |words: &[&str]| {
        let run = daemon.command(words, b"secret\n");
        assert!(!run.status.success(), "{words:?}: {}", run.text);
        assert!(!run.text.contains("panicked"), "{}", run.text);
    };
    refused(&["account", "add", "user0@example.test"]);
    refused(&["account", "add", "someone@not-ours.test"]);
    refused(&["account", "add", "no address"]);
    refused(&["account", "remove", "nobody@example.test"]);
    refused(&["account", "password", "nobody@example.test"]);
    refused(&["alias", "remove", "nobody@example.test"]);
    refused(&["domain", "remove", "example.test"]);
    assert!(logs_in(&daemon, "user0", "secret"));
}

#[test]
fn without_a_daemon_a_command_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    let run = finish(
        command
            .args(["account", "list", "--data"])
            .arg(folder.path()),
        b"",
    );
    assert_eq!(run.status.code(), Some(3), "{}", run.text);
}

#[test]
fn ten_thousand_accounts_with_ready_made_hashes_are_there_after_one_command() {
    let daemon = demo().start();
    let mut table = String::from("address,hash\n");
    for number in 0..10_000 {
        writeln!(table, "p{number}@example.test,\"{HASH_OF_SECRET}\"").unwrap();
    }
    run(&daemon, &["account", "import", "-"], table.as_bytes());
    assert!(logs_in(&daemon, "p0@example.test", "secret"));
    assert!(logs_in(&daemon, "p9999@example.test", "secret"));
    assert!(!logs_in(&daemon, "p9999@example.test", "wrong"));
    daemon.accept(&["p5000@example.test"], &letter("one of many"));
    inbox(&daemon, "p5000@example.test", 1);
    let daemon = daemon.kill9().start();
    let list = run(&daemon, &["account", "list"], b"");
    let count = list.lines().filter(|line| line.starts_with('p')).count();
    assert_eq!(count, 10_000, "all are there after a restart");
}

#[test]
fn a_table_with_a_wrong_row_is_refused_whole_with_its_line() {
    let daemon = demo().start();
    let run = daemon.command(
        &["account", "import", "-"],
        b"address\nx1@example.test\nnonsense\n",
    );
    assert!(!run.status.success());
    assert!(run.text.contains(":3"), "the line is named: {}", run.text);
    daemon
        .smtp()
        .send("a@b.test", &["x1@example.test"], &letter("no"))
        .expect(550);
}

fn run(daemon: &Daemon, words: &[&str], input: &[u8]) -> String {
    daemon.command(words, input).ok()
}

/// By IMAP; and whoever gets in there gets in by submission too. (A refusal comes the later the more
/// there have been, so that one is enough.)
fn logs_in(daemon: &Daemon, user: &str, password: &str) -> bool {
    let mut imap = ImapClient::connect(daemon.address(Door::Imap));
    if !imap.command(format!("LOGIN {user} {password}")).is_ok() {
        return false;
    }
    let mut submission = SmtpClient::connect(daemon.address(Door::Submission));
    submission.ehlo();
    submission.auth_plain(user, password).expect(235);
    true
}

/// `secret`, hashed once with small parameters so that the test need not wait.
const HASH_OF_SECRET: &str =
    "$argon2id$v=19$m=8,t=1,p=1$aGVyb25yeS10ZXN0cy0wMQ$ODuK9ac6rGirSDA+IVWyoTF2r/wD1fxrzQdrxIgL6zw";
