//! An account that moves in from a Dovecot: folders, flags and dates come along, octet for octet, and
//! nothing comes twice.

use testkit::{Daemon, Door, Finished, ImapClient, PASSWORD};

use crate::common::{demo, letter};
use crate::dovecot::Dovecot;

#[test]
fn an_account_moves_in_from_a_dovecot_with_folders_flags_and_dates() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&mut dovecot.imap());
    let there = view(&mut dovecot.imap(), ".");
    assert_eq!(there.len(), MANY + 7);
    let daemon = demo().start();
    let said = import(&daemon, &dovecot, 0, &["--starttls"]).ok();
    assert!(said.contains(&format!("{} messages", MANY + 7)), "{said}");
    assert_same(&view(&mut daemon.imap("user0"), "/"), &there);
    let roles = daemon.imap("user0").command("LIST \"\" \"*\"").ok();
    let sent = roles.find("Sent").unwrap();
    assert!(sent.contains("\\Sent"), "{sent}");

    // Under TLS from the first octet, and without it: the same.
    let said = import(&daemon, &dovecot, 1, &[]).ok();
    assert!(said.contains(&format!("{} messages", MANY + 7)), "{said}");
    assert_same(&view(&mut daemon.imap("user1"), "/"), &there);
    let said = import(&daemon, &dovecot, 1, &["--without-tls"]).ok();
    assert!(said.contains("0 messages"), "{said}");
    assert_same(&view(&mut daemon.imap("user1"), "/"), &there);
}

#[test]
fn who_goes_on_using_the_dovecot_brings_only_what_is_new() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let mut old = dovecot.imap();
    fill(&mut old);
    let daemon = demo().start();
    let resume = daemon.folder().join("resume").display().to_string();
    let again = || import(&daemon, &dovecot, 0, &["--resume", &resume]).ok();
    let said = again();
    assert!(said.contains(&format!("{} messages", MANY + 7)), "{said}");
    let said = again();
    assert!(
        said.contains("0 messages with 0 octets brought, 0 there"),
        "{said}"
    );
    old.append("INBOX", r"\Seen", &mail("new")).ok();
    old.append("Sent", "", &mail("new, too")).ok();
    let said = again();
    assert!(said.contains("2 messages"), "{said}");
    // A folder that was made anew has other numbers: it is compared, and nothing is doubled.
    old.command("CREATE Keep").ok();
    for subject in ["one", "two"] {
        old.append("Keep", "", &mail(subject)).ok();
    }
    assert!(again().contains("2 messages"));
    old.command("DELETE Keep").ok();
    old.command("CREATE Keep").ok();
    for subject in ["zero", "two", "one"] {
        old.append("Keep", "", &mail(subject)).ok();
    }
    let said = again();
    assert!(said.contains("1 message "), "{said}");
    let mut imap = daemon.imap("user0");
    let exists = imap.command("EXAMINE Keep").ok().number("EXISTS");
    assert_eq!(exists, Some(3));
}

/// Folders, flags, keywords and dates of every kind, and more messages than are fetched at once.
fn fill(imap: &mut ImapClient) {
    for folder in ["Archive", "Archive.2026", "Entw&APw-rfe", "\"Two words\""] {
        imap.command(format!("CREATE {folder}")).ok();
    }
    let dated = [
        (
            "INBOX",
            r"\Seen \Answered $Forwarded",
            "17-Jul-1996 02:44:25 -0700",
        ),
        ("Archive.2026", r"\Flagged", "29-Feb-2024 23:59:59 +0000"),
        (
            "Archive.2026",
            r"\Deleted NonJunk",
            " 1-Jan-2026 00:00:00 +0100",
        ),
        ("Entw&APw-rfe", r"\Draft", " 9-Sep-2001 01:46:40 +0000"),
        ("\"Two words\"", "", "10-Oct-2010 10:10:10 +1000"),
        ("Sent", r"\Seen", "11-Nov-2011 11:11:11 +0000"),
    ];
    for (number, (folder, flags, date)) in dated.into_iter().enumerate() {
        let message = mail(&format!("dated {number}"));
        let head = format!(
            "APPEND {folder} ({flags}) \"{date}\" {{{}+}}\r\n",
            message.len()
        );
        imap.command([head.as_bytes(), &message].concat()).ok();
    }
    let large = [
        &b"Subject: large\r\n\r\n"[..],
        &b"0123456789abcdef\r\n".repeat(60_000),
    ]
    .concat();
    imap.append("Archive", "", &large).ok();
    for number in 0..MANY {
        imap.append("INBOX", "", &mail(&format!("number {number}")))
            .ok();
    }
}

/// Everything that an account has, folder by folder.
fn view(imap: &mut ImapClient, separator: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let archive = format!("Archive{separator}2026");
    for folder in [
        "INBOX",
        "Archive",
        &archive,
        "Entw&APw-rfe",
        "\"Two words\"",
        "Sent",
    ] {
        imap.command(format!("EXAMINE {folder}")).ok();
        let answer = imap
            .command("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")
            .ok();
        for line in answer.untagged.iter().map(|line| line.text()) {
            let Some((_, rest)) = line.split_once(" FETCH ") else {
                continue;
            };
            let (head, octets) = rest.split_once("BODY[]").unwrap();
            let head = head.replace("\" ", "\"0"); // a day of one digit (RFC 3501 date-day-fixed)
            let mut words: Vec<&str> = head.split([' ', '(', ')']).collect();
            words.retain(|word| *word != r"\Recent" && !word.is_empty());
            words.sort_unstable(); // each server has an order of its own
            let folder = folder.replace(separator, "/");
            seen.push(format!("{folder} {words:?} {octets}"));
        }
    }
    seen
}

/// Some of the messages are too long to be shown.
fn assert_same(ours: &[String], theirs: &[String]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        let begin = |line: &str| line.chars().take(200).collect::<String>();
        assert!(ours == theirs, "{}\n{}", begin(ours), begin(theirs));
    }
}

fn import(daemon: &Daemon, dovecot: &Dovecot, account: usize, more: &[&str]) -> Finished {
    let is_clear = more
        .iter()
        .any(|word| ["--starttls", "--without-tls"].contains(word));
    let door = if is_clear { Door::Imap } else { Door::Imaps };
    let to = format!("user{account}@example.test");
    let port = dovecot.address(door).port().to_string();
    let certificate = dovecot.certificate().display().to_string();
    let words = [
        "import",
        "imap",
        &to,
        "--host",
        "localhost",
        "--port",
        &port,
    ];
    let from = ["--user", "ann", "--trust", &certificate];
    let words = [&words[..], &from, more].concat();
    daemon.command(&words, format!("{PASSWORD}\n").as_bytes())
}

fn mail(subject: &str) -> Vec<u8> {
    letter("a@b.test", "ann@old.test", subject)
}

/// Messages in INBOX besides the others.
const MANY: usize = 130;
