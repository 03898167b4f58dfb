//! Reads a script: its head, and its lines of commands and expectations.

use std::fs;
use std::path::{Path, PathBuf};

use super::value::find;

/// A session that others wrote, with the messages that it needs.
pub struct Script {
    /// Its name.
    pub name: String,
    /// What the server has to offer, or the script does not concern it.
    pub capabilities: Vec<String>,
    pub(super) connections: usize,
    pub(super) start: Start,
    pub(super) messages: Vec<Message>,
    pub(super) count: usize,
    pub(super) lines: Vec<Line>,
}

/// A message of the script's mbox file.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    /// When it came, as APPEND writes it.
    pub(super) date: String,
    /// With CRLF.
    pub(super) octets: Vec<u8>,
}

/// How far a connection has come before the first command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd)]
pub(super) enum Start {
    Nonauth,
    Auth,
    Created,
    Selected,
}

/// One line that means something.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) connection: usize,
    pub(super) what: Tagged,
}

#[derive(Clone, Debug)]
pub(super) enum Tagged {
    /// A command, with the status that it should get if the line says so.
    Command {
        tag: Option<String>,
        status: Option<String>,
        command: Vec<u8>,
    },
    /// The tagged response to the command before, or to the one with that tag.
    Status {
        tag: Option<String>,
        expected: Vec<u8>,
    },
    /// An untagged response that comes, with the command before.
    Yes(Vec<u8>),
    /// One that may come.
    Maybe,
    /// One that does not come.
    No(Vec<u8>),
}

impl Script {
    /// Every script of a folder, in the order of their names.
    ///
    /// # Panics
    /// When one cannot be read.
    pub fn all(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).expect("scripts lie in a folder");
        let mut paths: Vec<PathBuf> = entries
            .map_while(Result::ok)
            .map(|one| one.path())
            .collect();
        paths.retain(|path| path.extension().is_none());
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let octets = fs::read(path).expect("a script can be read");
        let named = path.with_extension("mbox");
        let mailbox = if named.exists() {
            named
        } else {
            path.with_file_name("default.mbox")
        };
        let end = find(&octets, b"\n\n").expect("a script has a head");
        let head = String::from_utf8_lossy(&octets[..end]).into_owned();
        let field = |name: &str| {
            let fields = head.lines().filter_map(|line| line.split_once(": "));
            fields
                .clone()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        let start = match field("state").as_deref() {
            Some("nonauth") => Start::Nonauth,
            Some("auth") => Start::Auth,
            Some("created") => Start::Created,
            _ => Start::Selected,
        };
        let messages = messages(&fs::read(mailbox).expect("there are messages"));
        let count = field("messages").and_then(|count| count.parse().ok());
        Self {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            capabilities: field("capabilities")
                .map(|words| {
                    words
                        .to_ascii_uppercase()
                        .split(' ')
                        .map(str::to_owned)
                        .collect()
                })
                .unwrap_or_default(),
            connections: field("connections").map_or(1, |count| count.parse().unwrap()),
            start,
            count: count.unwrap_or(messages.len()),
            messages,
            lines: lines(&octets[end + 2..], head.lines().count() + 2),
        }
    }
}

/// The messages of an mbox file.
fn messages(mbox: &[u8]) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for line in mbox.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b"From ") {
            let date = date(&String::from_utf8_lossy(line)).expect("a message has come some day");
            messages.push(Message {
                date,
                octets: Vec::new(),
            });
        } else if let Some(message) = messages.last_mut() {
            message.octets.extend_from_slice(&crate::crlf(line));
        }
    }
    messages
}

/// `From a@b.test  Fri Feb 22 17:06:23 2008 +0200` as `22-Feb-2008 17:06:23 +0200`; without a zone
/// it is UTC.
fn date(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip(3);
    let (month, day, time, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let zone = words.next().unwrap_or("+0000");
    Some(format!("{day:0>2}-{month}-{year} {time} {zone}"))
}

fn lines(octets: &[u8], first: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut number = first;
    let mut rest = octets;
    let mut connection = 1;
    while !rest.is_empty() {
        let length = length(rest);
        let line = rest[..length]
            .strip_suffix(b"\n")
            .unwrap_or(&rest[..length]);
        if !line.is_empty() && line[0] != b'#' {
            let (given, what) = what(line);
            connection = given.unwrap_or(match what {
                Tagged::Yes(_) | Tagged::Maybe | Tagged::No(_) => connection,
                _ => 1,
            });
            lines.push(Line {
                number,
                connection,
                what,
            });
        }
        number += rest[..length]
            .iter()
            .filter(|&&octet| octet == b'\n')
            .count();
        rest = &rest[length..];
    }
    lines
}

/// How long a line is: literals belong to it.
fn length(octets: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let end = octets[at..].iter().position(|&octet| octet == b'\n');
        let Some(end) = end.map(|end| at + end) else {
            return octets.len();
        };
        if !octets[at..end].ends_with(b"{{{") {
            return end + 1;
        }
        at = end + find(&octets[end..], b"\n}}}").expect("a literal ends") + 4;
    }
}

fn what(line: &[u8]) -> (Option<usize>, Tagged) {
    if let Some(yes) = line.strip_prefix(b"* ") {
        return (None, Tagged::Yes(yes.to_vec()));
    }
    if line.starts_with(b"? ") {
        return (None, Tagged::Maybe);
    }
    if let Some(no) = line.strip_prefix(b"! ") {
        return (None, Tagged::No(no.to_vec()));
    }
    let (first, rest) = split(line);
    let connection = first.parse().ok();
    let line = if connection.is_some() { rest } else { line };
    let (first, rest) = split(line);
    let what = if let Some(tag) = first.strip_prefix("tag").map(|_| first.clone()) {
        let (status, _) = split(rest);
        if is_status(&status) {
            Tagged::Status {
                tag: Some(tag),
                expected: rest.to_vec(),
            }
        } else {
            Tagged::Command {
                tag: Some(tag),
                status: None,
                command: rest.to_vec(),
            }
        }
    } else if is_status(&first) && !rest.starts_with(b"[") && !rest.is_empty() {
        Tagged::Command {
            tag: None,
            status: Some(first),
            command: rest.to_vec(),
        }
    } else if is_status(&first) {
        Tagged::Status {
            tag: None,
            expected: line.to_vec(),
        }
    } else {
        Tagged::Command {
            tag: None,
            status: None,
            command: line.to_vec(),
        }
    };
    (connection, what)
}

fn split(line: &[u8]) -> (String, &[u8]) {
    let end = line
        .iter()
        .position(|&octet| octet == b' ')
        .unwrap_or(line.len());
    let word = String::from_utf8_lossy(&line[..end]).into_owned();
    (word, line.get(end + 1..).unwrap_or_default())
}

fn is_status(word: &str) -> bool {
    matches!(word, "ok" | "no" | "bad" | "\"\"")
}
