//! IDLE (RFC 2177): new mail is told at once.

use std::io::{self, Write};
use std::time::Instant;

use testkit::SHORT;

use crate::common::{demo, inbox, letter, user};

#[test]
fn new_mail_reaches_an_idle_client_without_being_asked_for() {
    let daemon = demo().start();
    let mut imap = inbox(&daemon, "user0", 0);
    let mut smtp = daemon.smtp();
    let tag = imap.idle();
    let mut delays = Vec::new();
    for number in 1..=21 {
        smtp.send("a@b.test", &[&user(0)], &letter("news"))
            .expect(250);
        let acknowledged = Instant::now();
        let told = format!("* {number} EXISTS");
        while imap.response_within(SHORT).expect("the news come").text() != told {}
        delays.push(acknowledged.elapsed());
    }
    imap.wire().send(b"DONE\r\n").unwrap();
    imap.finish(&tag).unwrap().ok();
    delays.sort_unstable();
    // Told, not asserted: how fast a machine is depends on what else it does.
    let _ = writeln!(
        io::stderr(),
        "half of the news took less than {:?}",
        delays[10]
    );
}

#[test]
fn flags_and_expunges_of_one_session_reach_another_that_idles() {
    let daemon = demo().start();
    daemon.accept(&[&user(1)], &letter("first"));
    let mut one = inbox(&daemon, "user1", 1);
    let mut other = inbox(&daemon, "user1", 1);
    let tag = one.idle();
    other.command(r"STORE 1 +FLAGS (\Seen \Deleted)").ok();
    let seen = |text: &str| text.starts_with("* 1 FETCH") && text.contains(r"\Deleted");
    while !seen(&one.response_within(SHORT).expect("the flags come").text()) {}
    other.command("EXPUNGE").ok();
    while one
        .response_within(SHORT)
        .expect("the expunge comes")
        .text()
        != "* 1 EXPUNGE"
    {}
    one.wire().send(b"DONE\r\n").unwrap();
    one.finish(&tag).unwrap().ok();
}

#[test]
fn a_hundred_idle_clients_of_one_account_are_all_told() {
    let daemon = demo().start();
    let mut clients: Vec<_> = (0..100).map(|_| inbox(&daemon, "user2", 0)).collect();
    for client in &mut clients {
        client.idle();
    }
    daemon.accept(&[&user(2)], &letter("for each of you"));
    for client in &mut clients {
        while client.response_within(SHORT).expect("the news come").text() != "* 1 EXISTS" {}
    }
}
