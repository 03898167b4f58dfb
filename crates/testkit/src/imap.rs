//! A small IMAP client with literals, for tests that look closely.

use std::io;
use std::net::ToSocketAddrs;
use std::time::Duration;

use crate::wire::Wire;

/// A client in the middle of a session.
pub struct ImapClient {
    wire: Wire,
    number: u32,
    greeting: String,
}

/// One response, with its literals.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Response {
    /// The response as it came, literals and all, without the last CRLF.
    pub raw: Vec<u8>,
    /// The literals that it holds, in order.
    pub literals: Vec<Vec<u8>>,
}

impl Response {
    /// The response as text, for comparing what holds no binary.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }
}

/// Everything that a command brought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The untagged responses, in order, with their `* `.
    pub untagged: Vec<Response>,
    /// The tagged response without its tag: `OK …`, `NO …` or `BAD …`.
    pub tagged: String,
}

impl Answer {
    /// The answer, if it is OK.
    ///
    /// # Panics
    /// When it is NO or BAD.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.is_ok(), "the server said: {}", self.tagged);
        self
    }

    /// Whether the tagged response is OK.
    pub fn is_ok(&self) -> bool {
        self.tagged.starts_with("OK")
    }

    /// The first untagged response that holds `word`, as text.
    pub fn find(&self, word: &str) -> Option<String> {
        self.untagged
            .iter()
            .map(Response::text)
            .find(|text| text.contains(word))
    }

    /// The number in `* <number> <word>` of the last such response.
    pub fn number(&self, word: &str) -> Option<u32> {
        let of = |text: String| {
            let mut words = text.split(' ').skip(1);
            let number = words.next()?.parse().ok()?;
            (words.next() == Some(word)).then_some(number)
        };
        self.untagged
            .iter()
            .rev()
            .find_map(|response| of(response.text()))
    }
}

impl ImapClient {
    /// Connects, and reads the greeting.
    ///
    /// # Panics
    /// When there is no greeting.
    #[track_caller]
    pub fn connect(address: impl ToSocketAddrs) -> Self {
        Self::greeted(Wire::connect(address).expect("the listener accepts"))
    }

    /// Goes on with a connection that has not read the greeting yet.
    ///
    /// # Panics
    /// When there is no greeting.
    #[track_caller]
    pub fn greeted(wire: Wire) -> Self {
        let mut client = Self::unheard(wire);
        client.greeting = client.response().text();
        assert!(
            client.greeting.starts_with("* OK"),
            "no greeting: {}",
            client.greeting
        );
        client
    }

    /// Goes on with a connection whose greeting is read as the first response.
    pub const fn unheard(wire: Wire) -> Self {
        Self {
            wire,
            number: 0,
            greeting: String::new(),
        }
    }

