//! Aliases, plus-addresses, the catch-all and the postmaster.

use testkit::Daemon;

use crate::common::{demo, inbox, letter, messages, user};

#[test]
fn an_alias_for_one_and_an_alias_for_many_lead_to_their_accounts() {
    let daemon = demo().start();
    alias(&daemon, &["info@example.test", "user1@example.test"]);
    alias(
        &daemon,
        &[
            "all@example.test",
            "user2@example.test",
            "user3@example.test",
        ],
    );
    daemon.accept(&["info@example.test"], &letter("one"));
    daemon.accept(&["all@example.test"], &letter("many"));
    for name in ["user1", "user2", "user3"] {
        inbox(&daemon, name, 1);
    }
}

#[test]
fn an_alias_may_lead_to_an_alias_and_a_circle_ends() {
    let daemon = demo().start();
    alias(&daemon, &["first@example.test", "second@example.test"]);
    alias(&daemon, &["second@example.test", "user4@example.test"]);
    daemon.accept(&["first@example.test"], &letter("by two steps"));
    inbox(&daemon, "user4", 1);

    let circle = ["a@example.test", "b@example.test"];
    daemon.command(&["alias", "add", circle[0], circle[1]], b"");
    daemon.command(
        &["alias", "add", circle[1], circle[0], "user5@example.test"],
        b"",
    );
    let reply = daemon
        .smtp()
        .send("x@y.test", &[circle[0]], &letter("round and round"));
    if reply.code == 250 {
        inbox(&daemon, "user5", 1);
    }
    daemon
        .smtp()
        .send("x@y.test", &[&user(5)], &letter("still alive"))
        .expect(250);
}

#[test]
fn an_alias_is_shown_listed_and_removed() {
    let daemon = demo().start();
    alias(&daemon, &["team@example.test", "user6@example.test"]);
    assert!(
        daemon
            .command(&["alias", "list"], b"")
            .ok()
            .contains("team@example.test")
    );
    let shown = daemon
        .command(&["alias", "show", "team@example.test"], b"")
        .ok();
    assert!(shown.contains("user6@example.test"), "{shown}");
    daemon
        .command(&["alias", "remove", "team@example.test"], b"")
        .ok();
    let reply = daemon
        .smtp()
        .send("x@y.test", &["team@example.test"], &letter("nobody home"));
    reply.expect(550);
}

#[test]
fn what_follows_a_plus_is_detail() {
    let daemon = demo().start();
    daemon.accept(&["user7+lists.rust@example.test"], &letter("plus"));
    inbox(&daemon, "user7", 1);
    daemon
        .smtp()
        .send("x@y.test", &["nobody+user7@example.test"], &letter("no"))
        .expect(550);
}

#[test]
fn the_catch_all_takes_what_nobody_else_takes() {
    let daemon = demo().start();
    alias(&daemon, &["@example.test", "user8@example.test"]);
    daemon.accept(&["whoever@example.test"], &letter("caught"));
    daemon.accept(&["user9@example.test"], &letter("not caught"));
    inbox(&daemon, "user8", 1);
    inbox(&daemon, "user9", 1);
    assert_eq!(messages(&mut daemon.imap("user8")), 1);
}

#[test]
fn the_postmaster_is_always_there_with_a_domain_and_without() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    for to in [
        "postmaster",
        "Postmaster",
        "postmaster@example.test",
        "PostMaster@example.test",
    ] {
        smtp.send("x@y.test", &[to], &letter("to the postmaster"))
            .expect(250);
    }
}

fn alias(daemon: &Daemon, words: &[&str]) {
    daemon
        .command(&[&["alias", "add"], words].concat(), b"")
        .ok();
}
