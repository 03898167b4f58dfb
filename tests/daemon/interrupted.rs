//! Long commands that are killed in the middle, at several points: they are run again, go on where they
//! were, and at the end everything is there once.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use testkit::{Daemon, Door, Finished, Guard, LONG, PASSWORD, finish, until};

use crate::common::{binary, demo, letter, user};

#[test]
fn a_backup_that_is_killed_at_any_point_goes_on_and_leaves_nothing_in_its_way() {
    let place = tempfile::tempdir().unwrap();
    let (backup, new) = (place.path().join("backup"), place.path().join("new"));
    let daemon = filled();
    let before = view(&daemon, "user0");
    for tenth in [0, 2, 5, 8] {
        let slowly = ["--octets-per-second", "2000000"];
        let mut run = begin(&["backup"], &backup, &slowly, daemon.folder());
        let unfinished = backup.join("unfinished");
        until(format!("{tenth} tenths are copied"), LONG, || {
            unfinished.exists() && octets_in(&unfinished) * 10 >= OCTETS * tenth
        });
        kill_in_the_middle(&mut run);
        until("the second names are gone", LONG, || {
            fs::read_dir(daemon.folder().join("snapshot")).map_or(0, Iterator::count) == 0
        });
        let states = command(&["backup", "list"], &backup, &["--json"]).ok();
        assert_eq!(states.trim(), "[]", "what is not whole is no state");
    }
    let taken = finish_json(command(&["backup"], &backup, &reach(daemon.folder())));
    assert!(taken["shared"].as_u64() > Some(0), "it goes on: {taken}");
    assert!(!backup.join("unfinished").exists());
    command(&["backup", "verify"], &backup, &["--all"]).ok();
    command(&["restore"], &backup, &reach(&new)).ok();
    assert_eq!(view(&demo().data(&new).start(), "user0"), before);
}

#[test]
fn a_restore_that_is_killed_at_any_point_is_no_system_and_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let (backup, new) = (place.path().join("backup"), place.path().join("new"));
    let daemon = filled();
    let before = view(&daemon, "user0");
    command(&["backup"], &backup, &reach(daemon.folder())).ok();
    for tenth in [0, 2, 5, 8] {
        let slowly = ["--octets-per-second", "2000000"];
        let mut run = begin(&["restore"], &backup, &slowly, &new);
        until(format!("{tenth} tenths are copied"), LONG, || {
            new.join("restoring").exists() && octets_in(&new) * 10 >= OCTETS * tenth
        });
        kill_in_the_middle(&mut run);
        // In its first moment it does not even look like one.
        let checked = command(&["store", "check", "--data"], &new, &[]);
        assert!(!checked.status.success(), "{}", checked.text);
        let said = ["is being restored", "is no data folder"];
        let is_said = said.iter().any(|said| checked.text.contains(said));
        assert!(is_said, "{}", checked.text);
    }
    // All files are there, and are being looked at.
    let mut run = begin(&["restore"], &backup, &[], &new);
    until("all files are there", LONG, || {
        !new.join("restoring").exists()
    });
    run.kill9();
    if new.join("restored-unchecked").exists() {
        let said = command(&["restore"], &backup, &reach(&new)).ok();
        assert!(said.contains("\"damage\": []"), "{said}");
    }
    let over = command(&["restore"], &backup, &reach(&new));
    assert_eq!(over.status.code(), Some(2), "{}", over.text);
    assert_eq!(view(&demo().data(&new).start(), "user0"), before);
}

#[test]
fn an_import_that_is_killed_at_any_point_goes_on_and_doubles_nothing() {
    let (old, new) = (filled(), demo().start());
    let before = view(&old, "user0");
    let server = old.address(Door::Imap);
    let all = Narrow::before(server, u64::MAX);
    import(&new, 9, all.address, &[]).ok();
    assert_eq!(view(&new, "user9"), before);
    let octets = all.passed.load(Ordering::Relaxed);
    for number in 0..6 {
        let resume = new.folder().join(format!("resume{number}"));
        let resume = ["--resume".to_owned(), text(&resume)];
        let more: &[String] = if number % 2 == 0 { &[] } else { &resume };
        let narrow = Narrow::before(server, octets * number / 6 + 60);
        let account = number as usize;
        let mut run = begin_import(&new, account, narrow.address, more);
        until("nothing more comes", LONG, || {
            narrow.is_shut.load(Ordering::Relaxed)
        });
        kill_in_the_middle(&mut run);
        import(
            &new,
            account,
            Narrow::before(server, u64::MAX).address,
            more,
        )
        .ok();
        let user = format!("user{account}");
        assert_eq!(view(&new, &user), before, "after {number} sixths");
        let said = import(&new, account, server, &[]).ok();
        assert!(said.contains("0 messages"), "{said}");
    }
}

