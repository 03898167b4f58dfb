//! Bad input, line by line: unknown commands, overlong lines, bare CR and LF, NUL.

use testkit::{Daemon, Door, ImapClient, Pop3Client, SmtpClient, peak_growth_octets};

use crate::common::{demo, inbox, letter, user};

#[test]
fn an_unknown_command_is_refused_and_the_session_goes_on() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    for line in [
        "FROBNICATE",
        "",
        "   ",
        "250 OK",
        "MAIL",
        "MAIL FROM",
        "GET / HTTP/1.1",
        "\u{fe0f}",
    ] {
        let reply = smtp.command(line);
        assert!(matches!(reply.code, 500..=503), "{line:?}: {reply}");
    }
    smtp.command("NOOP").expect(250);

    let mut imap = daemon.imap("user0");
    for line in [
        "FROBNICATE",
        "",
        "FETCH",
        "FETCH 1 FLAGS",
        "UID FROBNICATE 1",
        "STORE 1 (",
    ] {
        let answer = imap.command(line);
        assert!(
            answer.tagged.starts_with("BAD"),
            "{line:?}: {}",
            answer.tagged
        );
    }
    imap.command("NOOP").ok();

    let mut pop3 = daemon.pop3("user0");
    for line in [
        "FROBNICATE",
        "",
        "RETR",
        "RETR -1",
        "RETR 99999999999999999999",
        "TOP 1",
    ] {
        let answer = pop3.command(line);
        assert!(answer.starts_with("-ERR"), "{line:?}: {answer}");
    }
    pop3.ok("NOOP");
}

#[test]
fn an_overlong_command_line_costs_a_refusal_and_no_memory() {
    let daemon = demo().start();
    let grown = peak_growth_octets(daemon.pid(), || {
        let endless = vec![b'a'; 16 * MEBI];
        let mut smtp = SmtpClient::connect(daemon.address(Door::Smtp));
        let mut imap = ImapClient::connect(daemon.address(Door::Imap));
        let mut pop3 = Pop3Client::connect(daemon.address(Door::Pop3));
        for wire in [smtp.wire(), imap.wire(), pop3.wire()] {
            // Refused once, or closed in the middle: both bound what is kept.
            if wire
                .send(&endless)
                .and_then(|()| wire.send(b"\r\n"))
                .is_ok()
            {
                let line = wire
                    .line()
                    .map(|line| String::from_utf8_lossy(&line).into_owned());
                let refusals = ["500 ", "554 ", "421 ", "* BYE", "-ERR"];
                let refused = |line: &String| {
                    line.contains(" BAD ") || refusals.iter().any(|said| line.starts_with(said))
                };
                assert!(line.as_ref().map_or(true, refused), "{line:?}");
            }
        }
    });
    assert!(
        grown < 24 * MEBI as u64,
        "48 MiB of line took {grown} octets"
    );
    daemon.smtp().command("NOOP").expect(250);
}

#[test]
fn a_command_line_a_little_too_long_is_refused_and_the_session_goes_on() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    smtp.command(format!("NOOP {}", "x".repeat(4000)))
        .expect(500);
    smtp.command("NOOP").expect(250);
    smtp.send("a@b.test", &[&user(0)], &letter("still here"))
        .expect(250);
}

#[test]
fn an_overlong_line_inside_a_message_arrives_whole_or_is_refused_whole() {
    let daemon = demo().start();
    let mut sent = b"Subject: long\r\n\r\n".to_vec();
    sent.extend(std::iter::repeat_n(b'x', MEBI));
    sent.extend_from_slice(b"\r\n");
    let mut smtp = daemon.smtp();
    let reply = smtp.send("a@b.test", &[&user(1)], &sent);
    match reply.code {
        250 => {
            let mut imap = inbox(&daemon, "user1", 1);
            assert!(imap.fetch_literal("1", "BODY.PEEK[]").ends_with(&sent));
        }
        code => assert_eq!(code / 100, 5, "{reply}"),
    }
    smtp.command("NOOP").expect(250);
}

#[test]
fn a_bare_line_feed_or_carriage_return_ends_no_command() {
    let daemon = demo().start();
    for inside in [
        "NOOP\nRSET",
        "NOOP\rRSET",
        "MAIL FROM:<a@b.test>\nRCPT TO:<user0@example.test>",
    ] {
        let mut smtp = daemon.smtp();
        let reply = smtp.command(inside);
        assert_eq!(reply.code / 100, 5, "{inside:?}: {reply}");
        // One line was sent and one reply came: the session answers in step, and obeyed nothing.
        smtp.command("RCPT TO:<user0@example.test>").expect(503);
        smtp.command("MAIL FROM:<a@b.test>").expect(250);
    }
}

#[test]
fn a_nul_in_a_command_is_refused_and_the_session_goes_on() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    let before: &[&[u8]] = &[
        b"NOOP\0",
        b"\0",
        b"MAIL FROM:<a\0@b.test>",
        b"EHLO a\0b.test",
    ];
    for line in before {
        let reply = smtp.command(line);
        assert_eq!(reply.code / 100, 5, "{line:?}: {reply}");
    }
    smtp.command("NOOP").expect(250);

    let mut imap = ImapClient::connect(daemon.address(Door::Imap));
    let answer = imap.command(b"LOGIN user0 sec\0ret");
    assert!(!answer.is_ok(), "{}", answer.tagged);
    imap.login("user0", "secret");
    assert!(!imap.command(b"CREATE a\0b").is_ok());
    imap.command("NOOP").ok();

    let mut pop3 = Pop3Client::connect(daemon.address(Door::Pop3));
    let answer = pop3.command("USER user0\0");
    let refused = answer.starts_with("-ERR") || pop3.command("PASS secret").starts_with("-ERR");
    assert!(refused, "{answer}");
}

#[test]
fn a_nul_inside_a_message_arrives_as_it_is_or_is_refused_whole() {
    let daemon = demo().start();
    let sent = b"Subject: nul\r\n\r\na\0b\r\n";
    let mut smtp = daemon.smtp();
    let reply = smtp.send("a@b.test", &[&user(2)], sent);
    match reply.code {
        250 => {
            let mut pop3 = crate::common::maildrop(&daemon, "user2", 1);
            assert!(pop3.lines("RETR 1").ends_with(sent));
        }
        code => assert_eq!(code / 100, 5, "{reply}"),
    }
    smtp.command("NOOP").expect(250);
}

#[test]
fn random_octets_end_no_daemon() {
    let daemon = demo().start();
    let doors = [
        Door::Smtp,
        Door::Lmtp,
        Door::Submission,
        Door::Imap,
        Door::Pop3,
        Door::Http,
    ];
    let secured = [Door::Submissions, Door::Imaps, Door::Pop3s];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..20 {
        for door in doors.into_iter().chain(secured) {
            let noise: Vec<u8> = (0..2000)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1 + round);
                    (state >> 56) as u8
                })
                .collect();
            let mut wire = testkit::Wire::connect(daemon.address(door)).unwrap();
            let _ = wire.send(&noise).and_then(|()| wire.send(b"\r\n"));
        }
    }
    everything_answers(&daemon);
}

fn everything_answers(daemon: &Daemon) {
    daemon.smtp().command("NOOP").expect(250);
    daemon.imap("user0").command("NOOP").ok();
    daemon.pop3("user0").ok("NOOP");
    daemon.metrics();
}

const MEBI: usize = 1024 * 1024;
