//! A disk that rots: what is damaged is named and copied aside, and everything else is served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::finish;

use crate::common::{binary, demo, inbox};

#[test]
fn what_has_rotted_is_copied_once_with_its_place_and_everything_else_is_served() {
    let daemon = demo().start();
    let mut imap = daemon.imap("user0");
    for number in 0..4 {
        imap.append("INBOX", "", &marked(number)).ok();
    }
    drop(imap);
    let (_, recipe) = daemon.terminate();
    let rotten = [1, 3];
    for number in rotten {
        rot(recipe.folder(), number);
    }
    let first = check(recipe.folder());
    let there = copies(recipe.folder());
    assert_eq!(there.len(), rotten.len(), "{first}");
    for (copy, number) in there.iter().zip(rotten) {
        let name = copy.file_name().unwrap().to_str().unwrap();
        assert!(
            first.contains(&format!("a copy is damaged/{name}")),
            "{first}"
        );
        let octets = fs::read(copy).unwrap();
        assert!(octets == at_its_place(recipe.folder(), name), "{name}");
        assert!(holds(&octets, &rotten_mark(number)), "{name}");
        let note = fs::read_to_string(copy.with_extension("txt")).unwrap();
        assert!(note.contains("does not have its checksum"), "{note}");
    }
    assert_eq!(check(recipe.folder()), first, "and once");
    assert_eq!(copies(recipe.folder()), there);

    let daemon = recipe.start();
    let mut imap = inbox(&daemon, "user0", 4);
    for number in 0..4 {
        let fetched = imap.command(format!("FETCH {} BODY.PEEK[]", number + 1));
        assert_eq!(fetched.is_ok(), !rotten.contains(&number), "{number}");
        assert_eq!(fetched.find(&mark(number)).is_some(), fetched.is_ok());
    }
}

/// What a check says of a folder in which something is damaged.
fn check(folder: &Path) -> String {
    let mut command = Command::new(binary());
    let done = finish(command.args(["store", "check", "--data"]).arg(folder), b"");
    assert_eq!(done.status.code(), Some(4), "{}", done.text);
    let report = done.text.lines().filter(|line| line.starts_with("damaged"));
    report.collect::<Vec<_>>().join("\n")
}

/// A message that can be found in the journal: it does not become shorter.
fn marked(number: usize) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\n{}\r\n", mark(number)).into_bytes()
}

fn mark(number: usize) -> String {
    format!("the mark of number {number}")
}

/// What has become of the mark.
fn rotten_mark(number: usize) -> String {
    mark(number).replacen('t', "T", 1)
}

/// Turns one bit of a message over, wherever it lies.
fn rot(folder: &Path, number: usize) {
    let mut found = 0;
    for entry in fs::read_dir(folder.join("journal")).unwrap() {
        let path = entry.unwrap().path();
        let mut octets = fs::read(&path).unwrap();
        let mark = mark(number).into_bytes();
        let place = octets.windows(mark.len()).position(|octets| octets == mark);
        if let Some(place) = place {
            octets[place] ^= b't' ^ b'T';
            fs::write(&path, octets).unwrap();
            found += 1;
        }
    }
    assert_eq!(found, 1, "the message is in the journal");
}

/// The copies, ascending by place.
fn copies(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("damaged")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut copies: Vec<_> = paths.filter(|path| path.extension().is_none()).collect();
    copies.sort();
    copies
}

/// What the journal has where a copy's name says.
fn at_its_place(folder: &Path, name: &str) -> Vec<u8> {
    let numbers: Vec<usize> = name.split('-').map(|word| word.parse().unwrap()).collect();
    let segment = folder.join(format!("journal/{:010}.seg", numbers[0]));
    fs::read(segment).unwrap()[numbers[1]..numbers[2]].to_vec()
}

fn holds(octets: &[u8], text: &str) -> bool {
    octets
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}
