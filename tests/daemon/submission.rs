//! Submission (RFC 6409, RFC 8314), AUTH (RFC 4954) and STARTTLS (RFC 3207).

use testkit::{Daemon, Door, PASSWORD, SmtpClient};

use crate::common::{demo, inbox, letter};

#[test]
fn submission_asks_for_a_login_before_it_takes_mail() {
    let daemon = demo().start();
    let mut client = submission(&daemon);
    let refusal = client.command("MAIL FROM:<user0@example.test>").expect(530);
    assert!(refusal.lines[0].starts_with("5.7.0 "), "{refusal}");
    client.auth_plain("user0", PASSWORD).expect(235);
    client
        .send(
            "user0@example.test",
            &["user1@example.test"],
            &letter("submitted"),
        )
        .expect(250);
    inbox(&daemon, "user1", 1);
}

#[test]
fn starttls_leads_to_a_session_that_has_forgotten_everything() {
    let daemon = demo().start();
    for door in [Door::Smtp, Door::Submission] {
        let mut client = SmtpClient::connect(daemon.address(door));
        assert!(client.ehlo().offers("STARTTLS"));
        client.starttls();
        client.command("MAIL FROM:<user0@example.test>").expect(503); // EHLO comes first
        assert!(
            !client.ehlo().offers("STARTTLS"),
            "offered once only (RFC 3207 §4.2)"
        );
        client.command("STARTTLS").expect(503);
        client.command("NOOP").expect(250);
    }
}

#[test]
fn submission_works_after_starttls_and_under_tls_from_the_start() {
    let daemon = demo().start();
    let mut upgraded = submission(&daemon);
    upgraded.starttls();
    let mut secured = SmtpClient::connect_tls(daemon.address(Door::Submissions));
    for (client, user) in [
        (&mut upgraded, "user0"),
        (&mut secured, "user1@example.test"),
    ] {
        let offers = client.ehlo();
        assert!(offers.offers("AUTH"), "{offers}");
        client.auth_plain(user, PASSWORD).expect(235);
        let from = format!("{}@example.test", user.split('@').next().unwrap());
        client
            .send(&from, &["user2@example.test"], &letter("secret"))
            .expect(250);
    }
    inbox(&daemon, "user2", 2);
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let daemon = demo().start();
    let mut client = submission(&daemon);
    let wrong = client.auth_plain("user0", "wrong").expect(535);
    assert!(wrong.lines[0].starts_with("5.7.8 "), "{wrong}");
    assert_eq!(client.auth_plain("nobody", "wrong"), wrong);
    client.auth_plain("user0", PASSWORD).expect(235);
}

#[test]
fn auth_speaks_every_turn_of_its_dialogue() {
    let daemon = demo().start();
    let mut client = submission(&daemon);
    client.command("AUTH NOSUCH").expect(504);
    client.command("AUTH PLAIN").expect(334);
    client.command("*").expect(501); // the client gives up (RFC 4954 §4)
    client.command("AUTH PLAIN ====").expect(501);
    client.command("AUTH LOGIN").expect(334);
    client.command("dXNlcjA=").expect(334); // user0
    client.command("c2VjcmV0").expect(235); // secret
    client.command("AUTH LOGIN").expect(503); // once is enough
    client.command("MAIL FROM:<user0@example.test>").expect(250);
    client.command("AUTH PLAIN").expect(503); // and not inside a transaction
}

#[test]
fn an_account_sends_under_its_own_address_only() {
    let daemon = demo().start();
    let mut client = submission(&daemon);
    client.auth_plain("user0", PASSWORD).expect(235);
    let refusal = client.send(
        "user1@example.test",
        &["user2@example.test"],
        &letter("forged"),
    );
    assert!(matches!(refusal.code, 550 | 553), "{refusal}");
    client
        .send(
            "user0@example.test",
            &["user2@example.test"],
            &letter("honest"),
        )
        .expect(250);
}

#[test]
fn a_submitted_message_without_date_and_message_id_gets_them() {
    let daemon = demo().start();
    let mut client = submission(&daemon);
    client.auth_plain("user0", PASSWORD).expect(235);
    client
        .send(
            "user0@example.test",
            &["user3@example.test"],
            b"Subject: bare\r\n\r\nx\r\n",
        )
        .expect(250);
    let mut imap = inbox(&daemon, "user3", 1);
    let header = imap.fetch_literal("1", "BODY.PEEK[HEADER.FIELDS (DATE MESSAGE-ID SUBJECT)]");
    let header = String::from_utf8(header).unwrap();
    for name in ["Date: ", "Message-ID: <", "Subject: bare"] {
        let lower = header.to_ascii_lowercase();
        assert!(
            lower.contains(&name.to_ascii_lowercase()),
            "{name} is missing: {header}"
        );
    }
}

fn submission(daemon: &Daemon) -> SmtpClient {
    let mut client = SmtpClient::connect(daemon.address(Door::Submission));
    client.ehlo();
    client
}
