//! Plays scripts of imaptest: commands, expected responses, variables.
//!
//! Only as much of the form as the scripts use: see their README for what it means.

use std::{collections::HashMap, fs, path::Path};

use imap::client::{Response, Value};
use testkit::crlf;

use super::house::{Client, House, shown};

/// One script.
pub(crate) struct Script {
    name: String,
    headers: HashMap<String, String>,
    lines: Vec<String>,
    messages: Vec<Vec<u8>>,
}

/// A script that is being played.
struct Play<'a> {
    script: &'a Script,
    clients: Vec<Seat>,
    variables: HashMap<String, String>,
    next_message: usize,
}

/// A client, and how many messages it sees.
struct Seat {
    client: Client,
    exists: usize,
    /// Tags of the script's own, with those that were really said.
    tags: HashMap<String, String>,
}

/// A command with what is expected of it.
struct Command {
    connection: usize,
    status: Option<String>,
    code: Option<String>,
    text: String,
    expected: Vec<(char, String)>,
}

impl Script {
    pub(crate) fn read(folder: &Path, name: &str) -> Self {
        let text = fs::read(folder.join(name)).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines = text
            .lines()
            .map(str::to_owned)
            .filter(|line| !line.starts_with('#'));
        let mut headers = HashMap::new();
        for line in lines.by_ref() {
            let Some((key, value)) = line.split_once(": ") else {
                if line.is_empty() && headers.is_empty() {
                    continue;
                }
                break;
            };
            headers.insert(key.to_owned(), value.to_owned());
        }
        let own = folder.join(format!("{name}.mbox"));
        let mbox = if own.exists() {
            own
        } else {
            folder.join("default.mbox")
        };
        Self {
            name: name.to_owned(),
            headers,
            lines: lines.collect(),
            messages: split_mbox(&fs::read(mbox).unwrap()),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What the script wants that `capabilities` does not have.
    pub(crate) fn lacks(&self, capabilities: &str) -> Option<&str> {
        let has = |wanted: &&str| {
            capabilities
                .split(' ')
                .any(|one| one.eq_ignore_ascii_case(wanted))
        };
        self.header("capabilities")
            .split_whitespace()
            .find(|wanted| !has(wanted))
    }

    /// Plays it; panics where the session does what the script does not expect.
    pub(crate) async fn play(&self, house: &House) {
        let connections = self.header("connections").parse().unwrap_or(1);
        let state = match self.header("state") {
            "" => "selected",
            state => state,
        };
        let mut play = Play {
            script: self,
            clients: Vec::new(),
            variables: HashMap::from([("mailbox".to_owned(), "box".to_owned())]),
            next_message: 0,
        };
        for _ in 0..connections {
            let client = match state {
                "nonauth" => house.client().await,
                _ => house.ann().await,
            };
            play.clients.push(Seat {
                client,
                exists: 0,
                tags: HashMap::new(),
            });
        }
        if matches!(state, "created" | "selected") {
            play.clients[0].client.ok("CREATE box").await;
        }
        let count = match self.header("messages") {
            "" => 0,
            "all" => self.messages.len(),
            count => count.parse().unwrap(),
        };
        for _ in 0..count {
            play.append("box").await;
        }
        if state == "selected" {
            for seat in &mut play.clients {
                let answer = seat.client.ok("SELECT box").await;
                let exists = answer
                    .untagged
                    .iter()
                    .find(|one| one.word(2) == "EXISTS")
                    .unwrap();
                seat.exists = exists.word(1).parse().unwrap();
            }
        }
        let mut lines = self.lines.iter().peekable();
        while let Some(line) = lines.next() {
            if line.trim().is_empty() {
                continue;
            }
            let mut line = line.clone();
            if line.ends_with("{{{") {
                take_literal(&mut line, &mut lines);
            }
            let mut command = play.command(&line);
            while let Some(next) = lines.next_if(|next| next.starts_with(['*', '!', '?'])) {
                let mut next = next.clone();
                if next.ends_with("{{{") {
                    take_literal(&mut next, &mut lines);
                }
                let kind = next.remove(0);
                command.expected.push((kind, next.trim_start().to_owned()));
            }
            if command.status.is_none()
                && let Some(end) = lines.next_if(|next| is_end(next))
            {
                let end = play.without_connection(end).1;
                let (status, code) = end.split_once(' ').unwrap_or((&end, ""));
                command.status = Some(status.to_owned());
                command.code = (!code.is_empty()).then(|| code.to_owned());
            }
            play.play(command).await;
        }
    }
}

impl Play<'_> {
    fn without_connection(&self, line: &str) -> (usize, String) {
        match line.split_once(' ') {
            Some((number, rest)) if self.clients.len() > 1 => match number.parse::<usize>() {
                Ok(number) => (number - 1, rest.to_owned()),
                Err(_) => (0, line.to_owned()),
            },
            _ => (0, line.to_owned()),
        }
    }

    fn command(&self, line: &str) -> Command {
        let (connection, line) = self.without_connection(line);
        let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let (status, text) = match first {
            "ok" | "no" | "bad" | "\"\"" => (Some(first.to_owned()), rest.to_owned()),
            _ => (None, line.clone()),
        };
        Command {
            connection,
            status,
            code: None,
            text,
            expected: Vec::new(),
        }
    }

    /// The next of the script's messages goes into a mailbox.
    async fn append(&mut self, mailbox: &str) {
        let message = self.message();
        let mut octets = format!("a APPEND {mailbox} {{{}+}}\r\n", message.len()).into_bytes();
        octets.extend(message);
        octets.extend(b"\r\n");
        self.clients[0].client.write(&octets).await;
        assert_eq!(
            self.clients[0].client.finish("a").await.tagged.word(1),
            "OK"
        );
    }

    fn message(&mut self) -> Vec<u8> {
        let messages = &self.script.messages;
        self.next_message += 1;
        messages[(self.next_message - 1) % messages.len()].clone()
    }

    async fn play(&mut self, command: Command) {
        let name = self.script.name.clone();
        let at = format!("{name}: {} {}", command.connection + 1, command.text);
        let mut text = self.fill(&command.text);
        if text.split(' ').next().is_some_and(|verb| verb == "append") && !text.contains("+}") {
            let message = String::from_utf8_lossy(&self.message()).into_owned();
            let to = if text == "append" {
                "append box"
            } else {
                &text
            };
            text = format!("{to} {{{}+}}\r\n{message}", message.len());
        }
        let seat = &mut self.clients[command.connection];
        if text.starts_with("tag") {
            let (tag, rest) = text.split_once(' ').unwrap();
            if rest == "ok" {
                let said = seat.tags.remove(tag).unwrap();
                assert_eq!(seat.client.finish(&said).await.tagged.word(1), "OK", "{at}");
            } else {
                let said = seat.client.begin(rest).await;
                seat.tags.insert(tag.to_owned(), said);
            }
            return; // what is said between pipelined commands is not looked at
        }
        let answer = seat.client.command(&text).await;
        let status = command.status.as_deref().unwrap_or("ok");
        if status != "\"\"" {
            let said = answer.tagged.word(1);
            assert!(
                status.eq_ignore_ascii_case(said),
                "{at}: {}",
                shown(&answer.tagged)
            );
        }
        if let Some(code) = &command.code {
            let matches = self.matches_code(code, answer.tagged.word(2));
            assert!(matches, "{at}: {code} in {}", shown(&answer.tagged));
        }
        let verb = text.split(' ').next().unwrap_or_default();
        if verb == "select" || verb == "examine" {
            self.clients[command.connection].exists = 0;
        }
        let said = self.renumber(command.connection, answer.untagged);
        let mut used = vec![false; said.len()];
        for (kind, line) in &command.expected {
            // One response may be what several lines expect, but each line has its own if it can.
            let mut order: Vec<usize> = (0..said.len()).collect();
            order.sort_by_key(|&n| used[n]);
            let found = order.into_iter().find(|&n| self.matches(line, &said[n]));
            match (kind, found) {
                ('*', Some(n)) => used[n] = true,
                ('*', None) => {
                    let all: Vec<_> = said.iter().map(|(_, one)| shown(one)).collect();
                    panic!("{at}: {} in {all:#?}", self.fill(line));
                }
                ('!', Some(n)) => panic!("{at}: not {line} but {}", shown(&said[n].1)),
                _ => {}
            }
        }
    }

    /// Each response with the number that its message had when the command began.
    fn renumber(&mut self, connection: usize, said: Vec<Response>) -> Vec<(usize, Response)> {
        let seat = &mut self.clients[connection];
        let mut numbers: Vec<usize> = (1..=seat.exists).collect();
        let mut all = Vec::new();
        for response in said {
            let number: usize = response.word(1).parse().unwrap_or(0);
            let first = numbers
                .get(number.wrapping_sub(1))
                .copied()
                .unwrap_or(number);
            match response.word(2) {
                "EXPUNGE" => {
                    numbers.remove(number - 1);
                }
                "EXISTS" => {
                    let mut next = numbers.iter().max().copied().unwrap_or(0);
                    while numbers.len() < number {
                        next += 1;
                        numbers.push(next);
                    }
                }
                _ => {}
            }
            all.push((first, response));
        }
        seat.exists = numbers.len();
        all
    }

    /// Whether a response is what a line expects; variables learn from it if so.
    fn matches(&mut self, line: &str, (first, said): &(usize, Response)) -> bool {
        let before = self.variables.clone();
        let matches = self.matches_words(line, *first, said);
        if !matches {
            self.variables = before;
        }
        matches
    }

    fn matches_words(&mut self, line: &str, first: usize, said: &Response) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if ["ok", "no", "bad", "bye"].contains(&word) {
            return word.eq_ignore_ascii_case(said.word(1))
                && (rest.is_empty() || self.matches_code(rest, said.word(2)));
        }
        let mut octets = format!("* {line}\r\n").into_bytes();
        if rest.is_empty() && word.is_empty() {
            octets = b"*\r\n".to_vec();
        }
        let Ok((expected, _)) = Response::read(&octets) else {
            panic!("{}: cannot read {line:?}", self.script.name)
        };
        let mut said = said.0.clone();
        if let Some(number) = word.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()) {
            if first != number {
                return false;
            }
            said[1] = expected.0[1].clone();
        }
        if said.len() != expected.0.len() {
            return false;
        }
        let kind = match said.get(1) {
            Some(Value::Atom(kind)) if kind.parse::<u32>().is_err() => kind.clone(),
            _ => shown(&Response(said[2..3].to_vec())),
        };
        let pairs = expected.0.iter().zip(&said);
        pairs
            .enumerate()
            .all(|(n, (expected, said))| match (n, kind.as_str()) {
                (2, "LIST" | "LSUB") => self.matches_some(expected, said),
                (3, "FETCH" | "STATUS") => self.matches_items(expected, said),
                _ => self.matches_value(expected, said),
            })
    }

    /// `[code argument]` at the beginning of a text.
    fn matches_code(&mut self, code: &str, text: &str) -> bool {
        let inner = |text: &str| Some(text.strip_prefix('[')?.split_once(']')?.0.to_owned());
        let (Some(code), Some(said)) = (inner(code), inner(text)) else {
            return false;
        };
        let (code, said): (Vec<_>, Vec<_>) = (code.split(' ').collect(), said.split(' ').collect());
        code.len() == said.len()
            && code
                .iter()
                .zip(said)
                .all(|(code, said)| self.matches_text(code, said))
    }

    /// Names and values in any order; others may be there.
    fn matches_items(&mut self, expected: &Value, said: &Value) -> bool {
        let (Value::List(expected), Value::List(said)) = (expected, said) else {
            return false;
        };
        expected.chunks(2).all(|pair| {
            said.chunks(2).any(|item| {
                let is_named = self.matches_value(&pair[0], &item[0]);
                let is_flags = shown(&Response(vec![item[0].clone()])) == "FLAGS";
                is_named
                    && match is_flags {
                        true => self.matches_flags(&pair[1], &item[1]),
                        false => self.matches_value(&pair[1], &item[1]),
                    }
            })
        })
    }

    /// The same in any order, but for `\Recent`, which anybody may see.
    fn matches_flags(&mut self, expected: &Value, said: &Value) -> bool {
        let (Value::List(expected), Value::List(said)) = (expected, said) else {
            return false;
        };
        let is_recent =
            |one: &Value| matches!(one, Value::Atom(a) if a.eq_ignore_ascii_case("\\recent"));
        let others = |list: &[Value]| list.iter().filter(|one| !is_recent(one)).count();
        others(expected) == others(said)
            && expected
                .iter()
                .all(|one| said.iter().any(|other| self.matches_value(one, other)))
    }

    fn matches_some(&mut self, expected: &Value, said: &Value) -> bool {
        let (Value::List(expected), Value::List(said)) = (expected, said) else {
            return false;
        };
        expected.iter().all(|one| match one {
            Value::Atom(text) if text.starts_with("$!ban=") => {
                let ban = Value::Atom(text[6..].to_owned());
                !said.iter().any(|other| self.matches_value(&ban, other))
            }
            Value::Atom(text) if text.starts_with("$!") => true,
            _ => said.iter().any(|other| self.matches_value(one, other)),
        })
    }

    fn matches_value(&mut self, expected: &Value, said: &Value) -> bool {
        match (expected, said) {
            (Value::List(expected), Value::List(said)) => {
                if expected
                    .iter()
                    .any(|one| matches!(one, Value::Atom(a) if a.starts_with("$!")))
                {
                    return true;
                }
                expected.len() == said.len()
                    && expected
                        .iter()
                        .zip(said)
                        .all(|(a, b)| self.matches_value(a, b))
            }
            (Value::Nil, Value::Nil) => true,
            (Value::List(_) | Value::Nil, _) | (_, Value::List(_) | Value::Nil) => {
                // A variable may stand for anything, NIL and lists included.
                matches!(expected, Value::Atom(a) if a.starts_with('$'))
            }
            (Value::Atom(a), Value::Atom(b)) => self.matches_text(a, b),
            (expected, said) => {
                let text = |value: &Value| match value {
                    Value::String(octets) => String::from_utf8_lossy(octets).replace('\r', ""),
                    other => shown(&Response(vec![other.clone()])),
                };
                let (expected, said) = (text(expected), text(said));
                self.matches_text(&expected, &said)
            }
        }
    }

    fn matches_text(&mut self, expected: &str, said: &str) -> bool {
        let filled = self.fill(expected);
        if let Some((before, rest)) = filled.split_once('$') {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
            if !name.is_empty() && said.len() >= before.len() + after.len() {
                let middle = &said[before.len()..said.len() - after.len()];
                if said.starts_with(before) && said.ends_with(after) {
                    self.variables.insert(name.to_owned(), middle.to_owned());
                    return true;
                }
            }
        }
        filled.eq_ignore_ascii_case(said)
    }

    /// The text with what is known of its variables; `$$` is a dollar.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                filled.push('$');
                rest = after;
                continue;
            }
            let (name, tail) = match after.strip_prefix('{') {
                Some(inner) => inner.split_once('}').unwrap(),
                None => {
                    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
            match self.variables.get(name) {
                Some(value) => filled.push_str(value),
                None => filled.push_str(&format!("${name}")),
            }
            rest = tail;
        }
        filled + rest
    }
}

