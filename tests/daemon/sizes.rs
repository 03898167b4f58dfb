//! Bad input, by size: too many octets, too many recipients, a literal of 4 GiB.

use testkit::{Daemon, Door, ImapClient, peak_growth_octets};

use crate::common::{demo, inbox, letter, user};

#[test]
fn a_message_that_says_that_it_is_too_large_is_refused_at_mail() {
    let daemon = demo().start();
    let limit = size_limit(&daemon);
    let mut smtp = daemon.smtp();
    let refusal = smtp
        .command(format!("MAIL FROM:<a@b.test> SIZE={}", limit + 1))
        .expect(552);
    assert!(refusal.lines[0].starts_with("5.3.4 "), "{refusal}");
    let huge = smtp.command("MAIL FROM:<a@b.test> SIZE=99999999999999999999");
    assert_eq!(huge.code / 100, 5, "{huge}");
    smtp.command("RSET").expect(250);
    smtp.command(format!("MAIL FROM:<a@b.test> SIZE={limit}"))
        .expect(250);
}

#[test]
fn a_message_that_turns_out_too_large_is_refused_and_the_session_goes_on() {
    let daemon = demo().start();
    let limit = size_limit(&daemon);
    let grown = peak_growth_octets(daemon.pid(), || {
        let mut smtp = daemon.smtp();
        smtp.command("MAIL FROM:<a@b.test>").expect(250);
        smtp.command("RCPT TO:<user0@example.test>").expect(250);
        smtp.command("DATA").expect(354);
        let line = [&[b'x'; 998][..], b"\r\n"].concat().repeat(1000);
        for _ in 0..=limit / line.len() as u64 {
            smtp.wire().send(&line).unwrap();
        }
        smtp.wire().send(b".\r\n").unwrap();
        let refusal = smtp.reply().expect(552);
        assert!(refusal.lines[0].starts_with("5.3.4 "), "{refusal}");
        smtp.send("a@b.test", &[&user(0)], &letter("small"))
            .expect(250);
    });
    assert!(
        grown < 64 * MEBI,
        "{limit} octets and more of a message took {grown} octets"
    );
    let mut imap = inbox(&daemon, "user0", 1);
    assert_eq!(
        imap.command("SEARCH ALL").ok().find("SEARCH").unwrap(),
        "* SEARCH 1"
    );
}

#[test]
fn of_ten_thousand_recipients_those_within_the_limit_are_served() {
    let daemon = demo().start();
    let mut accepted = 0;
    let grown = peak_growth_octets(daemon.pid(), || {
        let mut smtp = daemon.smtp();
        smtp.command("MAIL FROM:<a@b.test>").expect(250);
        for number in 0..10_000 {
            let reply = smtp.command(format!(
                "RCPT TO:<user{}+{number}@example.test>",
                number % 10
            ));
            match reply.code {
                250 => accepted += 1,
                452 => assert!(reply.lines[0].starts_with("4.5.3 "), "{reply}"),
                _ => panic!("recipient {number}: {reply}"),
            }
        }
        smtp.command("DATA").expect(354);
        smtp.wire()
            .send(&[&letter("to thousands")[..], b".\r\n"].concat())
            .unwrap();
        smtp.reply().expect(250);
    });
    assert!(
        accepted >= 100,
        "at least a hundred are taken (RFC 5321 §4.5.3.1.8): {accepted}"
    );
    assert!(grown < 64 * MEBI, "10,000 recipients took {grown} octets");
    inbox(&daemon, "user0", 1);
    inbox(&daemon, "user9", 1);
}

#[test]
fn a_literal_of_four_gibibytes_is_refused_before_it_is_read() {
    let daemon = demo().start();
    drop(daemon.imap("user0")); // a first login takes 19 MiB, for its hash
    let grown = peak_growth_octets(daemon.pid(), || {
        for octets in ["4294967296", "4294967295", "18446744073709551616"] {
            let mut imap = daemon.imap("user0");
            for command in ["APPEND INBOX", "CREATE", "SEARCH SUBJECT", "LOGIN"] {
                let tag = imap
                    .start(format!("{command} {{{octets}}}").as_bytes())
                    .unwrap();
                let answer = imap.finish(&tag).unwrap();
                let refused = answer.tagged.starts_with("NO") || answer.tagged.starts_with("BAD");
                assert!(refused, "{command} {{{octets}}}: {}", answer.tagged);
                assert!(answer.untagged.iter().all(|one| !one.raw.starts_with(b"+")));
            }
            imap.command("NOOP").ok();
        }
    });
    assert!(
        grown < 64 * MEBI,
        "a literal's announcement took {grown} octets"
    );
}

#[test]
fn a_literal_of_four_gibibytes_that_does_not_wait_ends_the_connection_or_is_refused() {
    let daemon = demo().start();
    let grown = peak_growth_octets(daemon.pid(), || {
        for before_login in [true, false] {
            let mut imap = ImapClient::connect(daemon.address(Door::Imap));
            if !before_login {
                imap.login("user0", "secret");
            }
            let _ = imap.start(b"APPEND INBOX {4294967296+}");
            let chunk = vec![b'x'; 1024 * 1024];
            for _ in 0..64 {
                if imap.wire().send(&chunk).is_err() {
                    break; // closed, as it may be (RFC 7888 §4)
                }
            }
        }
    });
    assert!(
        grown < 64 * MEBI,
        "128 MiB of a literal nobody wants took {grown} octets"
    );
    daemon.imap("user0").command("NOOP").ok();
}

#[test]
fn a_stranger_cannot_make_the_server_keep_a_large_literal_before_login() {
    let daemon = demo().start();
    let mut imap = ImapClient::connect(daemon.address(Door::Imap));
    let tag = imap.start(b"LOGIN {10485760}").unwrap();
    let answer = imap.finish(&tag).unwrap();
    assert!(
        !answer.is_ok() && answer.untagged.is_empty(),
        "{}",
        answer.tagged
    );
}

#[test]
fn a_message_of_ten_mebibytes_comes_out_as_it_went_in() {
    let daemon = demo().start();
    let mut sent = b"Subject: large\r\n\r\n".to_vec();
    for number in 0..160_000 {
        sent.extend_from_slice(format!("{number:064}\r\n").as_bytes());
    }
    let grown = peak_growth_octets(daemon.pid(), || daemon.accept(&[&user(1)], &sent));
    let mut imap = inbox(&daemon, "user1", 1);
    assert!(imap.fetch_literal("1", "BODY.PEEK[]").ends_with(&sent));
    let part = imap.fetch_literal("1", "BODY.PEEK[TEXT]<5000000.1000>");
    let start = b"Subject: large\r\n\r\n".len() + 5_000_000;
    assert_eq!(part, &sent[start..start + 1000]);
    assert!(grown < 64 * MEBI, "a message of 10 MiB took {grown} octets");
}

fn size_limit(daemon: &Daemon) -> u64 {
    let offers = testkit::SmtpClient::connect(daemon.address(Door::Smtp)).ehlo();
    let size = offers
        .lines
        .iter()
        .find_map(|line| line.strip_prefix("SIZE "));
    size.and_then(|size| size.parse().ok())
        .unwrap_or_else(|| panic!("no SIZE: {offers}"))
}

const MEBI: u64 = 1024 * 1024;
