//! A neighbour who is down is tried again and reached later.

use testkit::{LONG, SHORT, until};

use crate::common::letter;
use crate::town::Town;

#[test]
fn a_neighbour_who_is_down_is_reached_when_it_is_up() {
    let Some(town) = Town::found() else { return };
    let _names = town.name_server();
    let ours = town.heronry("");
    let message = letter("user0@example.test", "ann@late.test", "better late");
    town.submit(&ours, &["ann@late.test"], &message);
    let waiting = || ours.command(&["queue", "list"], b"").ok();
    until("an attempt has failed", SHORT, || {
        waiting().contains("late.test")
    });
    let late = town.late();
    late.mail_with("ann@late.test", "better late");
    until("the queue is empty", SHORT, || {
        !waiting().contains("late.test")
    });
}

#[test]
fn mail_that_waits_survives_a_kill_and_is_sent_after_the_restart() {
    let Some(town) = Town::found() else { return };
    let _names = town.name_server();
    let ours = town.heronry("");
    for number in 0..20 {
        let message = letter(
            "user0@example.test",
            "bob@late.test",
            &format!("kept {number} end"),
        );
        town.submit(&ours, &["bob@late.test"], &message);
    }
    drop(ours.kill9());
    let late = town.late();
    let _ours = town.heronry("");
    for number in 0..20 {
        late.mail_with("bob@late.test", &format!("Subject: kept {number} end"));
    }
}

#[test]
fn a_neighbour_who_goes_down_in_the_middle_gets_everything_in_the_end() {
    let Some(town) = Town::found() else { return };
    let _names = town.name_server();
    let ours = town.heronry("");
    let late = town.late();
    for number in 0..60 {
        let message = letter(
            "user0@example.test",
            "ann@late.test",
            &format!("through {number} end"),
        );
        town.submit(&ours, &["ann@late.test"], &message);
    }
    drop(late);
    let late = town.late();
    for number in 0..60 {
        late.mail_with("ann@late.test", &format!("Subject: through {number} end"));
    }
}

#[test]
fn mail_that_expires_comes_back_with_the_last_word() {
    let Some(town) = Town::found() else { return };
    let _names = town.name_server();
    let ours = town.heronry("expire_seconds = 3\n");
    let message = letter("user0@example.test", "ann@dead.test", "into the void");
    town.submit(&ours, &["ann@dead.test"], &message);
    let mut inbox = ours.imap("user0@example.test");
    until("it comes back", LONG, || {
        inbox.command("SELECT INBOX").ok().number("EXISTS") >= Some(1)
    });
    let report = crate::common::newest(&mut inbox);
    assert!(
        report.contains("Action: failed") && report.contains("ann@dead.test"),
        "{report}"
    );
    assert!(
        report.contains("Status: 5.4.7"),
        "its time has expired (RFC 3463 §3.5): {report}"
    );
    assert!(
        report.contains("refused"),
        "the last word is told: {report}"
    );
}

#[test]
fn the_sender_of_late_mail_is_told_that_it_is_late_once() {
    let Some(town) = Town::found() else { return };
    let _names = town.name_server();
    let ours = town.heronry("delay_warning_seconds = 2\n");
    let message = letter("user0@example.test", "ann@dead.test", "still trying");
    town.submit(&ours, &["ann@dead.test"], &message);
    let mut inbox = ours.imap("user0@example.test");
    until("the warning comes", LONG, || {
        inbox.command("SELECT INBOX").ok().number("EXISTS") >= Some(1)
    });
    let report = crate::common::newest(&mut inbox);
    assert!(report.contains("Action: delayed"), "{report}");
    let attempts = |ours: &testkit::Daemon| ours.command(&["queue", "list"], b"").ok();
    assert!(
        attempts(&ours).contains("ann@dead.test"),
        "it is still tried"
    );
}
