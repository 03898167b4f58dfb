//! A small SMTP and LMTP client that also says what no client should say.

use std::fmt;
use std::io;
use std::net::ToSocketAddrs;

use crate::wire::Wire;

/// A client in the middle of a session.
pub struct SmtpClient {
    wire: Wire,
}

/// One reply: its code, and the text of its lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SmtpReply {
    /// The three digits.
    pub code: u16,
    /// What follows the code, one entry for each line.
    pub lines: Vec<String>,
}

impl SmtpReply {
    /// Whether the reply has this code; a panic with the whole reply if not.
    ///
    /// # Panics
    /// When the code is another one.
    #[track_caller]
    pub fn expect(self, code: u16) -> Self {
        assert_eq!(self.code, code, "the server said: {self}");
        self
    }

    /// Whether one of the lines begins with this word (extensions in the reply to EHLO).
    pub fn offers(&self, word: &str) -> bool {
        self.lines
            .iter()
            .any(|line| line.split(' ').next() == Some(word))
    }
}

impl fmt::Display for SmtpReply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.code, self.lines.join(" / "))
    }
}

impl SmtpClient {
    /// Connects, and reads the greeting.
    ///
    /// # Panics
    /// When there is no greeting of 220.
    #[track_caller]
    pub fn connect(address: impl ToSocketAddrs) -> Self {
        Self::greeted(Wire::connect(address).expect("the listener accepts"))
    }

    /// Connects under TLS from the first octet, and reads the greeting.
    ///
    /// # Panics
    /// When there is no greeting of 220.
    #[track_caller]
    pub fn connect_tls(address: impl ToSocketAddrs) -> Self {
        Self::greeted(Wire::connect_tls(address).expect("the listener speaks TLS"))
    }

    /// Goes on with a connection that has not read the greeting yet.
    ///
    /// # Panics
    /// When there is no greeting of 220.
    #[track_caller]
    pub fn greeted(wire: Wire) -> Self {
        let mut client = Self::unheard(wire);
        client.reply().expect(220);
        client
    }

    /// Goes on with a connection whose greeting is read as the first reply.
    pub const fn unheard(wire: Wire) -> Self {
        Self { wire }
    }

    /// The connection below.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Sends a command line and reads the reply.
    ///
    /// # Panics
    /// When the connection ends.
    #[track_caller]
    pub fn command(&mut self, line: impl AsRef<[u8]>) -> SmtpReply {
        let line = line.as_ref();
        let answer = self.try_command(line);
        answer.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(line)))
    }

    /// Sends a command line and reads the reply.
    ///
    /// # Errors
    /// The connection ends, or there is no reply in time.
    pub fn try_command(&mut self, line: impl AsRef<[u8]>) -> io::Result<SmtpReply> {
        self.wire.send(&[line.as_ref(), b"\r\n"].concat())?;
        self.try_reply()
    }

    /// Reads the next reply.
    ///
    /// # Panics
    /// When the connection ends.
    #[track_caller]
    pub fn reply(&mut self) -> SmtpReply {
        self.try_reply()
            .unwrap_or_else(|error| panic!("no reply: {error}"))
    }

    /// Reads the next reply.
    ///
    /// # Errors
    /// The connection ends, there is no reply in time, or it is not a reply (`InvalidData`).
    pub fn try_reply(&mut self) -> io::Result<SmtpReply> {
        let mut lines = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.wire.line()?).into_owned();
            let wrong =
                || io::Error::new(io::ErrorKind::InvalidData, format!("not a reply: {line}"));
            let code = line
                .get(..3)
                .and_then(|code| code.parse().ok())
                .ok_or_else(wrong)?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            match line.as_bytes().get(3) {
                Some(b'-') => {}
                Some(b' ') | None => return Ok(SmtpReply { code, lines }),
                Some(_) => return Err(wrong()),
            }
        }
    }

    /// Says EHLO, and returns what is offered.
    ///
    /// # Panics
    /// When the answer is not 250.
    #[track_caller]
    pub fn ehlo(&mut self) -> SmtpReply {
        self.command("EHLO client.test").expect(250)
    }

    /// Changes to TLS by STARTTLS; EHLO has to be said again afterwards.
    ///
    /// # Panics
    /// When the server refuses or the handshake fails.
    #[track_caller]
    pub fn starttls(&mut self) {
        self.command("STARTTLS").expect(220);
        assert_eq!(
            self.wire.pending(),
            b"",
            "octets after the reply to STARTTLS"
        );
        self.wire.secure().expect("the TLS handshake succeeds");
    }

    /// Logs in by AUTH PLAIN and returns the reply.
    #[track_caller]
    pub fn auth_plain(&mut self, user: &str, password: &str) -> SmtpReply {
        let token = base64(format!("\0{user}\0{password}").as_bytes());
        self.command(format!("AUTH PLAIN {token}"))
    }

    /// Sends one message; `data` is sent as it is, with dots stuffed and the end added.
    ///
    /// Returns the last reply: the first refusal, or the one to the message.
    ///
    /// # Panics
    /// When the connection ends.
    #[track_caller]
    pub fn send(&mut self, from: &str, to: &[&str], data: &[u8]) -> SmtpReply {
        self.try_send(from, to, data)
            .unwrap_or_else(|error| panic!("while sending: {error}"))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The connection ends in the middle.
    pub fn try_send(&mut self, from: &str, to: &[&str], data: &[u8]) -> io::Result<SmtpReply> {
        let reply = self.try_command(format!("MAIL FROM:<{from}>"))?;
        if reply.code != 250 {
            return Ok(reply);
        }
        for to in to {
            let reply = self.try_command(format!("RCPT TO:<{to}>"))?;
            if reply.code / 100 != 2 {
                self.try_command("RSET")?;
                return Ok(reply);
            }
        }
        let reply = self.try_command("DATA")?;
        if reply.code != 354 {
            return Ok(reply);
        }
        self.wire.send(&stuffed(data))?;
        self.try_reply()
    }
}

/// A body as DATA carries it: dots stuffed (RFC 5321 §4.5.2), ended by `CRLF . CRLF`.
fn stuffed(data: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(data.len() + 64);
    for line in data.split_inclusive(|&octet| octet == b'\n') {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !data.is_empty() && !data.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// Base 64 with padding (RFC 4648 §4), for AUTH.
pub(crate) fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in octets.chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, &octet| bits << 8 | u32::from(octet));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[test]
fn base64_pads_what_is_not_a_multiple_of_three() {
    let of = |text: &str| base64(text.as_bytes());
    assert_eq!(
        [of(""), of("f"), of("fo"), of("foo"), of("foob")],
        ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
    );
}

#[test]
fn a_dot_at_the_start_of_a_line_is_stuffed_and_the_end_added() {
    assert_eq!(
        stuffed(b".a\r\nb.\r\n..\r\nc"),
        b"..a\r\nb.\r\n...\r\nc\r\n.\r\n"
    );
    assert_eq!(stuffed(b""), b".\r\n");
}
