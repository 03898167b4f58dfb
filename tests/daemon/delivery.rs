//! Mail to local users: in by SMTP, out by IMAP and POP3.

use testkit::Door;

use crate::common::{after_trace, demo, inbox, letter, maildrop, messages, user};

#[test]
fn mail_for_a_local_user_is_read_by_imap_and_by_pop3_octet_for_octet() {
    let daemon = demo().start();
    let sent =
        b"From: a@b.test\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\n.dots\r\n..\r\n\r\nend\r\n";
    daemon.accept(&[&user(0)], sent);
    let mut imap = inbox(&daemon, "user0", 1);
    after_trace(&imap.fetch_literal("1", "BODY.PEEK[]"), sent);
    let mut pop3 = maildrop(&daemon, "user0", 1);
    after_trace(&pop3.lines("RETR 1"), sent);
}

#[test]
fn users_log_in_by_name_and_by_address() {
    let daemon = demo().start();
    daemon.imap("user0");
    daemon.imap("user9@example.test");
    daemon.pop3("user9");
    daemon.pop3("user0@example.test");
}

#[test]
fn one_message_for_many_users_reaches_each_of_them_once() {
    let daemon = demo().start();
    let users: Vec<String> = (0..10).map(user).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    daemon.accept(&[&users[..], &users[..1]].concat(), &letter("to all"));
    for number in 0..10 {
        let mut imap = inbox(&daemon, &format!("user{number}"), 1);
        let fetched = imap.fetch_literal("1", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
        assert_eq!(fetched, b"Subject: to all\r\n\r\n");
    }
    let mut first = daemon.imap("user0");
    assert_eq!(messages(&mut first), 1, "named twice, and yet one copy");
}

#[test]
fn an_unknown_user_is_refused_at_rcpt_and_the_others_get_their_mail() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    smtp.command("MAIL FROM:<a@b.test>").expect(250);
    let refusal = smtp.command("RCPT TO:<nobody@example.test>").expect(550);
    assert!(refusal.lines[0].starts_with("5.1.1 "), "{refusal}");
    smtp.command("RCPT TO:<user1@example.test>").expect(250);
    smtp.command("DATA").expect(354);
    smtp.wire()
        .send(&[&letter("one of two")[..], b".\r\n"].concat())
        .unwrap();
    smtp.reply().expect(250);
    inbox(&daemon, "user1", 1);
}

#[test]
fn addresses_are_matched_whatever_the_case() {
    let daemon = demo().start();
    daemon.accept(&["USER3@EXAMPLE.TEST"], &letter("capitals"));
    inbox(&daemon, "user3", 1);
}

#[test]
fn a_bounce_from_the_empty_path_is_accepted() {
    let daemon = demo().start();
    daemon
        .smtp()
        .send("", &[&user(2)], &letter("undelivered"))
        .expect(250);
    let mut imap = inbox(&daemon, "user2", 1);
    let path = imap.fetch_literal("1", "BODY.PEEK[HEADER.FIELDS (RETURN-PATH)]");
    assert_eq!(path, b"Return-Path: <>\r\n\r\n");
}

#[test]
fn commands_may_be_pipelined() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    let group = "MAIL FROM:<a@b.test>\r\nRCPT TO:<user4@example.test>\r\n\
                 RCPT TO:<nobody@example.test>\r\nDATA\r\n";
    smtp.wire().send(group.as_bytes()).unwrap();
    for code in [250, 250, 550, 354] {
        smtp.reply().expect(code);
    }
    smtp.wire()
        .send(b"Subject: piped\r\n\r\nx\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n")
        .unwrap();
    for code in [250, 250, 250, 221] {
        smtp.reply().expect(code);
    }
    assert_eq!(smtp.wire().until_closed().unwrap(), b"");
    inbox(&daemon, "user4", 1);
}

#[test]
fn many_messages_travel_on_one_connection_in_their_order() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    for number in 0..200 {
        smtp.send(
            "a@b.test",
            &[&user(5)],
            &letter(&format!("number {number}")),
        )
        .expect(250);
    }
    let mut imap = inbox(&daemon, "user5", 200);
    let answer = imap
        .command("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        .ok();
    let subjects: Vec<&Vec<u8>> = answer
        .untagged
        .iter()
        .filter_map(|response| response.literals.first())
        .collect();
    assert_eq!(subjects.len(), 200);
    for (number, subject) in subjects.iter().enumerate() {
        let expected = format!("Subject: number {number}\r\n\r\n");
        assert_eq!(subject.as_slice(), expected.as_bytes());
    }
}

#[test]
fn the_greeting_names_the_host_and_ehlo_offers_what_is_built() {
    let daemon = demo().start();
    let mut smtp = testkit::SmtpClient::connect(daemon.address(Door::Smtp));
    let offers = smtp.ehlo();
    assert!(offers.lines[0].starts_with("mx.example.test"), "{offers}");
    let built = [
        "PIPELINING",
        "SIZE",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
    ];
    for word in built {
        assert!(offers.offers(word), "{word} is missing: {offers}");
    }
}

#[test]
fn eight_bit_content_arrives_as_it_was_sent() {
    let daemon = demo().start();
    let mut sent = b"Subject: bits\r\nMIME-Version: 1.0\r\n\r\n".to_vec();
    sent.extend((1..=255).filter(|octet| !b"\r\n".contains(octet)));
    sent.extend_from_slice(b"\r\n");
    let mut smtp = daemon.smtp();
    smtp.command("MAIL FROM:<a@b.test> BODY=8BITMIME")
        .expect(250);
    smtp.command("RCPT TO:<user6@example.test>").expect(250);
    smtp.command("DATA").expect(354);
    smtp.wire().send(&[&sent[..], b".\r\n"].concat()).unwrap();
    smtp.reply().expect(250);
    let mut imap = inbox(&daemon, "user6", 1);
    after_trace(&imap.fetch_literal("1", "BODY.PEEK[]"), &sent);
}
