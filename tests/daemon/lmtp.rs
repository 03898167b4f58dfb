//! LMTP (RFC 2033): one reply for each recipient.

use testkit::{Door, SmtpClient};

use crate::common::{demo, inbox};

#[test]
fn lmtp_answers_once_for_each_recipient_that_it_accepted() {
    let daemon = demo().start();
    let mut lmtp = SmtpClient::connect(daemon.address(Door::Lmtp));
    lmtp.command("LHLO mta.test").expect(250);
    lmtp.command("MAIL FROM:<a@b.test>").expect(250);
    lmtp.command("RCPT TO:<user0@example.test>").expect(250);
    lmtp.command("RCPT TO:<nobody@example.test>").expect(550);
    lmtp.command("RCPT TO:<user1@example.test>").expect(250);
    lmtp.command("DATA").expect(354);
    lmtp.wire()
        .send(b"Subject: lmtp\r\n\r\nx\r\n.\r\n")
        .unwrap();
    lmtp.reply().expect(250);
    lmtp.reply().expect(250);
    lmtp.command("QUIT").expect(221);
    inbox(&daemon, "user0", 1);
    inbox(&daemon, "user1", 1);
}

#[test]
fn lmtp_knows_no_helo_and_no_ehlo() {
    let daemon = demo().start();
    let mut lmtp = SmtpClient::connect(daemon.address(Door::Lmtp));
    lmtp.command("EHLO mta.test").expect(500);
    lmtp.command("HELO mta.test").expect(500);
    lmtp.command("LHLO mta.test").expect(250);
}

#[test]
fn lmtp_refuses_data_when_no_recipient_was_accepted() {
    let daemon = demo().start();
    let mut lmtp = SmtpClient::connect(daemon.address(Door::Lmtp));
    lmtp.command("LHLO mta.test").expect(250);
    lmtp.command("MAIL FROM:<a@b.test>").expect(250);
    lmtp.command("RCPT TO:<nobody@example.test>").expect(550);
    lmtp.command("DATA").expect(503);
}
