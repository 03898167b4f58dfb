//! Speaks a script to a server.

use std::collections::HashMap;
use std::mem;
use std::net::SocketAddr;

use super::value::{begin_with, expand, find, pairs_of, some_of};
use super::{Line, Message, Script, Start, Tagged, Value, Variables};
use crate::imap::{ImapClient, Response};

/// Where a script is played, and as whom. The account should be a fresh one.
pub struct Server {
    /// The IMAP door.
    pub address: SocketAddr,
    /// The user's name, without a domain.
    pub user: String,
    /// The user's domain.
    pub domain: String,
    /// The user's password.
    pub password: String,
}

/// One connection, and what its commands have brought.
struct Session {
    client: ImapClient,
    /// Which message had the number that stands here, when the command began.
    numbers: Vec<u32>,
    said: Vec<Said>,
    open: HashMap<String, String>,
    /// Untagged responses that are expected before a pipeline of commands has ended.
    expected: Vec<Vec<u8>>,
    last: String,
}

/// An untagged response; `original` is the number its message had when the command began.
struct Said {
    values: Vec<Value>,
    original: Option<u32>,
    met: bool,
}

impl Script {
    /// Speaks the script.
    ///
    /// # Errors
    /// What was not as the script says, with its line.
    pub fn play(&self, server: &Server) -> Result<(), String> {
        let mut known = Variables::new();
        for (name, value) in [
            ("mailbox", MAILBOX),
            ("mailbox_url", MAILBOX),
            ("user", &server.user),
            ("username", &server.user),
            ("domain", &server.domain),
            ("password", &server.password),
        ] {
            known.insert(name.to_owned(), Value::Word(value.as_bytes().to_vec()));
        }
        let mut messages = self.messages.iter().cycle();
        let mut connections: Vec<Session> = Vec::new();
        for number in 0..self.connections {
            let mut client = ImapClient::connect(server.address);
            if self.start >= Start::Auth {
                client.login(&server.user, &server.password);
            }
            if self.start >= Start::Created && number == 0 {
                client.command(format!("CREATE {MAILBOX}")).ok();
            }
            if self.start >= Start::Selected {
                for message in messages
                    .by_ref()
                    .take(if number == 0 { self.count } else { 0 })
                {
                    let tag =
                        client.start(&append(format!("APPEND {MAILBOX}").as_bytes(), message));
                    let tag = tag.map_err(|error| error.to_string())?;
                    client.finish(&tag).map_err(|error| error.to_string())?.ok();
                }
                client.command(format!("SELECT {MAILBOX}")).ok();
            }
            connections.push(Session::new(client));
        }
        for line in &self.lines {
            let connection = &mut connections[line.connection - 1];
            let mut next = || messages.next().expect("there is a message").clone();
            connection
                .obey(line, &mut known, &mut next)
                .map_err(|wrong| format!("{}:{}: {wrong}", self.name, line.number))?;
        }
        Ok(())
    }
}

impl Session {
    fn new(client: ImapClient) -> Self {
        Self {
            client,
            numbers: (1..=1000).collect(),
            said: Vec::new(),
            open: HashMap::new(),
            expected: Vec::new(),
            last: String::new(),
        }
    }

    fn obey(
        &mut self,
        line: &Line,
        known: &mut Variables,
        next: &mut dyn FnMut() -> Message,
    ) -> Result<(), String> {
        match &line.what {
            Tagged::Command {
                tag,
                status,
                command,
            } => {
                if tag.is_none() || self.open.is_empty() {
                    self.said.clear();
                    self.numbers = (1..=1000).collect();
                }
                let ours = self.send(command, known, next)?;
                let name = Value::Word(ours.clone().into_bytes());
                known.insert("tag".to_owned(), name);
                match (tag, status) {
                    (Some(tag), _) => drop(self.open.insert(tag.clone(), ours)),
                    (None, Some(status)) => self.finish(&ours, status.as_bytes(), known)?,
                    (None, None) => self.finish(&ours, b"\"\"", known)?,
                }
                Ok(())
            }
            Tagged::Status {
                tag: Some(tag),
                expected,
            } => {
                let ours = self
                    .open
                    .remove(tag)
                    .ok_or("no such command is under way")?;
                self.finish(&ours, expected, known)?;
                let expected = match self.open.is_empty() {
                    true => mem::take(&mut self.expected),
                    false => Vec::new(),
                };
                expected
                    .iter()
                    .try_for_each(|expected| self.expect(expected, known))
            }
            Tagged::Status {
                tag: None,
                expected,
            } => meets_status(&self.last, expected, known),
            Tagged::Yes(expected) if self.open.is_empty() => self.expect(expected, known),
            Tagged::Yes(expected) => {
                self.expected.push(expected.clone());
                Ok(())
            }
            Tagged::Maybe => Ok(()),
            Tagged::No(banned) => {
                let banned = Value::read(banned);
                let is = |said: &Said| said.is(&banned, &mut known.clone());
                match self.said.iter().any(is) {
                    true => Err(format!("not expected {}: {}", shown(&banned), self.heard())),
                    false => Ok(()),
                }
            }
        }
    }

    /// Looks for a response, among those that nothing else was met by first.
    fn expect(&mut self, expected: &[u8], known: &mut Variables) -> Result<(), String> {
        let expected = Value::read(expected);
        for met in [false, true] {
            let mut candidates = self.said.iter_mut().filter(|said| said.met == met);
            if let Some(said) = candidates.find(|said| said.is(&expected, known)) {
                said.met = true;
                return Ok(());
            }
        }
        Err(format!("expected {}: {}", shown(&expected), self.heard()))
    }

