//! How much accounts and domains may hold: who is full is told so, and what is on its way waits.

use testkit::{Daemon, Door, LONG, SmtpClient, SmtpReply, Wire, until};

use crate::{
    common::{inbox, letter, messages, user},
    served::Served,
};

/// `heronry` with these words, which must succeed.
#[track_caller]
fn run(daemon: &Daemon, words: &str) -> String {
    let words: Vec<_> = words.split(' ').collect();
    daemon.command(&words, b"secret\n").ok()
}

/// A house with three accounts: the first is without limit.
fn house(more: &str, limits: &str) -> Served {
    let house = Served::open(&format!("login_without_tls = [\"127.0.0.0/8\"]\n{more}"));
    let add = |name: &str, limits: &str| {
        run(&house.daemon, &format!("account add {name}{limits}"));
    };
    add("user1@example.test", limits);
    add("user2@example.test", "");
    house
}

fn large() -> Vec<u8> {
    [letter("large"), b"x".repeat(70), b"\r\n".to_vec()].concat()
}

#[track_caller]
fn assert_full(reply: &SmtpReply) {
    assert_eq!(reply.code, 452, "{reply}");
    assert!(reply.lines[0].starts_with("4.2.2 "), "{reply}");
}

fn metric(daemon: &Daemon, line: &str) -> bool {
    daemon.metrics().lines().any(|found| found == line)
}

#[test]
fn who_is_full_is_refused_while_the_sender_still_listens() {
    let house = house("", " --quota-octets 1000 --quota-messages 2");
    let daemon = &house.daemon;
    let mut smtp = daemon.smtp();
    smtp.ehlo().expect(250);
    let rcpt = format!("RCPT TO:<{}>", user(1));
    // The sender says how large it will be; and who says nothing is told at the end.
    smtp.command("MAIL FROM:<a@elsewhere.test> SIZE=2000")
        .expect(250);
    assert_full(&smtp.command(&rcpt));
    smtp.command("RSET").expect(250);
    let huge = [letter("huge"), b"x\r\n".repeat(1000)].concat();
    let end = smtp.send("a@elsewhere.test", &[&user(1)], &huge);
    assert_full(&end);
    for _ in 0..2 {
        smtp.send("a@elsewhere.test", &[&user(1)], &letter("one"))
            .expect(250);
    }
    inbox(daemon, "user1", 2);
    smtp.command("MAIL FROM:<a@elsewhere.test>").expect(250);
    assert_full(&smtp.command(&rcpt));
    smtp.command(format!("RCPT TO:<{}>", user(2))).expect(250);
    let refused = "heronry_smtp_over_quota_total{at=\"rcpt\"} 2";
    until("it is counted", LONG, || metric(daemon, refused));
    assert!(metric(
        daemon,
        "heronry_smtp_over_quota_total{at=\"data\"} 1"
    ));
    let mut imap = inbox(daemon, "user1", 2);
    for command in ["COPY 1 INBOX", "COPY 1:2 INBOX"] {
        let said = imap.command(command).tagged;
        assert!(said.starts_with("NO [OVERQUOTA]"), "{command}: {said}");
    }
    let said = imap.append("INBOX", "", &letter("no")).tagged;
    assert!(said.starts_with("NO [OVERQUOTA]"), "{said}");
    let roots = imap.command("GETQUOTAROOT INBOX").ok();
    assert_eq!(roots.find("QUOTAROOT").unwrap(), "* QUOTAROOT INBOX \"\"");
    assert_eq!(
        roots.find("QUOTA ").unwrap(),
        "* QUOTA \"\" (STORAGE 1 1 MESSAGE 2 2)"
    );
    imap.command("GETQUOTA \"\"").ok();
    let refused = "heronry_imap_refused_total{reason=\"over_quota\"} 3";
    until("refusals are counted", LONG, || metric(daemon, refused));
    // The domain is the other root, and there only while it is limited.
    assert!(!imap.command("GETQUOTA example.test").is_ok());
    run(daemon, "domain quota example.test --messages 40");
    let roots = imap.command("GETQUOTAROOT INBOX").ok();
    assert_eq!(
        roots.find("QUOTAROOT").unwrap(),
        "* QUOTAROOT INBOX \"\" example.test"
    );
    let together = "* QUOTA example.test (MESSAGE 2 40)";
    assert_eq!(roots.find("QUOTA example").unwrap(), together);
    let domain = imap.command("GETQUOTA example.test").ok();
    assert_eq!(domain.find("QUOTA ").unwrap(), together);
    run(daemon, "domain quota example.test");
    imap.command("CREATE Other").ok();
    imap.command("MOVE 1 Other").ok();
    imap.command("STORE 1 +FLAGS (\\Deleted)").ok();
    imap.command("EXPUNGE").ok();
    imap.append("INBOX", "", &letter("now there is room")).ok();
    let shown = run(daemon, "account show user1@example.test");
    assert!(
        shown.contains("1000") && shown.contains("MESSAGES"),
        "{shown}"
    );
}

