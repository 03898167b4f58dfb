//! Backups of a running system, and systems brought back from them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testkit::{Daemon, Finished, LONG, finish, until};

use crate::common::{binary, demo, inbox, letter, messages, user};

#[test]
fn a_system_is_backed_up_while_it_runs_and_brought_back_whole() {
    let place = tempfile::tempdir().unwrap();
    let (backup, new) = (place.path().join("backup"), place.path().join("new"));
    let daemon = demo().argument("--trust").argument("127.0.0.0/8").start();
    fill(&daemon);
    let limits = ["domain", "quota", "example.test", "--octets", "90000000"];
    daemon.command(&limits, b"").ok();
    assert_eq!(last_taken(&daemon), 0.0, "never");
    let first = take(&daemon, &backup, &[]);
    assert_eq!(first["shared"], 0);
    let taken = last_taken(&daemon);
    assert!(taken > 1.7e9, "{taken}");
    // A start begins a new segment: what was there before is sealed now, and is not copied again.
    let daemon = daemon.terminate().1.start();
    assert_eq!(last_taken(&daemon), taken, "a start does not forget it");
    let second = take(&daemon, &backup, &[]);
    let daemon = daemon.terminate().1.start();
    let third = under_load(&daemon, || take(&daemon, &backup, &[]));
    assert!(
        third["shared"].as_u64() > second["shared"].as_u64(),
        "{third}"
    );
    let listed = heronry(&["backup", "list"], &backup, &["--json"]).ok();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    heronry(&["backup", "verify"], &backup, &["--all"]).ok();
    let open = open_to_others(&backup);
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(left_in(&daemon), 0);

    // The middle one is removed, and neither of the others misses it.
    fs::remove_dir_all(backup.join(second["state"].as_str().unwrap())).unwrap();
    let before = view(&daemon);
    let when = third["state"].as_str().unwrap();
    let restored = restore(&backup, &new, &["--state", when]);
    let report: serde_json::Value = serde_json::from_str(&restored.ok()).unwrap();
    assert_eq!(report["damage"].as_array().unwrap().len(), 0, "{report}");
    assert!(report["queued"].as_u64() >= Some(1), "{report}");
    let again = demo().data(&new).start();
    assert_eq!(view(&again), before);
    let domain = again.command(&["domain", "show", "example.test", "--json"], b"");
    let domain: serde_json::Value = serde_json::from_str(&domain.ok()).unwrap();
    assert_eq!(domain["quota"]["octets"], 90_000_000, "limits come back");
    assert!(
        domain["holds"]["octets"].as_u64() > Some(700_000),
        "{domain}"
    );
    assert_eq!(
        last_taken(&again),
        0.0,
        "of the new system there is no backup"
    );
    let queue = again.command(&["queue", "list"], b"").ok();
    assert!(queue.contains("far@remote.test"), "{queue}");
    again.accept(&[&user(0)], &letter("after"));
    inbox(&again, "user0", FIRST + 1);

    let over = restore(&backup, &new, &[]);
    assert_eq!(over.status.code(), Some(2), "{}", over.text);
    assert!(over.text.contains("is not empty"), "{}", over.text);
    let kept = take(&daemon, &backup, &["--keep", "1"]);
    assert_eq!(kept["removed"].as_array().unwrap().len(), 2, "{kept}");
    heronry(&["backup", "verify"], &backup, &[]).ok();
}

#[test]
fn a_system_that_does_not_run_is_backed_up_too() {
    let place = tempfile::tempdir().unwrap();
    let (backup, new) = (place.path().join("backup"), place.path().join("new"));
    let daemon = demo().start();
    fill(&daemon);
    let before = view(&daemon);
    let recipe = daemon.kill9();
    let data = recipe.folder().display().to_string();
    heronry(&["backup"], &backup, &["--data", &data]).ok();
    restore(&backup, &new, &[]).ok();
    assert_eq!(view(&demo().data(&new).start()), before);
    let daemon = recipe.start();
    assert!(last_taken(&daemon) > 1.7e9, "it is seen when it runs again");
    assert_eq!(view(&daemon), before);
}

#[test]
fn damage_in_a_backup_is_named_and_never_put_back() {
    let place = tempfile::tempdir().unwrap();
    let (backup, new) = (place.path().join("backup"), place.path().join("new"));
    let daemon = demo().start();
    fill(&daemon);
    let taken = take(&daemon, &backup, &[]);
    let journal = backup
        .join(taken["state"].as_str().unwrap())
        .join("data/journal");
    let segment = fs::read_dir(journal)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut octets = fs::read(&segment).unwrap();
    octets[5000] ^= 1;
    fs::write(&segment, octets).unwrap();
    let verified = heronry(&["backup", "verify"], &backup, &[]);
    assert_eq!(verified.status.code(), Some(4), "{}", verified.text);
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(verified.text.contains(name), "{}", verified.text);
    let restored = restore(&backup, &new, &[]);
    assert_eq!(restored.status.code(), Some(4), "{}", restored.text);
    // What is half restored is no data folder, and says so.
    let checked = finish(
        Command::new(binary())
            .args(["store", "check", "--data"])
            .arg(&new),
        b"",
    );
    assert_eq!(checked.status.code(), Some(1), "{}", checked.text);
    assert!(
        checked.text.contains("is being restored"),
        "{}",
        checked.text
    );
}

