//! Mail on its way into accounts and out of them: backups, Maildirs, mbox files, other servers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use testkit::{Daemon, Door, Finished, Guard, LONG, PASSWORD};

use crate::common::{binary, demo, inbox, letter, messages, user};

#[test]
fn what_is_exported_and_imported_is_the_same_octet_for_octet_with_flags_and_dates() {
    let place = tempfile::tempdir().unwrap();
    let daemon = demo().start();
    fill(&daemon);
    let before = view(&daemon, "user0");
    for (number, form) in [(1, "maildir"), (2, "mbox")] {
        let folder = place.path().join(form).display().to_string();
        let export = ["export", &user(0), &format!("--{form}"), &folder];
        daemon.command(&export, b"").ok();
        let words = ["import", form, &user(number), &folder];
        let said = daemon.command(&words, b"").ok();
        assert!(
            said.contains(&format!("{} messages", before.len())),
            "{said}"
        );
        assert_eq!(view(&daemon, &format!("user{number}")), before, "{form}");
        // Again, and nothing is doubled; neither by another export.
        let said = daemon.command(&words, b"").ok();
        assert!(said.contains("0 messages"), "{said}");
        daemon.command(&export, b"").ok();
        let said = daemon.command(&words, b"").ok();
        assert!(said.contains("0 messages"), "{said}");
        assert_eq!(view(&daemon, &format!("user{number}")), before, "{form}");
    }
    let none = place.path().join("none").display().to_string();
    let wrong = daemon.command(&["import", "maildir", &user(3), &none], b"");
    assert_eq!(wrong.status.code(), Some(1), "{}", wrong.text);
    let folder = place.path().join("maildir").display().to_string();
    let nobody = daemon.command(&["import", "maildir", "nobody@example.test", &folder], b"");
    assert_eq!(nobody.status.code(), Some(1), "{}", nobody.text);
    assert!(nobody.text.contains("does not exist"), "{}", nobody.text);
}

#[test]
fn an_account_comes_from_another_server_with_tls_and_without() {
    let (old, new) = (demo().start(), demo().start());
    fill(&old);
    let before = view(&old, "user0");
    let certificate = fs::read_dir(old.folder().join("tls"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            fs::read_to_string(path)
                .unwrap()
                .contains("BEGIN CERTIFICATE")
        })
        .unwrap();
    let (port, certificate) = (
        old.address(Door::Imap).port().to_string(),
        certificate.display().to_string(),
    );
    let resume = new.folder().join("resume").display().to_string();
    let from = |number: usize, more: &[&str]| -> Finished {
        let to = user(number);
        let words = [
            &[
                "import",
                "imap",
                &to,
                "--host",
                "localhost",
                "--port",
                &port,
                "--user",
            ][..],
            &["user0", "--resume", &resume],
            more,
        ];
        new.command(&words.concat(), format!("{PASSWORD}\n").as_bytes())
    };
    from(0, &["--starttls", "--trust", &certificate]).ok();
    assert_eq!(view(&new, "user0"), before);
    let said = from(0, &["--starttls", "--trust", &certificate]).ok();
    assert!(said.contains("0 messages"), "{said}");
    assert!(
        said.contains("0 there already"),
        "they are not even fetched: {said}"
    );
    let stranger = from(1, &["--starttls"]);
    assert_eq!(stranger.status.code(), Some(3), "{}", stranger.text);
    fs::remove_file(&resume).unwrap();
    from(1, &["--without-tls", "--into", "Old"]).ok();
    let count = messages_in(&new, "user1", "Old/Archive/2026");
    assert_eq!(count, 2);
    let words = [
        "import",
        "imap",
        &user(1),
        "--host",
        "localhost",
        "--port",
        &port,
    ];
    let words = [&words[..], &["--user", "user0", "--without-tls"]].concat();
    let wrong = new.command(&words, b"mistaken-word\n");
    assert_eq!(wrong.status.code(), Some(1), "{}", wrong.text);
    assert!(wrong.text.contains("says to LOGIN: NO"), "{}", wrong.text);
    assert!(!wrong.text.contains("mistaken-word"), "{}", wrong.text);
}

