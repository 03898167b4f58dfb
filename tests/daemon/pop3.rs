//! POP3 (RFC 1939): what a maildrop promises.

use testkit::{Door, PASSWORD, Pop3Client, SHORT, Wire, until};

use crate::common::{after_trace, demo, letter, maildrop, user};

#[test]
fn uidl_is_stable_across_sessions_and_restarts() {
    let daemon = demo().start();
    daemon.accept(&[&user(0)], &letter("one"));
    daemon.accept(&[&user(0)], &letter("two"));
    let mut session = maildrop(&daemon, "user0", 2);
    let before = session.lines("UIDL");
    session.ok("QUIT");
    let (_, recipe) = daemon.terminate();
    let daemon = recipe.start();
    assert_eq!(maildrop(&daemon, "user0", 2).lines("UIDL"), before);
}

#[test]
fn a_deleted_message_goes_at_quit_and_stays_when_the_connection_breaks() {
    let daemon = demo().start();
    daemon.accept(&[&user(1)], &letter("one"));
    daemon.accept(&[&user(1)], &letter("two"));
    let mut broken = maildrop(&daemon, "user1", 2);
    broken.ok("DELE 1");
    drop(broken);
    let mut session = unlocked(&daemon, "user1");
    assert_eq!(session.count(), 2);
    session.ok("DELE 1");
    session.ok("QUIT");
    assert_eq!(unlocked(&daemon, "user1").count(), 1);
}

#[test]
fn a_second_session_finds_the_maildrop_locked_and_a_dead_one_leaves_no_lock() {
    let daemon = demo().start();
    let first = daemon.pop3("user2");
    let mut second = Pop3Client::connect(daemon.address(Door::Pop3));
    second.ok("USER user2");
    let answer = second.command(&format!("PASS {PASSWORD}"));
    assert!(answer.starts_with("-ERR [IN-USE]"), "{answer}");
    drop(first);
    unlocked(&daemon, "user2");
}

#[test]
fn a_client_that_quits_and_comes_back_at_once_finds_the_maildrop_free() {
    let daemon = demo().start();
    for _ in 0..200 {
        daemon.pop3("user5").ok("QUIT");
    }
}

#[test]
fn top_brings_the_header_and_as_many_lines_as_were_asked_for() {
    let daemon = demo().start();
    daemon.accept(&[&user(3)], b"Subject: top\r\n\r\n1\r\n.2\r\n3\r\n");
    let mut session = maildrop(&daemon, "user3", 1);
    after_trace(
        &session.lines("TOP 1 2"),
        b"Subject: top\r\n\r\n1\r\n.2\r\n",
    );
    after_trace(&session.lines("TOP 1 0"), b"Subject: top\r\n\r\n");
    assert!(session.command("TOP 2 0").starts_with("-ERR"));
}

#[test]
fn stls_and_tls_from_the_start_lead_to_the_same_maildrop() {
    let daemon = demo().start();
    daemon.accept(&[&user(4)], &letter("secret"));
    maildrop(&daemon, "user4", 1).ok("QUIT");
    let mut upgraded = Pop3Client::connect(daemon.address(Door::Pop3));
    let offers = String::from_utf8(upgraded.lines("CAPA")).unwrap();
    assert!(offers.lines().any(|line| line == "STLS"), "{offers}");
    upgraded.ok("STLS");
    upgraded.wire().secure().unwrap();
    upgraded.login("user4", PASSWORD);
    assert_eq!(upgraded.count(), 1);
    upgraded.ok("QUIT");
    let wire = Wire::connect_tls(daemon.address(Door::Pop3s)).unwrap();
    let mut secured = Pop3Client::greeted(wire);
    secured.login("user4", PASSWORD);
    assert_eq!(secured.count(), 1);
}

/// A session, once nobody else holds the maildrop: a peer's end may take a moment to be noticed.
fn unlocked(daemon: &testkit::Daemon, user: &str) -> Pop3Client {
    let mut session = Pop3Client::connect(daemon.address(Door::Pop3));
    until("the maildrop is free", SHORT, || {
        session.ok(&format!("USER {user}"));
        session
            .command(&format!("PASS {PASSWORD}"))
            .starts_with("+OK")
    });
    session
}