    /// Sends a command; APPEND without a literal gets the next message of the script.
    fn send(
        &mut self,
        command: &[u8],
        known: &Variables,
        next: &mut dyn FnMut() -> Message,
    ) -> Result<String, String> {
        let mut wire = Vec::new();
        let mut rest = command;
        while let Some(start) = find(rest, b"{{{\n") {
            let raw = rest[..start].ends_with(b"~");
            let end = find(&rest[start..], b"\n}}}").ok_or("a literal does not end")? + start;
            let text = expand(&rest[start + 4..end], known);
            let text = if raw { text } else { crate::crlf(&text) };
            wire.extend_from_slice(&expand(&rest[..start], known));
            wire.extend_from_slice(format!("{{{}+}}\r\n", text.len()).as_bytes());
            wire.extend_from_slice(&text);
            rest = &rest[end + 4..];
        }
        wire.extend_from_slice(&expand(rest, known));
        if wire.starts_with(b"append") && !command.ends_with(b"}") && !command.ends_with(b"}}})") {
            if wire == b"append" {
                wire.extend_from_slice(format!(" {MAILBOX}").as_bytes());
            }
            wire = append(&wire, &next());
        }
        self.client.start(&wire).map_err(|error| error.to_string())
    }

    fn finish(&mut self, tag: &str, expected: &[u8], known: &mut Variables) -> Result<(), String> {
        let answer = self.client.finish(tag).map_err(|error| error.to_string())?;
        for response in answer.untagged {
            self.hear(&response);
        }
        self.last = answer.tagged;
        meets_status(&self.last, expected, known)
    }

    fn hear(&mut self, response: &Response) {
        let Some(text) = response.raw.strip_prefix(b"* ") else {
            return;
        };
        let values = Value::read(text);
        let number: Option<usize> = values
            .first()
            .and_then(|first| std::str::from_utf8(first.octets()).ok()?.parse().ok());
        let place = number.and_then(|number| number.checked_sub(1));
        let original = place.and_then(|place| self.numbers.get(place).copied());
        if values
            .get(1)
            .is_some_and(|word| word.octets().eq_ignore_ascii_case(b"EXPUNGE"))
            && let Some(place) = place
        {
            self.numbers.remove(place);
        }
        self.said.push(Said {
            values,
            original,
            met: false,
        });
    }

    fn heard(&self) -> String {
        let said = self
            .said
            .iter()
            .map(|said| format!("\n    * {}", shown(&said.values)));
        format!("it said{}\n    {}", said.collect::<String>(), self.last)
    }
}

impl Said {
    /// Whether this is what a line expects; learns only if it is.
    fn is(&self, expected: &[Value], known: &mut Variables) -> bool {
        let mut learned = known.clone();
        let met = self.compare(expected, &mut learned);
        if met {
            *known = learned;
        }
        met
    }

    fn compare(&self, expected: &[Value], known: &mut Variables) -> bool {
        let Some((first, expected)) = expected.split_first() else {
            return true;
        };
        let Some((said_first, said)) = self.values.split_first() else {
            return false;
        };
        let original = first
            .octets()
            .strip_prefix(b"$")
            .and_then(|number| std::str::from_utf8(number).ok()?.parse::<u32>().ok());
        let first_met = match original {
            Some(original) => self.original == Some(original),
            None => first.meets(said_first, known),
        };
        let kind = |values: &[Value]| {
            values
                .first()
                .map(|kind| kind.octets().to_ascii_uppercase())
        };
        first_met
            && match (
                &*first.octets().to_ascii_uppercase(),
                kind(expected).as_deref(),
            ) {
                (b"SEARCH" | b"SORT" | b"THREAD", _) => {
                    expected.len() == said.len() && begin_with(expected, said, known)
                }
                (b"LIST" | b"LSUB", _) => match (expected.split_first(), said.split_first()) {
                    (Some((Value::List(flags), rest)), Some((Value::List(said), said_rest))) => {
                        some_of(flags, said, known) && begin_with(rest, said_rest, known)
                    }
                    _ => false,
                },
                (b"STATUS", _) => last_list(expected, said, known),
                (_, Some(b"FETCH")) => {
                    expected[0].meets(&said[0], known) && last_list(expected, said, known)
                }
                _ => begin_with(expected, said, known),
            }
    }
}

/// The same up to a last list, of names with values.
fn last_list(expected: &[Value], said: &[Value], known: &mut Variables) -> bool {
    match (expected.split_last(), said.split_last()) {
        (Some((Value::List(pairs), before)), Some((Value::List(said), said_before))) => {
            before.len() == said_before.len()
                && begin_with(before, said_before, known)
                && pairs_of(pairs, said, known)
        }
        _ => false,
    }
}

/// A command that ends with a message, as it goes over the wire.
fn append(command: &[u8], message: &Message) -> Vec<u8> {
    let Message { date, octets } = message;
    let literal = format!(" \"{date}\" {{{}+}}\r\n", octets.len());
    [command, literal.as_bytes(), octets].concat()
}

fn meets_status(said: &str, expected: &[u8], known: &mut Variables) -> Result<(), String> {
    if expected == b"\"\"" {
        return Ok(());
    }
    let (expected, values) = (Value::read(expected), Value::read(said.as_bytes()));
    let mut learned = mem::take(known);
    let met = begin_with(&expected, &values, &mut learned);
    *known = learned;
    if met {
        Ok(())
    } else {
        Err(format!("expected {}, got {said}", shown(&expected)))
    }
}

fn shown(values: &[Value]) -> String {
    let one = |value: &Value| match value {
        Value::Code(values) => format!("[{}]", shown(values)),
        Value::List(values) => format!("({})", shown(values)),
        Value::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Value::Word(word) => String::from_utf8_lossy(word).into_owned(),
    };
    values.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The mailbox that scripts work on.
const MAILBOX: &str = "imaptest";
