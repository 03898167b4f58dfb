//! TLS at every door, from the first octet and by command, up to a command that needs a login.

use testkit::{Daemon, Door, ImapClient, PASSWORD, Pop3Client, SmtpClient, Wire};

use crate::common::{demo, inbox, letter, user};

#[test]
fn a_door_under_tls_greets_and_serves_from_the_first_octet() {
    let daemon = demo().start();
    let mut smtp = SmtpClient::connect_tls(daemon.address(Door::Submissions));
    smtp.ehlo();
    smtp.auth_plain("user0", PASSWORD).expect(235);
    smtp.send(&user(0), &[&user(1)], &letter("under tls"))
        .expect(250);
    inbox(&daemon, "user1", 1);

    let mut imap = ImapClient::greeted(secured(&daemon, Door::Imaps));
    imap.login("user1", PASSWORD);
    assert_eq!(imap.command("SELECT INBOX").ok().number("EXISTS"), Some(1));

    let mut pop3 = Pop3Client::greeted(secured(&daemon, Door::Pop3s));
    pop3.login("user1", PASSWORD);
    assert_eq!(pop3.count(), 1);
}

#[test]
fn starttls_of_imap_leads_to_tls_and_is_offered_once_only() {
    let daemon = demo().start();
    let mut imap = ImapClient::connect(daemon.address(Door::Imap));
    let offered = |imap: &mut ImapClient| {
        let answer = imap.command("CAPABILITY").ok();
        answer.find("CAPABILITY").unwrap().contains("STARTTLS")
    };
    assert!(offered(&mut imap));
    imap.starttls();
    assert!(!offered(&mut imap));
    assert!(!imap.command("STARTTLS").is_ok());
    imap.login("user0", PASSWORD);
    imap.command("SELECT INBOX").ok();
}

#[test]
fn a_large_message_goes_in_and_out_under_tls() {
    let daemon = demo().start();
    let mut imap = ImapClient::greeted(secured(&daemon, Door::Imaps));
    imap.login("user2", PASSWORD);
    let lines: Vec<String> = (0..50_000)
        .map(|number| format!("{number:0>60}\r\n"))
        .collect();
    let message = format!("Subject: large\r\n\r\n{}", lines.concat()).into_bytes();
    imap.append("INBOX", "", &message).ok();
    imap.command("SELECT INBOX").ok();
    assert!(imap.fetch_literal("1", "BODY.PEEK[]") == message);
    let mut pop3 = Pop3Client::greeted(secured(&daemon, Door::Pop3s));
    pop3.login("user2", PASSWORD);
    assert!(pop3.lines("RETR 1") == message);
}

fn secured(daemon: &Daemon, door: Door) -> Wire {
    Wire::connect_tls(daemon.address(door)).unwrap()
}
