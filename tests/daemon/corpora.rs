//! Others' messages: in by SMTP (or APPEND), out by IMAP and POP3 octet for octet.

use testkit::{Daemon, ImapClient, Letter, corpora, crlf};

use crate::common::{after_trace, demo, inbox, maildrop, user};

#[test]
fn every_message_of_the_corpora_comes_out_octet_for_octet() {
    let letters = corpora();
    if letters.is_empty() {
        return;
    }
    let daemon = demo().start();
    let mut appended = Vec::new();
    let mut sent = Vec::new();
    let mut smtp = daemon.smtp();
    for letter in letters {
        let lines = crlf(&letter.octets);
        let reply = smtp.send("a@b.test", &[&user(0)], &lines);
        let refusable = bare_carriage_return(&lines) || lines.contains(&0);
        match reply.code {
            250 => sent.push((letter.name, ended(lines))),
            code => {
                assert!(code / 100 == 5 && refusable, "{}: {reply}", letter.name);
                appended.push(letter);
            }
        }
    }
    assert!(
        sent.len() >= 480,
        "most messages are fit for SMTP: {}",
        sent.len()
    );
    read_by_imap(&daemon, &sent);
    read_by_pop3(&daemon, &sent);
    append(&daemon, &appended);
}

#[test]
fn every_message_of_the_corpora_has_an_envelope_and_a_structure() {
    let letters = corpora();
    if letters.is_empty() {
        return;
    }
    let daemon = demo().start();
    let mut imap = daemon.imap("user1");
    let fit: Vec<Letter> = letters.into_iter().filter(appendable).collect();
    for letter in &fit {
        let answer = imap.append("INBOX", "", &letter.octets);
        assert!(answer.is_ok(), "{}: {}", letter.name, answer.tagged);
    }
    imap.command("SELECT INBOX").ok();
    for (number, letter) in (1..).zip(&fit) {
        let fetch = format!("FETCH {number} (ENVELOPE BODY BODYSTRUCTURE RFC822.SIZE)");
        let answer = imap.command(&fetch);
        assert!(answer.is_ok(), "{}: {}", letter.name, answer.tagged);
        let text = answer
            .find("FETCH")
            .unwrap_or_else(|| panic!("{}: nothing", letter.name));
        assert!(
            text.contains("ENVELOPE (") && text.contains("BODYSTRUCTURE ("),
            "{text}"
        );
        assert!(balanced(&answer.untagged[0].raw), "{}: {text}", letter.name);
        let size = format!("RFC822.SIZE {}", letter.octets.len());
        assert!(
            text.contains(&size),
            "{}: {size} is not in {text}",
            letter.name
        );
        every_part_is_served(&mut imap, number, &letter.name);
    }
}

fn read_by_imap(daemon: &Daemon, sent: &[(String, Vec<u8>)]) {
    let mut imap = inbox(daemon, "user0", sent.len() as u32);
    for (number, (_, octets)) in (1..).zip(sent) {
        after_trace(
            &imap.fetch_literal(&format!("{number}"), "BODY.PEEK[]"),
            octets,
        );
        let fetch = format!("FETCH {number} (ENVELOPE BODYSTRUCTURE)");
        imap.command(fetch).ok();
    }
}

fn read_by_pop3(daemon: &Daemon, sent: &[(String, Vec<u8>)]) {
    let mut pop3 = maildrop(daemon, "user0", sent.len());
    for (number, (_, octets)) in (1..).zip(sent) {
        after_trace(&pop3.lines(&format!("RETR {number}")), octets);
    }
}

/// What SMTP may not carry goes in by APPEND.
fn append(daemon: &Daemon, letters: &[Letter]) {
    let mut imap = daemon.imap("user2");
    let mut kept = Vec::new();
    for letter in letters {
        let answer = imap.append("INBOX", "", &letter.octets);
        if answer.is_ok() {
            kept.push(letter);
        } else {
            assert!(!appendable(letter), "{}: {}", letter.name, answer.tagged);
        }
    }
    imap.command("SELECT INBOX").ok();
    for (number, letter) in (1..).zip(kept) {
        let fetched = imap.fetch_literal(&format!("{number}"), "BODY.PEEK[]");
        assert!(
            fetched == letter.octets,
            "{} came out differently",
            letter.name
        );
    }
}

/// APPEND takes every message, but neither one without an octet nor one with NUL (RFC 3501 §9).
fn appendable(letter: &Letter) -> bool {
    !letter.octets.is_empty() && !letter.octets.contains(&0)
}

/// Asks for some parts, those that are there and those that are not: each is answered.
fn every_part_is_served(imap: &mut ImapClient, number: u32, name: &str) {
    let items = "BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2.1] \
                 BODY.PEEK[1.2.HEADER] BODY.PEEK[3]<10.20>";
    let answer = imap.command(format!("FETCH {number} ({items})"));
    assert!(answer.is_ok(), "{name}: {}", answer.tagged);
}

/// Whether every parenthesis outside strings and literals is closed.
fn balanced(raw: &[u8]) -> bool {
    let mut depth = 0_i32;
    let mut octets = raw.iter();
    let mut quoted = false;
    while let Some(octet) = octets.next() {
        match (octet, quoted) {
            (b'\\', true) => drop(octets.next()),
            (b'"', _) => quoted = !quoted,
            (b'(', false) => depth += 1,
            (b')', false) => depth -= 1,
            (b'{', false) => {
                let length: Vec<u8> = octets
                    .by_ref()
                    .take_while(|&&octet| octet != b'}')
                    .copied()
                    .collect();
                let length: usize = String::from_utf8(length).unwrap().parse().unwrap_or(0);
                octets = octets
                    .as_slice()
                    .get(length + 2..)
                    .unwrap_or_default()
                    .iter();
            }
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !quoted
}

fn bare_carriage_return(lines: &[u8]) -> bool {
    lines
        .iter()
        .enumerate()
        .any(|(at, &octet)| octet == b'\r' && lines.get(at + 1) != Some(&b'\n'))
}

/// As DATA ends a message: with the end of a line.
fn ended(mut lines: Vec<u8>) -> Vec<u8> {
    if !lines.is_empty() && !lines.ends_with(b"\r\n") {
        lines.extend_from_slice(b"\r\n");
    }
    lines
}