#[test]
fn what_comes_back_from_a_backup_keeps_to_the_limits_of_account_and_domain() {
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let daemon = demo().start();
    fill(&daemon);
    let run = |words: &str| {
        let words: Vec<_> = words.split(' ').collect();
        daemon.command(&words, b"").ok()
    };
    run(&format!("backup {}", backup.display()));
    let mut imap = daemon.imap("user0");
    imap.command("SELECT INBOX").ok();
    imap.command(r"STORE 1:* +FLAGS (\Deleted)").ok();
    imap.command("EXPUNGE").ok();
    imap.command("DELETE Archive/2026").ok();
    let backup = backup.display().to_string();
    let words = ["restore", &backup, "--account", &user(0)];
    let what_fits = [&words[..], &["--what-fits"]].concat();
    let holds = || {
        let shown = run("account show user0@example.test --json");
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["holds"]["messages"].as_u64().unwrap()
    };
    let mut held = 0;
    for (limit, whose) in [
        (
            "account quota user0@example.test --quota-messages 7",
            "user0@example.test",
        ),
        ("domain quota example.test --messages 7", "example.test"),
    ] {
        run(limit);
        // Said beforehand, and nothing was brought, not even a folder.
        let full = daemon.command(&words, b"");
        assert_eq!(full.status.code(), Some(1), "{limit}: {}", full.text);
        for said in [
            "nothing was brought: ",
            &format!("{whose} has room for {} message", 7 - held),
            "--what-fits",
        ] {
            assert!(full.text.contains(said), "{limit}: {}", full.text);
        }
        assert_eq!(holds(), held, "{limit}");
        let folders = daemon.imap("user0").command("LIST \"\" *").ok();
        let has_archive = folders
            .untagged
            .iter()
            .any(|line| line.text().contains("Archive/2026"));
        assert_eq!(has_archive, held > 0, "{limit}");
        let full = daemon.command(&what_fits, b"");
        assert_eq!(full.status.code(), Some(1), "{limit}: {}", full.text);
        assert!(full.text.contains("run it again"), "{limit}: {}", full.text);
        held = holds();
        assert!((1..=7).contains(&held), "{limit}: {held}");
        run("account quota user0@example.test");
    }
    run("domain quota example.test");
    // What there is room for at once is brought without a word about it.
    run("account quota user0@example.test --quota-messages 8");
    daemon.command(&words, b"").ok();
    assert_eq!(view(&daemon, "user0").len(), 8);
    // An account that is gone has the limits that it had: too few for what it held then.
    run("account quota user0@example.test --quota-messages 3");
    run(&format!("backup {backup}"));
    run("account remove user0@example.test");
    let full = daemon.command(&words, b"");
    assert!(
        full.text.contains("has room for 3 messages"),
        "{}",
        full.text
    );
    let gone = daemon.command(&["account", "show", &user(0)], b"");
    assert_eq!(
        gone.status.code(),
        Some(1),
        "it was not made: {}",
        gone.text
    );
}

#[test]
fn imports_at_the_same_time_into_the_same_folder_bring_every_letter_once() {
    let place = tempfile::tempdir().unwrap();
    let daemon = demo().start();
    let new = place.path().join("new");
    for folder in ["new", "cur", "tmp"] {
        fs::create_dir(place.path().join(folder)).unwrap();
    }
    for number in 0..LETTERS {
        // Some are there twice, and stay so.
        let text = letter(&format!("number {}", number - number % 4 / 3));
        fs::write(new.join(format!("{number}.x.y")), text).unwrap();
    }
    let begin = || {
        let mut command = Command::new(binary());
        command
            .args(["import", "maildir", &user(0)])
            .arg(place.path());
        Guard::start(command.arg("--json").arg("--data").arg(daemon.folder()))
    };
    let mut runs: Vec<Guard> = (0..4).map(|_| begin()).collect();
    // Mail comes in meanwhile.
    for number in 0..20 {
        daemon.accept(&[&user(0)], &letter(&format!("meanwhile {number}")));
    }
    let mut brought = 0;
    for run in &mut runs {
        let status = run.wait(LONG);
        let said = run.output().rest();
        assert!(status.success(), "{said}");
        let carried = said.lines().filter(|line| line.contains("\"letters\""));
        let digits = |line: &str| {
            line.chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
        };
        brought += carried
            .map(|line| digits(line).parse::<u32>().unwrap())
            .sum::<u32>();
    }
    assert_eq!(brought, LETTERS);
    inbox(&daemon, "user0", LETTERS + 20);
    assert_eq!(messages(&mut daemon.imap("user0")), LETTERS + 20);
}

