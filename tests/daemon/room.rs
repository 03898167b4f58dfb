//! Deleted mail gives its space back, and the store can be looked into and made anew.

use std::{fs, path::Path};

use testkit::{Daemon, LONG, until};

use crate::{common::letter, served::Served};

const MESSAGES: u32 = 60;
const LOGIN: &str = "login_without_tls = [\"127.0.0.0/8\"]\n";
const SMALL: &str = "[store]\nsegment_octets = 1_048_576\n";

fn message(number: u32) -> Vec<u8> {
    let line = format!("line of message {number}\r\n").repeat(4000);
    [letter(&number.to_string()), line.into_bytes()].concat()
}

fn journal_octets(folder: &Path) -> u64 {
    let files = fs::read_dir(folder.join("journal")).unwrap();
    // One that is listed may be gone before it is measured.
    let lengths = files.filter_map(|file| Some(file.unwrap().metadata().ok()?.len()));
    lengths.sum()
}

/// Deletes all but every twentieth message.
fn delete_most(daemon: &Daemon) {
    let mut imap = daemon.imap("user0");
    for number in 1..=MESSAGES {
        imap.append("INBOX", "", &message(number)).ok();
    }
    imap.command("SELECT INBOX").ok();
    let gone: Vec<_> = (1..=MESSAGES)
        .filter(|number| number % 20 != 0)
        .map(|number| number.to_string())
        .collect();
    let gone = gone.join(",");
    imap.command(format!("STORE {gone} +FLAGS.SILENT (\\Deleted)"))
        .ok();
    imap.command("EXPUNGE").ok();
}

fn assert_left(daemon: &Daemon) {
    let mut imap = daemon.imap("user0");
    imap.command("SELECT INBOX").ok();
    for (at, number) in (1..).zip((20..=MESSAGES).step_by(20)) {
        let read = imap.fetch_literal(&u32::to_string(&at), "BODY.PEEK[]");
        assert!(read == message(number), "message {number}");
    }
}

#[test]
fn deleted_mail_gives_its_space_back_while_the_daemon_runs() {
    let house = Served::open(&[LOGIN, SMALL, "reclaim_seconds = 0\n"].concat());
    delete_most(&house.daemon);
    let folder = house.daemon.folder().to_owned();
    let before = journal_octets(&folder);
    until("the space is there", LONG, || {
        journal_octets(&folder) < before / 3
    });
    assert_left(&house.daemon);
    let metrics = house.daemon.metrics();
    let moved = metrics
        .lines()
        .find_map(|line| line.strip_prefix("heronry_store_compacted_octets_total "));
    assert!(moved.unwrap().parse::<f64>().unwrap() > 100_000.0);
    let daemon = house.daemon.kill9().start();
    assert_left(&daemon);
}

#[test]
fn the_store_is_looked_into_emptied_and_made_anew_without_the_daemon() {
    let house = Served::open(&[LOGIN, SMALL].concat());
    delete_most(&house.daemon);
    let (_, recipe) = house.daemon.terminate();
    let store = |words: &[&str]| {
        let mut command = std::process::Command::new(crate::common::binary());
        command.arg("store").args(words).arg("--data");
        testkit::finish(command.arg(recipe.folder()), b"")
    };
    let stats = store(&["stats"]).ok();
    assert!(stats.starts_with("SEGMENT  OCTETS"), "{stats}");
    assert!(stats.lines().count() > 6, "{stats}");
    let before = journal_octets(recipe.folder());
    store(&["compact"]).ok();
    let after = journal_octets(recipe.folder());
    assert!(after < before / 3, "{before} {after}");
    // The journal alone: its segments and the checkpoints in which the older ones live on.
    let rebuilt = store(&["rebuild", "--compare"]).ok();
    assert!(
        rebuilt.contains(" rows as before, 0 otherwise\n"),
        "{rebuilt}"
    );
    assert!(rebuilt.contains("whole\n"), "{rebuilt}");
    let told = store(&["rebuild", "--json"]).ok();
    assert!(told.contains("\"stage\":\"segments applied\""), "{told}");
    fs::remove_dir_all(recipe.folder().join("directory")).unwrap();
    let daemon = recipe.start();
    assert_left(&daemon);
}

#[test]
fn an_operator_has_the_running_daemon_give_room_back_at_once() {
    let house = Served::open(&[LOGIN, SMALL].concat());
    delete_most(&house.daemon);
    let before = journal_octets(house.daemon.folder());
    let said = house.daemon.command(&["store", "compact", "--json"], b"");
    let said: serde_json::Value = serde_json::from_str(&said.ok()).unwrap();
    let after = journal_octets(house.daemon.folder());
    assert!(after < before / 3, "{before} {after}: {said}");
    let told = ["octets_before", "octets_after"].map(|name| said[name].as_u64().unwrap());
    assert!(told[1] < told[0] / 3, "{said}");
    assert_left(&house.daemon);
    let daemon = house.daemon.kill9().start();
    assert_left(&daemon);
}
