//! Starting and ending: what the demo says, ports and folders in use, signals.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use testkit::{Daemon, Door, SHORT, finish};

use crate::common::{binary, demo, inbox, letter, user};

#[test]
fn the_demo_names_its_addresses_its_folder_and_lines_to_copy() {
    let mut daemon = demo().start();
    let folder = daemon.folder().display().to_string();
    let (smtp, imap) = (daemon.address(Door::Smtp), daemon.address(Door::Imap));
    let output = daemon.output();
    output.line_with(&folder, SHORT);
    output.line_with(&smtp.port().to_string(), SHORT);
    output.line_with(&imap.port().to_string(), SHORT);
    let said = output.so_far();
    for word in ["example.test", "user0", "secret", "openssl s_client"] {
        assert!(said.contains(word), "{word} is missing:\n{said}");
    }
    assert!(
        said.contains("swaks") || said.contains("curl"),
        "a line that sends a mail:\n{said}"
    );
}

#[test]
fn the_lines_to_copy_work_when_they_are_copied() {
    let mut daemon = demo().start();
    daemon.output().line_with("/metrics", SHORT);
    let said = daemon.output().so_far();
    // They may need several tools, and are read in the order in which a person tries them.
    let tools = ["swaks", "curl"];
    let is_there = |tool: &&&str| testkit::find_program(tool).is_some();
    let mut sent = 0;
    for line in said.lines().map(str::trim) {
        let needed: Vec<_> = tools.iter().filter(|tool| line.contains(*tool)).collect();
        if needed.is_empty() || !needed.iter().copied().all(|tool| is_there(&tool)) {
            continue;
        }
        let reads = line.contains("imap://");
        if reads && sent == 0 {
            continue; // nobody could send
        }
        let text = finish(Command::new("sh").args(["-c", line]), b"").ok();
        assert!(!reads || text.contains("Received:"), "{line}: {text}");
        if line.contains("user0@example.test") && !reads {
            sent += 1;
            inbox(&daemon, "user0", sent);
        }
    }
}

#[test]
fn a_hangup_changes_nothing() {
    let mut daemon = demo().start();
    daemon.process().signal(testkit::Signal::HUP);
    daemon.output().line_with("SIGHUP", SHORT);
    daemon.accept(&[&user(0)], &letter("still here"));
    inbox(&daemon, "user0", 1);
    let (status, _) = daemon.terminate();
    assert!(status.success(), "{status}");
}

#[test]
fn nobody_else_can_look_into_the_data_folder() {
    let daemon = demo().start();
    daemon.accept(&[&user(0)], &letter("private"));
    inbox(&daemon, "user0", 1);
    let mut seen = 0;
    closed_to_others(daemon.folder(), &mut seen);
    assert!(seen > 10, "{seen}");
}

fn closed_to_others(path: &Path, seen: &mut u32) {
    let found = fs::symlink_metadata(path).unwrap();
    let mode = found.permissions().mode();
    // A certificate is shown to everybody anyway.
    if !path.ends_with("tls/cert.pem") {
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    *seen += 1;
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            closed_to_others(&entry.unwrap().path(), seen);
        }
    }
}

#[test]
fn an_interrupt_ends_the_demo_cleanly_and_the_next_start_has_the_mail() {
    let mut daemon = demo().start();
    daemon.accept(&[&user(0)], &letter("kept"));
    daemon.process().signal(testkit::Signal::INT);
    let status = daemon.process().wait(SHORT);
    assert!(status.success(), "{status}");
    let (_, recipe) = daemon.terminate();
    let daemon = recipe.start();
    inbox(&daemon, "user0", 1);
}

#[test]
fn a_client_in_the_middle_is_told_that_the_house_closes() {
    let mut daemon = demo().start();
    let mut smtp = daemon.smtp();
    let mut imap = daemon.imap("user0");
    daemon.process().signal(testkit::Signal::TERM);
    let said = String::from_utf8_lossy(&smtp.wire().until_closed().unwrap()).into_owned();
    assert!(said.starts_with("421 "), "{said:?}");
    let said = String::from_utf8_lossy(&imap.wire().until_closed().unwrap()).into_owned();
    assert!(said.starts_with("* BYE"), "{said:?}");
    assert!(daemon.process().wait(SHORT).success());
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_left_running() {
    for door in [Door::Imap, Door::Http] {
        let recipe = demo();
        let taken = recipe.address(door);
        let _other = TcpListener::bind(taken).unwrap();
        let ended = recipe.try_start().err().expect("the daemon does not start");
        assert!(!ended.status.success());
        let named = format!("cannot listen on {taken}: another process does");
        assert!(ended.said.contains(&named), "{}", ended.said);
        assert!(!ended.said.contains("panicked"), "{}", ended.said);
    }
}

#[test]
fn a_data_folder_of_another_process_is_refused_and_the_other_goes_on() {
    let first = demo().start();
    let ended = demo()
        .data(first.folder())
        .try_start()
        .err()
        .expect("the second does not start");
    assert!(!ended.status.success());
    let folder = first.folder().display().to_string();
    assert!(ended.said.contains(&folder), "{}", ended.said);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    first.accept(&[&user(0)], &letter("undisturbed"));
    inbox(&first, "user0", 1);
}

#[test]
fn a_data_folder_of_a_newer_version_is_refused_and_left_as_it_is() {
    let daemon = demo().start();
    daemon.accept(&[&user(0)], &letter("kept"));
    inbox(&daemon, "user0", 1);
    let (_, recipe) = daemon.terminate();
    let format = recipe.folder().join("format");
    let ours = fs::read_to_string(&format).unwrap();
    let (words, number) = ours.trim_end().rsplit_once(' ').unwrap();
    let newer = format!("{words} {}\n", number.parse::<u32>().unwrap() + 1);
    fs::write(&format, &newer).unwrap();
    let ended = recipe
        .clone()
        .try_start()
        .err()
        .expect("a newer folder is not touched");
    assert!(!ended.status.success());
    assert!(ended.said.contains("newer"), "{}", ended.said);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    assert_eq!(fs::read_to_string(&format).unwrap(), newer);
    fs::write(&format, ours).unwrap();
    inbox(&recipe.start(), "user0", 1);
}

#[test]
fn a_folder_that_is_no_folder_and_one_that_cannot_be_written_are_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, b"not a folder").unwrap();
    let ended = demo()
        .data(&file)
        .try_start()
        .err()
        .expect("a file is no data folder");
    assert!(
        !ended.status.success() && ended.said.contains("file"),
        "{}",
        ended.said
    );
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    assert_eq!(fs::read(&file).unwrap(), b"not a folder");
}

#[test]
fn wrong_words_on_the_command_line_are_refused_with_a_hint() {
    let mut wrong = Command::new(binary());
    let run = finish(wrong.args(["demo", "--port-base", "seventy"]), b"");
    assert_eq!(run.status.code(), Some(2), "{}", run.text);
    assert!(run.text.contains("--port-base"), "{}", run.text);
    let run = finish(Command::new(binary()).args(["frobnicate"]), b"");
    assert_eq!(run.status.code(), Some(2), "{}", run.text);
}

#[test]
fn many_starts_and_ends_lose_nothing() {
    let mut recipe = demo();
    for round in 1..=5 {
        let daemon: Daemon = recipe.start();
        daemon.accept(&[&user(1)], &letter(&format!("round {round}")));
        inbox(&daemon, "user1", round);
        let (status, again) = daemon.terminate();
        assert!(status.success(), "{status}");
        recipe = again;
    }
}
