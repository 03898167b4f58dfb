//! What the tests with neighbours share.

use std::path::PathBuf;
use std::process::Command;

use testkit::{Daemon, Finished, ImapClient, LONG, Recipe, finish, until};

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_heronry").into()
}

/// A demo of its own for one test.
pub(crate) fn demo() -> Recipe {
    Recipe::demo(binary())
}

/// Runs a program that must be installed, with arguments split at blanks.
#[track_caller]
pub(crate) fn run(line: &str) -> Finished {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let mut command = Command::new(words.next().expect("a command line names its program"));
    finish(command.args(words), b"")
}

/// A small message from a user of ours.
pub(crate) fn letter(from: &str, to: &str, subject: &str) -> Vec<u8> {
    let text = format!("From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\r\nHello.\r\n");
    text.into_bytes()
}

/// An IMAP session with INBOX selected, once a message with this subject is there.
#[track_caller]
pub(crate) fn inbox_with(daemon: &Daemon, user: &str, subject: &str) -> ImapClient {
    let mut client = daemon.imap(user);
    until(format!("{subject:?} for {user}"), LONG, || {
        client.command("SELECT INBOX").ok();
        let found = client.command(format!("SEARCH SUBJECT \"{subject}\"")).ok();
        found.find("SEARCH").is_some_and(|text| text != "* SEARCH")
    });
    client
}

/// The newest message of the selected mailbox.
#[track_caller]
pub(crate) fn newest(client: &mut ImapClient) -> String {
    let octets = client.fetch_literal("*", "BODY.PEEK[]");
    String::from_utf8_lossy(&octets).into_owned()
}