/// A system with mail in several segments of its journal.
fn filled() -> Daemon {
    let mut daemon = demo().start();
    for round in 0..3 {
        let mut imap = daemon.imap("user0");
        let large = vec![b'a' + round; 900_000];
        let subject = format!("Subject: large {round}\r\n\r\n").into_bytes();
        imap.append("INBOX", r"\Flagged", &[subject, large].concat())
            .ok();
        for number in 0..60 {
            imap.append("INBOX", "", &letter(&format!("{round} {number}")))
                .ok();
        }
        if round == 1 {
            imap.command("CREATE Old").ok();
            imap.append("Old", r"\Seen", &letter("twice")).ok();
            imap.append("Old", r"\Seen", &letter("twice")).ok();
        }
        drop(imap);
        // A start begins a new segment: what was there before is sealed.
        daemon = daemon.terminate().1.start();
    }
    daemon
}

/// Everything in both folders: octets, flags and dates.
fn view(daemon: &Daemon, user: &str) -> Vec<String> {
    let mut imap = daemon.imap(user);
    let mut seen = Vec::new();
    for folder in ["INBOX", "Old"] {
        imap.command(format!("EXAMINE {folder}")).ok();
        let items = "FETCH 1:* (INTERNALDATE FLAGS BODY.PEEK[])";
        let answer = imap.command(items).ok();
        for line in answer.untagged.iter().map(|line| line.text()) {
            if line.contains(" FETCH ") {
                let line = line.replace(" \\Recent", "").replace("\\Recent", "");
                seen.push(format!("{folder} {line}"));
            }
        }
    }
    assert_eq!(seen.len(), 3 * 61 + 2);
    seen
}

fn begin(words: &[&str], folder: &Path, more: &[&str], data: &Path) -> Guard {
    let mut command = Command::new(binary());
    command.args(words).arg(folder).args(more);
    Guard::start(command.arg("--data").arg(data))
}

/// Kills a command that is at work.
fn kill_in_the_middle(run: &mut Guard) {
    let ended = run.ended();
    assert_eq!(ended, None, "it was too fast: {}", run.output().so_far());
    run.kill9();
}

fn command(words: &[&str], folder: &Path, more: &[&str]) -> Finished {
    let mut command = Command::new(binary());
    finish(command.args(words).arg(folder).args(more), b"")
}

fn reach(data: &Path) -> [&str; 3] {
    ["--json", "--data", data.to_str().unwrap()]
}

fn finish_json(done: Finished) -> serde_json::Value {
    let said = done.ok();
    let end = said.find("\n}").map_or(said.len(), |end| end + 2);
    serde_json::from_str(&said[..end]).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn begin_import(to: &Daemon, account: usize, from: SocketAddr, more: &[String]) -> Guard {
    let password = to.folder().join("password");
    fs::write(&password, PASSWORD).unwrap();
    let mut command = Command::new(binary());
    command
        .args(["import", "imap", &user(account), "--without-tls"])
        .args(["--host", &from.ip().to_string(), "--user", "user0"])
        .args(["--port", &from.port().to_string(), "--password-file"])
        .arg(password)
        .args(more);
    Guard::start(command.arg("--data").arg(to.folder()))
}

fn import(to: &Daemon, account: usize, from: SocketAddr, more: &[String]) -> Finished {
    let mut run = begin_import(to, account, from, more);
    let status = run.wait(LONG);
    let text = run.output().rest();
    Finished { status, text }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Octets of all files in a folder and below it; what goes meanwhile counts for nothing.
fn octets_in(folder: &Path) -> u64 {
    let mut left: Vec<PathBuf> = vec![folder.to_owned()];
    let mut octets = 0;
    while let Some(path) = left.pop() {
        let Ok(found) = fs::metadata(&path) else {
            continue;
        };
        if found.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        } else {
            octets += found.len();
        }
    }
    octets
}

/// Stands before a server and lets so many of its octets through, and then no more, as a line does that
/// hangs.
struct Narrow {
    address: SocketAddr,
    passed: Arc<AtomicU64>,
    is_shut: Arc<AtomicBool>,
}

impl Narrow {
    fn before(server: SocketAddr, octets: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let narrow = Self {
            address: listener.local_addr().unwrap(),
            passed: Arc::default(),
            is_shut: Arc::default(),
        };
        let (passed, is_shut) = (narrow.passed.clone(), narrow.is_shut.clone());
        thread::spawn(move || {
            let client = listener.accept().unwrap().0;
            let server = TcpStream::connect(server).unwrap();
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let upwards = thread::spawn(move || {
                let _ = std::io::copy(&mut up, &mut down); // until one of them has left
                let _ = down.shutdown(Shutdown::Both);
            });
            pass(server, client, octets, &passed);
            is_shut.store(true, Ordering::Relaxed);
            let _ = upwards.join();
        });
        narrow
    }
}

/// Passes on as much as may be; the sockets stay open until the caller ends.
fn pass(mut from: TcpStream, mut to: TcpStream, octets: u64, passed: &AtomicU64) {
    let mut piece = vec![0; 64 * 1024];
    let mut left = octets;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        match from.read(&mut piece[..wanted]) {
            Ok(read) if read > 0 && to.write_all(&piece[..read]).is_ok() => {
                passed.fetch_add(read as u64, Ordering::Relaxed);
                left -= read as u64;
            }
            _ => {
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

/// About as much as is in the journal of a system that was filled.
const OCTETS: u64 = 2_750_000;
