//! A reply in the form that SMTP gave it: a code, an enhanced code, a text.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// An enhanced status code, `class.subject.detail` (RFC 3463 §2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Enhanced(pub u8, pub u16, pub u16);

/// What one side of an SMTP dialogue answers (RFC 5321 §4.2), and how a delivery's end is kept.
///
/// The text may have several lines, separated by `\n`; it holds no other control characters.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    text: Cow<'static, str>,
}

impl Reply {
    /// A reply; `code` is 200 to 599.
    ///
    /// Control characters in `text` other than `\n` become spaces, so that nothing that a peer
    /// said can begin a line of ours.
    pub fn new(
        code: u16,
        enhanced: impl Into<Option<Enhanced>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut text = text.into();
        if text.bytes().any(|b| b != b'\n' && b.is_ascii_control()) {
            let clean = |c: char| {
                if c != '\n' && c.is_ascii_control() {
                    ' '
                } else {
                    c
                }
            };
            text = text.chars().map(clean).collect::<String>().into();
        }
        Self {
            code,
            enhanced: enhanced.into(),
            text,
        }
    }

    /// The three digits.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code, if there is one.
    #[must_use]
    pub const fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The text, lines separated by `\n`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this says yes (2xx) or go on (3xx).
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Whether this says "not now" (4xx).
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.code >= 400 && self.code < 500
    }

    /// Whether this says "never" (5xx).
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// Appends the reply as it goes over the wire, CRLF included (RFC 5321 §4.2.1, RFC 2034 §4).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.text.len() + LINE_OCTETS);
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { '-' } else { ' ' };
            push_number(out, self.code);
            out.push(separator as u8);
            if let Some(Enhanced(class, subject, detail)) = self.enhanced {
                push_number(out, class.into());
                out.push(b'.');
                push_number(out, subject);
                out.push(b'.');
                push_number(out, detail);
                out.push(b' ');
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// What a line has beside its text.
const LINE_OCTETS: usize = 16;

/// Replies are written for every command of every session: no detour through a `String`.
fn push_number(out: &mut Vec<u8>, number: u16) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// On one line, for logs and reports.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        write!(f, " {}", self.text.replace('\n', " / "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_line_carries_both_codes_and_the_last_one_a_space() {
        let reply = Reply::new(550, Enhanced(5, 1, 1), "no such user\ntry another");
        assert_eq!(
            wire(&reply),
            "550-5.1.1 no such user\r\n550 5.1.1 try another\r\n"
        );
        assert_eq!(wire(&Reply::new(354, None, "go on")), "354 go on\r\n");
    }

    #[test]
    fn what_a_peer_said_cannot_begin_a_line_of_ours() {
        let reply = Reply::new(451, None, "host said: x\r\n250 ok".to_owned());
        assert_eq!(wire(&reply), "451-host said: x \r\n451 250 ok\r\n");
    }
}