#[test]
fn lmtp_has_an_answer_for_each_recipient() {
    let house = house("", " --quota-octets 100");
    let mut lmtp = SmtpClient::greeted(Wire::connect(house.daemon.address(Door::Lmtp)).unwrap());
    lmtp.command("LHLO client.test").expect(250);
    lmtp.command("MAIL FROM:<a@elsewhere.test>").expect(250);
    for number in 0..3 {
        lmtp.command(format!("RCPT TO:<{}>", user(number)))
            .expect(250);
    }
    lmtp.command("DATA").expect(354);
    let octets = [&large()[..], b".\r\n"].concat();
    lmtp.wire().send(&octets).unwrap();
    lmtp.reply().expect(250);
    assert_full(&lmtp.reply());
    lmtp.reply().expect(250);
    inbox(&house.daemon, "user0", 1);
    inbox(&house.daemon, "user2", 1);
    let waiting = run(&house.daemon, "queue list");
    assert!(!waiting.contains("user1"), "{waiting}");
    assert_eq!(messages(&mut house.daemon.imap("user1")), 0);
}

#[test]
fn what_finds_a_mailbox_full_waits_and_arrives_when_there_is_room() {
    let house = house("", " --quota-octets 100");
    let daemon = &house.daemon;
    // One of them has room: so it is taken, and the other is tried again.
    daemon.accept(&[&user(0), &user(1)], &large());
    inbox(daemon, "user0", 1);
    until("it says why it waits", LONG, || {
        let waiting = run(daemon, "queue list");
        waiting.contains("user1@example.test") && waiting.contains("452 4.2.2")
    });
    run(daemon, "account quota user1@example.test");
    run(daemon, "queue flush");
    inbox(daemon, "user1", 1);
    until("nothing waits", LONG, || {
        !run(daemon, "queue list").contains("user1")
    });
    assert!(metric(
        daemon,
        "heronry_mailbox_deliveries_total{outcome=\"over_quota\"} 1"
    ));
}

#[test]
fn what_has_waited_too_long_for_room_goes_back_to_its_sender() {
    let house = house("[queue]\nexpire_seconds = 1\n", " --quota-octets 100");
    let daemon = &house.daemon;
    let mut smtp = daemon.smtp();
    smtp.ehlo().expect(250);
    smtp.send(&user(0), &[&user(1), &user(2)], &large())
        .expect(250);
    let mut sender = daemon.imap("user0");
    until("it comes back", LONG, || {
        run(daemon, "queue flush");
        messages(&mut sender) == 1
    });
    sender.command("SELECT INBOX").ok();
    let report = String::from_utf8(sender.fetch_literal("1", "BODY.PEEK[]")).unwrap();
    assert!(report.contains("Status: 5.2.2"), "{report}");
    assert!(report.contains("user1@example.test"), "{report}");
    inbox(daemon, "user2", 1);
}

#[test]
fn all_accounts_of_a_domain_are_limited_together() {
    let house = house("", "");
    let daemon = &house.daemon;
    run(daemon, "domain quota example.test --messages 2");
    daemon.accept(&[&user(0), &user(1)], &letter("for two"));
    inbox(daemon, "user0", 1);
    inbox(daemon, "user1", 1);
    let mut smtp = daemon.smtp();
    smtp.ehlo().expect(250);
    smtp.command("MAIL FROM:<a@elsewhere.test>").expect(250);
    assert_full(&smtp.command(format!("RCPT TO:<{}>", user(2))));
    let said = daemon
        .imap("user2")
        .append("INBOX", "", &letter("no"))
        .tagged;
    assert!(said.starts_with("NO [OVERQUOTA]"), "{said}");
    let shown = run(daemon, "domain show example.test --json");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["quota"]["messages"], 2);
    assert_eq!(shown["holds"]["messages"], 2);
    run(daemon, "domain quota example.test");
    smtp.command(format!("RCPT TO:<{}>", user(2))).expect(250);
}
