//! What the daemon's tests share.

use std::path::PathBuf;

use testkit::{Daemon, ImapClient, LONG, Pop3Client, Recipe, until, until_some};

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_heronry").into()
}

/// A demo of its own for one test.
pub(crate) fn demo() -> Recipe {
    Recipe::demo(binary())
}

/// The address of a demo account.
pub(crate) fn user(number: usize) -> String {
    format!("user{number}@example.test")
}

/// A small message with this subject.
pub(crate) fn letter(subject: &str) -> Vec<u8> {
    let text = "From: Someone <someone@elsewhere.test>\r\nTo: user0@example.test\r\n";
    format!("{text}Subject: {subject}\r\n\r\nHello.\r\n").into_bytes()
}

/// An IMAP session with INBOX selected, once that holds at least `count` messages.
#[track_caller]
pub(crate) fn inbox(daemon: &Daemon, user: &str, count: u32) -> ImapClient {
    let mut client = daemon.imap(user);
    until(format!("{count} messages for {user}"), LONG, || {
        messages(&mut client) >= count
    });
    client.command("SELECT INBOX").ok();
    client
}

/// How many messages INBOX holds, for a session that has not selected it.
#[track_caller]
pub(crate) fn messages(client: &mut ImapClient) -> u32 {
    let answer = client.command("STATUS INBOX (MESSAGES)").ok();
    let status = answer.find("STATUS").unwrap();
    let count = status
        .split("MESSAGES ")
        .nth(1)
        .and_then(|rest| rest.split([' ', ')']).next());
    count
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no count in {status}"))
}

/// A POP3 session once the maildrop holds at least `count` messages.
#[track_caller]
pub(crate) fn maildrop(daemon: &Daemon, user: &str, count: usize) -> Pop3Client {
    until_some(format!("{count} messages for {user}"), LONG, || {
        let mut client = daemon.pop3(user);
        if client.count() >= count {
            return Some(client);
        }
        client.ok("QUIT"); // the maildrop is what it was at login
        None
    })
}

/// The message as it was sent, if `received` is that and trace fields before it; a panic otherwise.
#[track_caller]
pub(crate) fn after_trace(received: &[u8], sent: &[u8]) {
    let name = String::from_utf8_lossy(&sent[..sent.len().min(200)]).into_owned();
    assert!(
        received.ends_with(sent),
        "not octet for octet what was sent: {name}"
    );
    let trace = String::from_utf8(received[..received.len() - sent.len()].to_vec()).unwrap();
    assert!(
        trace.ends_with("\r\n"),
        "trace fields end where the message begins: {trace:?}"
    );
    let mut fields = trace.lines().filter(|line| !line.starts_with([' ', '\t']));
    let known = |line: &str| {
        ["Return-Path:", "Delivered-To:", "Received:"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    assert!(
        fields.all(known),
        "nothing but trace fields is added: {trace:?}"
    );
    assert!(
        trace.contains("Received:"),
        "a Received field is added (RFC 5321 §4.4): {trace:?}"
    );
}
