//! SMTP smuggling (2023): a message ends at `CRLF . CRLF` and nowhere else.

use testkit::SHORT;

use crate::common::{demo, inbox, letter, messages, user};

/// Every published way to end a message for one server and not for the next.
const ENDS: &[&[u8]] = &[
    b"\n.\n",
    b"\n.\r\n",
    b"\n.\r",
    b"\r.\r",
    b"\r.\r\n",
    b"\r.\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\r\n.\r\r\n",
    b"\n\r.\n\r",
    b"\r\n.\r\r\n",
    b"\r\n .\r\n",
    b"\r\n. \r\n",
    b"\x85.\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
];

#[test]
fn no_published_end_of_data_smuggles_a_second_message() {
    let daemon = demo().start();
    for end in ENDS {
        let mut smtp = daemon.smtp();
        smtp.command("MAIL FROM:<a@b.test>").expect(250);
        smtp.command("RCPT TO:<user0@example.test>").expect(250);
        smtp.command("DATA").expect(354);
        let mut body = b"Subject: outer\r\n\r\nouter".to_vec();
        body.extend_from_slice(end);
        let inner = "MAIL FROM:<admin@example.test>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\n\
                     Subject: smuggled\r\n\r\nsmuggled\r\n.\r\n";
        body.extend_from_slice(inner.as_bytes());
        smtp.wire().send(&body).unwrap();
        // One message was sent, so one reply comes; whether it is taken decides nothing here.
        smtp.reply();
        let _ = smtp.wire().send(b"QUIT\r\n");
        let _ = smtp.wire().patience(SHORT);
        let _ = smtp.wire().until_closed();
    }
    // Mail travels in order through one mailbox: when the last word has come, all have.
    daemon.accept(&[&user(1)], &letter("the only one"));
    let mut imap = inbox(&daemon, "user1", 1);
    let subject = imap.fetch_literal("1", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
    let subject = String::from_utf8_lossy(&subject).into_owned();
    assert_eq!(subject, "Subject: the only one\r\n\r\n");
    assert_eq!(messages(&mut daemon.imap("user1")), 1);
}

#[test]
fn bare_line_ends_in_a_message_are_refused_and_the_session_goes_on() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    for body in [&b"Subject: lf\n\nx\r\n"[..], b"Subject: cr\r\n\r\nx\ry\r\n"] {
        let refusal = smtp.send("a@b.test", &[&user(2)], body).expect(550);
        assert!(refusal.lines[0].starts_with("5.6.11 "), "{refusal}");
    }
    smtp.send("a@b.test", &[&user(2)], &letter("clean"))
        .expect(250);
    let mut imap = inbox(&daemon, "user2", 1);
    assert_eq!(
        imap.command("SEARCH SUBJECT clean")
            .ok()
            .find("SEARCH")
            .unwrap(),
        "* SEARCH 1"
    );
}