#[test]
fn what_is_put_behind_something_that_nobody_looked_at_is_not_kept() {
    let daemon = demo().start();
    let put = |next: u32| {
        let mut operator = UnixStream::connect(daemon.folder().join("operator.sock")).unwrap();
        let request = serde_json::json!({
            "want": "letter_put", "address": user(0), "folder": "INBOX", "next": next,
            "letters": [{ "octets": 2, "flags": [], "date": 0 }],
        });
        operator
            .write_all(format!("{request}\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        BufReader::new(operator).read_line(&mut answer).unwrap();
        answer
    };
    assert!(put(1).contains(r#"{"done":[1]}"#));
    let refused = put(1);
    assert!(refused.contains(r#""kind":"changed""#), "{refused}");
    assert!(put(3).contains(r#""kind":"changed""#));
    assert!(put(2).contains(r#"{"done":[2]}"#));
    assert_eq!(messages(&mut daemon.imap("user0")), 2);
}

#[test]
fn one_account_one_folder_one_message_come_back_from_a_backup_into_the_running_system() {
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let daemon = demo().start();
    fill(&daemon);
    let before = view(&daemon, "user0");
    let taken = ["backup", &backup.display().to_string()];
    daemon.command(&taken, b"").ok();
    let mut imap = daemon.imap("user0");
    imap.command("SELECT INBOX").ok();
    imap.command(r"STORE 1:2 +FLAGS (\Deleted)").ok();
    imap.command("EXPUNGE").ok();
    imap.command("DELETE Archive/2026").ok();
    assert_ne!(messages(&mut daemon.imap("user0")), before.len() as u32);

    let said = restore(
        &daemon,
        &backup,
        &["--message-id", "<second@a.test>", "--into", "Found"],
    );
    assert!(said.contains("1 message "), "{said}");
    assert_eq!(messages_in(&daemon, "user0", "Found/INBOX"), 1);
    imap.command("DELETE Found/INBOX").ok();
    restore(
        &daemon,
        &backup,
        &["--folder", "Archive/2026", "--into", "Again"],
    );
    assert_eq!(messages_in(&daemon, "user0", "Again"), 2);
    imap.command("DELETE Again").ok();
    let said = restore(&daemon, &backup, &[]);
    assert!(said.contains("4 messages"), "{said}");
    assert_eq!(sorted(view(&daemon, "user0")), sorted(before.clone()));
    let said = restore(&daemon, &backup, &[]);
    assert!(said.contains("0 messages"), "{said}");

    // An account that somebody has removed comes back with its password.
    daemon.command(&["account", "remove", &user(0)], b"").ok();
    let said = restore(&daemon, &backup, &[]);
    assert!(said.contains("made anew"), "{said}");
    assert_eq!(view(&daemon, "user0"), before);
    let none = daemon.command(
        &[
            "restore",
            &backup.display().to_string(),
            "--account",
            &user(0),
            "--folder",
            "None",
        ],
        b"",
    );
    assert_eq!(none.status.code(), Some(1), "{}", none.text);
}

fn restore(daemon: &Daemon, backup: &Path, more: &[&str]) -> String {
    let (backup, account) = (backup.display().to_string(), user(0));
    let words = [&["restore", &backup, "--account", &account], more].concat();
    daemon.command(&words, b"").ok()
}

/// Messages that are hard to bring over, with every flag.
fn fill(daemon: &Daemon) {
    let mut imap = daemon.imap("user0");
    imap.command("CREATE Archive/2026").ok();
    for (folder, flags, octets) in [
        ("INBOX", r"\Seen \Answered $Todo", letter("first")),
        (
            "INBOX",
            "",
            b"Message-ID: <second@a.test>\r\n\r\nFrom here\r\n>From\r\n".to_vec(),
        ),
        (
            "INBOX",
            r"\Flagged \Draft Other",
            b"Subject: no end\r\n\r\nhere".to_vec(),
        ),
        ("INBOX", r"$Forwarded", letter("twice")),
        ("INBOX", r"$Forwarded", letter("twice")),
        (
            "INBOX",
            "",
            b"Subject: 8 bit\r\n\r\n\xFF\xFE \x80\r\n.\r\n..\r\n\r\n".to_vec(),
        ),
        (
            "Archive/2026",
            r"\Deleted",
            [b"Subject: large\r\n\r\n".to_vec(), vec![b'x'; 700_000]].concat(),
        ),
        ("Archive/2026", r"\Seen", letter("last")),
    ] {
        imap.append(folder, flags, &octets).ok();
    }
}

/// Everything in both folders: octets, flags and dates.
fn view(daemon: &Daemon, user: &str) -> Vec<String> {
    let mut imap = daemon.imap(user);
    let mut seen = Vec::new();
    for folder in ["INBOX", "Archive/2026"] {
        imap.command(format!("EXAMINE {folder}")).ok();
        let answer = imap
            .command("FETCH 1:* (INTERNALDATE FLAGS BODY.PEEK[])")
            .ok();
        for line in &answer.untagged {
            let text = line.text();
            let Some((_, rest)) = text.split_once(" FETCH ") else {
                continue;
            };
            let rest = rest.replace(" \\Recent", "").replace("\\Recent", "");
            let (flags, octets) = rest.split_once("BODY[]").unwrap();
            let mut words: Vec<&str> = flags.split([' ', '(', ')']).collect();
            words.sort_unstable(); // keywords have the order in which the folder met them
            seen.push(format!("{folder} {words:?} {octets}"));
        }
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
    seen
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn messages_in(daemon: &Daemon, user: &str, folder: &str) -> u32 {
    let mut imap = daemon.imap(user);
    imap.command(format!("EXAMINE {folder}"))
        .ok()
        .number("EXISTS")
        .unwrap()
}

/// More than go in one request.
const LETTERS: u32 = 240;
