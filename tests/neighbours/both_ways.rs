//! Mail between a real Postfix and us, in both directions, found by MX records, under TLS.

use crate::common::{inbox_with, letter, newest};
use crate::town::Town;

#[test]
fn mail_of_our_users_reaches_users_of_postfix() {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let message = letter(
        "user0@example.test",
        "ann@neighbour.test",
        "from heronry to postfix",
    );
    town.submit(
        &ours,
        &["ann@neighbour.test", "bob@neighbour.test"],
        &message,
    );
    for user in ["ann@neighbour.test", "bob@neighbour.test"] {
        let arrived = neighbour.mail_with(user, "from heronry to postfix");
        assert!(
            arrived.contains("Return-Path: <user0@example.test>"),
            "{arrived}"
        );
        assert!(
            arrived.contains("by mx.example.test"),
            "our trace is there: {arrived}"
        );
    }
    assert_eq!(
        neighbour.mail("ann@neighbour.test").len(),
        1,
        "once, not twice"
    );
}

#[test]
fn mail_goes_out_in_chunks_whose_octets_postfix_counts() {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let (from, to) = ("user0@example.test", "ann@neighbour.test");
    let lines = b".a dot\r\n..two dots\r\n.\r\nthe last line\r\n";
    let small = [letter(from, to, "a small one"), lines.to_vec()].concat();
    let large = [letter(from, to, "a large one"), lines.repeat(6000)].concat();
    for message in [&small, &large] {
        // The second recipient does not exist: what was sent for him is for nobody.
        town.submit(&ours, &[to, "nobody@neighbour.test"], message);
    }
    for (subject, message) in [("a small one", small), ("a large one", large)] {
        let arrived = neighbour.mail_with(to, subject);
        let sent = String::from_utf8(message).unwrap().replace("\r\n", "\n");
        assert!(arrived.ends_with(&sent), "{subject}: octet for octet");
    }
    neighbour.logs(&["disconnect from", "bdat="]);
    let log = neighbour.log();
    assert!(!log.contains(" data="), "nobody waited for a 354: {log}");
    inbox_with(&ours, from, "Undelivered");
}

#[test]
fn mail_of_users_of_postfix_reaches_ours() {
    let Some(town) = Town::found() else { return };
    let (_names, _neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let message = letter(
        "ann@neighbour.test",
        "user0@example.test",
        "from postfix to heronry",
    );
    let to = ["user0@example.test", "user1@example.test"];
    town.give_to_neighbour("ann@neighbour.test", &to, &message);
    for user in to {
        let mut inbox = inbox_with(&ours, user, "from postfix to heronry");
        let arrived = newest(&mut inbox);
        assert!(
            arrived.starts_with("Return-Path: <ann@neighbour.test>"),
            "{arrived}"
        );
    }
}

#[test]
fn tls_is_used_in_both_directions() {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let out = letter("user0@example.test", "ann@neighbour.test", "secret out");
    town.submit(&ours, &["ann@neighbour.test"], &out);
    let arrived = neighbour.mail_with("ann@neighbour.test", "secret out");
    assert!(
        arrived.contains("with ESMTPS"),
        "Postfix saw TLS: {arrived}"
    );
    neighbour.logs(&["smtpd", "TLS connection established from", "TLSv1.3"]);

    let back = letter("ann@neighbour.test", "user1@example.test", "secret in");
    town.give_to_neighbour("ann@neighbour.test", &["user1@example.test"], &back);
    let arrived = newest(&mut inbox_with(&ours, "user1@example.test", "secret in"));
    let trace: String = arrived
        .split("\r\nReceived:")
        .nth(1)
        .unwrap_or(&arrived)
        .to_owned();
    assert!(trace.contains("ESMTPS"), "we say so (RFC 3848): {arrived}");
    neighbour.logs(&[
        "/smtp[",
        "TLS connection established to mx.example.test",
        "TLSv1.3",
    ]);
}

#[test]
fn an_alias_of_ours_for_somebody_elsewhere_sends_the_mail_on() {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    let alias = [
        "alias",
        "add",
        "both@example.test",
        "bob@neighbour.test",
        "user2@example.test",
    ];
    ours.command(&alias, b"").ok();
    let message = letter("ann@neighbour.test", "both@example.test", "for both");
    town.give_to_neighbour("ann@neighbour.test", &["both@example.test"], &message);
    inbox_with(&ours, "user2@example.test", "for both");
    neighbour.mail_with("bob@neighbour.test", "for both");
}

#[test]
fn two_hundred_messages_each_way_all_arrive_once() {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    for number in 0..200 {
        let subject = format!("crowd {number} end");
        let out = letter("user0@example.test", "ann@neighbour.test", &subject);
        town.submit(&ours, &["ann@neighbour.test"], &out);
        let back = letter("bob@neighbour.test", "user1@example.test", &subject);
        town.give_to_neighbour("bob@neighbour.test", &["user1@example.test"], &back);
    }
    testkit::until("all are at Postfix", testkit::LONG, || {
        neighbour.mail("ann@neighbour.test").len() >= 200
    });
    let mut inbox = ours.imap("user1@example.test");
    testkit::until("all are here", testkit::LONG, || {
        inbox.command("SELECT INBOX").ok().number("EXISTS") >= Some(200)
    });
    let there = neighbour.mail("ann@neighbour.test");
    for number in 0..200 {
        let subject = format!("Subject: crowd {number} end");
        assert_eq!(
            there
                .iter()
                .filter(|message| message.contains(&subject))
                .count(),
            1
        );
    }
    let count = inbox.command("SELECT INBOX").ok().number("EXISTS");
    assert_eq!(count, Some(200));
}

#[test]
fn messages_for_one_neighbour_share_connections() {
    let Some(town) = Town::found() else { return };
    let (_names, neighbour) = (town.name_server(), town.neighbour());
    let ours = town.heronry("");
    for number in 0..200 {
        let message = letter("user0@example.test", "ann@neighbour.test", "shared way");
        town.submit(&ours, &["ann@neighbour.test"], &message);
        if number == 0 {
            neighbour.mail_with("ann@neighbour.test", "shared way"); // a connection stands
        }
    }
    testkit::until("all are at Postfix", testkit::LONG, || {
        neighbour.mail("ann@neighbour.test").len() == 200
    });
    let connections = neighbour.log().matches(": connect from ").count();
    assert!(
        connections <= 40,
        "{connections} connections for 200 messages"
    );
}