    /// The greeting.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// The connection below.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Sends a command and reads everything up to its tagged response.
    ///
    /// # Panics
    /// When the connection ends.
    #[track_caller]
    pub fn command(&mut self, command: impl AsRef<[u8]>) -> Answer {
        let command = command.as_ref();
        let answer = self.try_command(command);
        answer.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(command)))
    }

    /// Sends a command and reads everything up to its tagged response.
    ///
    /// # Errors
    /// The connection ends, or no answer comes in time.
    pub fn try_command(&mut self, command: impl AsRef<[u8]>) -> io::Result<Answer> {
        let tag = self.start(command.as_ref())?;
        self.finish(&tag)
    }

    /// Sends a command and does not wait; returns its tag.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn start(&mut self, command: &[u8]) -> io::Result<String> {
        self.number += 1;
        let tag = format!("t{}", self.number);
        self.wire
            .send(&[tag.as_bytes(), b" ", command, b"\r\n"].concat())?;
        Ok(tag)
    }

    /// Reads everything up to the tagged response of `tag`.
    ///
    /// # Errors
    /// The connection ends, or no answer comes in time.
    pub fn finish(&mut self, tag: &str) -> io::Result<Answer> {
        let mut untagged = Vec::new();
        loop {
            let response = self.try_response()?;
            let text = response.text();
            match text
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
            {
                Some(tagged) => {
                    return Ok(Answer {
                        untagged,
                        tagged: tagged.to_owned(),
                    });
                }
                None => untagged.push(response),
            }
        }
    }

    /// Logs in by LOGIN.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn login(&mut self, user: &str, password: &str) {
        self.command(format!("LOGIN {user} {password}")).ok();
    }

    /// Changes to TLS by STARTTLS.
    ///
    /// # Panics
    /// When the server refuses or the handshake fails.
    #[track_caller]
    pub fn starttls(&mut self) {
        self.command("STARTTLS").ok();
        assert_eq!(
            self.wire.pending(),
            b"",
            "octets after the answer to STARTTLS"
        );
        self.wire.secure().expect("the TLS handshake succeeds");
    }

    /// Puts a message into a mailbox with a literal that waits for the server's word.
    ///
    /// # Panics
    /// When the connection ends.
    #[track_caller]
    pub fn append(&mut self, mailbox: &str, flags: &str, message: &[u8]) -> Answer {
        let command = format!("APPEND {mailbox} ({flags}) {{{}}}", message.len());
        let tag = self.start(command.as_bytes()).expect("the server reads");
        let go = self.response();
        if go.raw.starts_with(b"+") {
            self.wire
                .send(&[message, b"\r\n"].concat())
                .expect("the server reads");
            return self
                .finish(&tag)
                .unwrap_or_else(|error| panic!("APPEND: {error}"));
        }
        let tagged = go
            .text()
            .split_once(' ')
            .map_or_else(String::new, |(_, rest)| rest.to_owned());
        Answer {
            untagged: Vec::new(),
            tagged,
        }
    }

    /// The only literal of the only FETCH response of a message: its body, its header.
    ///
    /// # Panics
    /// When the answer is not one response with one literal.
    #[track_caller]
    pub fn fetch_literal(&mut self, set: &str, item: &str) -> Vec<u8> {
        let answer = self.command(format!("FETCH {set} ({item})")).ok();
        let mut literals = answer
            .untagged
            .into_iter()
            .flat_map(|response| response.literals);
        let Some(literal) = literals.next() else {
            panic!("FETCH {set} {item} brought no literal");
        };
        literal
    }

    /// Begins to idle, and returns when the server has agreed.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn idle(&mut self) -> String {
        let tag = self.start(b"IDLE").expect("the server reads");
        let go = self.response();
        assert!(go.raw.starts_with(b"+"), "IDLE was answered: {}", go.text());
        tag
    }

    /// The next response, whatever it is.
    ///
    /// # Panics
    /// When the connection ends.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response()
            .unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// The next response, if it comes within `limit`.
    ///
    /// # Panics
    /// When the connection ends.
    #[track_caller]
    pub fn response_within(&mut self, limit: Duration) -> Option<Response> {
        self.wire
            .patience(limit)
            .expect("the socket takes a time limit");
        let response = self.try_response();
        self.wire
            .patience(crate::SHORT)
            .expect("the socket takes a time limit");
        match response {
            Ok(response) => Some(response),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => panic!("closed"),
            Err(_) => None,
        }
    }

    /// The next response, whatever it is.
    ///
    /// # Errors
    /// The connection ends, or nothing comes in time.
    pub fn try_response(&mut self) -> io::Result<Response> {
        let mut response = Response::default();
        loop {
            let line = self.wire.line()?;
            let literal = literal_octets(&line);
            response.raw.extend_from_slice(&line);
            let Some(octets) = literal else {
                return Ok(response);
            };
            let octets = self.wire.exact(octets)?;
            response.raw.extend_from_slice(b"\r\n");
            response.raw.extend_from_slice(&octets);
            response.literals.push(octets);
        }
    }
}

/// The length of the literal that a line announces at its end.
fn literal_octets(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&inner[start + 1..]).ok()?.parse().ok()
}

#[test]
fn a_line_announces_a_literal_only_with_a_length_in_braces_at_its_end() {
    assert_eq!(literal_octets(b"* 1 FETCH (BODY[] {42}"), Some(42));
    assert_eq!(literal_octets(b"* OK {42} done"), None);
    assert_eq!(literal_octets(b"* OK {x}"), None);
}