#[test]
fn whoever_leaves_in_the_middle_of_a_backup_leaves_nothing_behind() {
    let daemon = demo().start();
    fill(&daemon);
    let socket = daemon.folder().join("operator.sock");
    let mut operator = BufReader::new(UnixStream::connect(socket).unwrap());
    operator
        .get_mut()
        .write_all(b"{\"want\":\"snapshot_take\"}\n")
        .unwrap();
    let mut answer = String::new();
    operator.read_line(&mut answer).unwrap();
    assert!(answer.contains("journal/0000000001.seg"), "{answer}");
    assert_eq!(left_in(&daemon), 1);
    drop(operator);
    until("the snapshot is gone", LONG, || left_in(&daemon) == 0);
}

/// When the last good state was taken, as those who watch see it.
fn last_taken(daemon: &Daemon) -> f64 {
    let metrics = daemon.metrics();
    let name = "heronry_backup_taken_timestamp_seconds ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

/// Some of everything: mail in folders with flags, mail that waits, an account of its own.
fn fill(daemon: &Daemon) {
    for number in 0..FIRST {
        daemon.accept(&[&user(0)], &letter(&format!("number {number}")));
    }
    let mut imap = inbox(daemon, "user0", FIRST);
    imap.command("CREATE Archive/2026").ok();
    imap.append("Archive/2026", r"\Flagged $Todo", &vec![b'x'; 700_000])
        .ok();
    imap.command(r"STORE 1:2 +FLAGS (\Answered)").ok();
    // Without trust it is refused, which is as well.
    let _reply = daemon
        .smtp()
        .send("user0@example.test", &["far@remote.test"], &letter("out"));
}

/// Runs something while mail comes in all the time.
fn under_load<T>(daemon: &Daemon, run: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    let mut smtp = daemon.smtp();
    thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                smtp.send("someone@elsewhere.test", &[&user(1)], &letter("load"))
                    .expect(250);
            }
        });
        until("mail comes in", LONG, || {
            messages(&mut daemon.imap("user1")) > 5
        });
        let done = run();
        stop.store(true, Ordering::Relaxed);
        done
    })
}

/// What user0 sees, octets, flags and dates.
fn view(daemon: &Daemon) -> Vec<String> {
    let mut imap = daemon.imap("user0");
    let mut seen = Vec::new();
    for folder in ["INBOX", "Archive/2026"] {
        imap.command(format!("EXAMINE {folder}")).ok();
        let answer = imap
            .command("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")
            .ok();
        let lines = answer.untagged.iter().map(|line| line.text());
        seen.extend(lines.filter(|line| line.contains("FETCH")));
    }
    assert!(seen.len() > FIRST as usize, "{seen:?}");
    seen
}

fn take(daemon: &Daemon, backup: &Path, words: &[&str]) -> serde_json::Value {
    let backup = backup.display().to_string();
    let words = [&["backup", &backup, "--json"], words].concat();
    let answer = daemon.command(&words, b"").ok();
    let end = answer.find("\n}").map_or(answer.len(), |end| end + 2);
    serde_json::from_str(&answer[..end]).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn heronry(words: &[&str], backup: &Path, more: &[&str]) -> Finished {
    finish(
        Command::new(binary()).args(words).arg(backup).args(more),
        b"",
    )
}

fn restore(backup: &Path, to: &Path, words: &[&str]) -> Finished {
    let to = to.display().to_string();
    let mut done = heronry(
        &["restore"],
        backup,
        &[words, &["--json", "--data", &to]].concat(),
    );
    if let Some(end) = done.text.find("\n}") {
        done.text.truncate(end + 2); // the progress follows
    }
    done
}

/// Second names that are left in the data folder.
fn left_in(daemon: &Daemon) -> usize {
    fs::read_dir(daemon.folder().join("snapshot")).map_or(0, Iterator::count)
}

/// Whatever somebody else could read.
fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let mut open = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let found = fs::metadata(&path).unwrap();
        if found.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        if found.permissions().mode() & 0o077 != 0 {
            open.push(path);
        }
    }
    open
}

/// Messages that user0 has in the INBOX at first.
const FIRST: u32 = 4;