/// `ok`, `no` or `bad`, with nothing or a code behind it.
fn is_end(line: &str) -> bool {
    let line = line
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start();
    let (status, rest) = line.split_once(' ').unwrap_or((line, ""));
    ["ok", "no", "bad"].contains(&status) && (rest.is_empty() || rest.starts_with('['))
}

/// `{{{`, lines, `}}}` become a literal.
fn take_literal<'a>(
    line: &mut String,
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'a String>>,
) {
    while line.ends_with("{{{") {
        let is_command = !line.starts_with(['*', '!', '?']);
        line.truncate(line.len() - 3);
        if line.ends_with('~') {
            line.pop();
        }
        let mut text = String::new();
        let mut end = String::new();
        for next in lines.by_ref() {
            if let Some(rest) = next.strip_prefix("}}}") {
                rest.clone_into(&mut end);
                break;
            }
            text.push_str(next);
            text.push('\n');
        }
        text.pop();
        if is_command {
            text = String::from_utf8(crlf(text.as_bytes())).unwrap();
        }
        let plus = if is_command { "+" } else { "" };
        line.push_str(&format!("{{{}{plus}}}\r\n{text}{end}", text.len()));
    }
}

fn split_mbox(octets: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(octets).into_owned();
    let mut messages: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("From ") {
            messages.push(String::new());
        } else if let Some(message) = messages.last_mut() {
            message.push_str(line);
        }
    }
    messages
        .iter()
        .map(|message| crlf(message.as_bytes()))
        .collect()
}
