//! Reads the smallest parts of a command: atoms, strings, numbers (RFC 3501 §9).

use std::borrow::Cow;

use super::MailboxName;
use crate::reply::{Code, Reply};

/// A place in a command.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

/// Why a command could not be read to its end.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// A literal is announced at the end of the input: it must be read first.
    Literal(Literal),
    /// The command is refused.
    Refuse(Reply),
}

/// An announced literal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Literal {
    /// Its length, or `u64::MAX` for anything longer.
    pub(crate) octets: u64,
    /// Whether the client waits for our word before it sends it (RFC 7888 §3).
    pub(crate) waits: bool,
}

impl Stop {
    pub(crate) const fn bad(text: &'static str) -> Self {
        Self::Refuse(Reply::bad(text))
    }
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    /// Takes the word if it is next, without regard to case.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let found = self
            .input
            .get(self.at..end)
            .is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()));
        if found {
            self.at = end;
        }
        found
    }

    pub(crate) fn expect(&mut self, octet: u8, otherwise: &'static str) -> Result<(), Stop> {
        if self.eat(octet) {
            Ok(())
        } else {
            Err(Stop::bad(otherwise))
        }
    }

    pub(crate) fn space(&mut self) -> Result<(), Stop> {
        self.expect(b' ', "a space and more arguments are expected")
    }

    pub(crate) fn end(&self) -> Result<(), Stop> {
        if self.at == self.input.len() {
            Ok(())
        } else {
            Err(Stop::bad("too many arguments, or not in the right form"))
        }
    }

    pub(crate) fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.input[self.at..];
        let length = rest.iter().position(|&o| !keep(o)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.input[self.at..];
        self.at = self.input.len();
        rest
    }

    /// Octets that `keep` wants, all of them US-ASCII; empty if there are none.
    pub(crate) fn ascii(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let taken = self.take_while(|octet| octet.is_ascii() && keep(octet));
        std::str::from_utf8(taken).unwrap_or_default()
    }

    /// A name of the grammar itself: letters, digits, dots and hyphens.
    pub(crate) fn word(&mut self) -> &'a str {
        self.ascii(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'))
    }

    pub(crate) fn atom(&mut self) -> Result<&'a str, Stop> {
        match self.ascii(is_atom) {
            "" => Err(Stop::bad("an atom is expected")),
            atom => Ok(atom),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u32, Stop> {
        u32::try_from(self.number64()?).map_err(|_| Stop::bad("the number is too large"))
    }

    pub(crate) fn number64(&mut self) -> Result<u64, Stop> {
        let digits = self.take_while(|octet| octet.is_ascii_digit());
        if digits.is_empty() {
            return Err(Stop::bad("a number is expected"));
        }
        decimal(digits).ok_or_else(|| Stop::bad("the number is too large"))
    }

    /// A string, or the octets of an atom (in which `]` may occur).
    pub(crate) fn astring(&mut self) -> Result<Cow<'a, [u8]>, Stop> {
        self.string_or(|octet| is_atom(octet) || octet == b']')
    }

    /// The pattern of LIST: like an astring, with wildcards.
    pub(crate) fn list_mailbox(&mut self) -> Result<Cow<'a, [u8]>, Stop> {
        self.string_or(|octet| is_atom(octet) || matches!(octet, b']' | b'%' | b'*'))
    }

    fn string_or(&mut self, bare: impl Fn(u8) -> bool) -> Result<Cow<'a, [u8]>, Stop> {
        if let Some(b'"' | b'{') = self.peek() {
            return self.string();
        }
        match self.take_while(bare) {
            b"" => Err(Stop::bad("an atom or a string is expected")),
            atom => Ok(Cow::Borrowed(atom)),
        }
    }

    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>, Stop> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(Stop::bad("a string is expected")),
        }
    }

    /// Octets above 127 are let through: who reads the text decides about them.
    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, Stop> {
        self.at += 1;
        let plain = self.take_while(|octet| !is_quoted_special(octet));
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => match self.input.get(self.at + 1) {
                    Some(&escaped @ (b'"' | b'\\')) => {
                        self.at += 2;
                        text.push(escaped);
                    }
                    _ => return Err(Stop::bad("a backslash quotes only a quote or a backslash")),
                },
                _ => return Err(Stop::bad("a quoted string is not closed")),
            }
            text.extend_from_slice(self.take_while(|octet| !is_quoted_special(octet)));
        }
    }

    fn literal(&mut self) -> Result<&'a [u8], Stop> {
        let announced = self.literal_head()?;
        if self.at == self.input.len() {
            return Err(Stop::Literal(announced));
        }
        self.eat(b'\r');
        self.expect(b'\n', "a line must end after the length of a literal")?;
        let octets = usize::try_from(announced.octets)
            .ok()
            .and_then(|length| self.at.checked_add(length))
            .and_then(|end| self.input.get(self.at..end))
            .ok_or_else(|| Stop::bad("a literal is not whole"))?;
        self.at += octets.len();
        if memchr::memchr(0, octets).is_some() {
            return Err(Stop::bad("a literal holds no NUL")); // RFC 3501 §4.3
        }
        Ok(octets)
    }

    /// `{n}` or `{n+}`, up to the brace.
    pub(crate) fn literal_head(&mut self) -> Result<Literal, Stop> {
        const FORM: &str = "the length of a literal is {number} or {number+}";
        self.expect(b'{', FORM)?;
        let digits = self.take_while(|octet| octet.is_ascii_digit());
        if digits.is_empty() {
            return Err(Stop::bad(FORM));
        }
        let octets = decimal(digits).unwrap_or(u64::MAX);
        let waits = !self.eat(b'+');
        self.expect(b'}', FORM)?;
        Ok(Literal { octets, waits })
    }

    /// Whether everything has been read.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.at == self.input.len()
    }

    pub(crate) fn mailbox(&mut self) -> Result<MailboxName, Stop> {
        let wire = self.astring()?;
        MailboxName::from_wire(&wire).ok_or_else(|| {
            // RFC 5530 §3: CANNOT, for what violates some invariant of the server.
            Stop::Refuse(Reply::no("that is no mailbox name").with(Code::Cannot))
        })
    }

    /// An astring that must be UTF-8.
    pub(crate) fn text(&mut self) -> Result<String, Stop> {
        String::from_utf8(self.astring()?.into_owned())
            .map_err(|_| Stop::bad("a string is not UTF-8"))
    }
}

/// `{n}` or `{n+}` at the end of a line that is not read otherwise.
pub(crate) fn literal_at_end(line: &[u8]) -> Option<Literal> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, waits) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let begin = inner.iter().rposition(|octet| !octet.is_ascii_digit())?;
    if inner[begin] != b'{' || begin + 1 == inner.len() {
        return None;
    }
    let octets = decimal(&inner[begin + 1..]).unwrap_or(u64::MAX);
    Some(Literal { octets, waits })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// `ATOM-CHAR` of RFC 3501 §9.
pub(crate) const fn is_atom(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(
            octet,
            b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']'
        )
}

const fn is_quoted_special(octet: u8) -> bool {
    matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_in_three_forms() {
        for (wire, meaning) in [
            (&b"a]b"[..], &b"a]b"[..]),
            (b"\"a \\\"b\\\\\"", b"a \"b\\"),
            (b"\"\"", b""),
            (b"{3}\r\na\r\n", b"a\r\n"),
            (b"{3+}\nabc", b"abc"),
            (b"NIL", b"NIL"),
        ] {
            let mut cursor = Cursor::new(wire);
            assert_eq!(&*cursor.astring().unwrap(), meaning);
            assert!(cursor.is_at_end());
        }
        for bad in [
            "\"a",
            "\"a\\n\"",
            "\"a\r\"",
            "(",
            "{3}x\r\nabc",
            "{}\r\n",
            "{3}\r\nab",
        ] {
            assert!(Cursor::new(bad.as_bytes()).astring().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_literal_is_known_before_it_is_read() {
        let of = |wire: &str| Cursor::new(wire.as_bytes()).astring().unwrap_err();
        let literal = |octets, waits| Stop::Literal(Literal { octets, waits });
        assert_eq!(of("{4294967296}"), literal(4_294_967_296, true));
        assert_eq!(of("{99999999999999999999+}"), literal(u64::MAX, false));
        assert_eq!(
            literal_at_end(b"x {17+}"),
            Some(Literal {
                octets: 17,
                waits: false
            })
        );
        for bad in ["x {+}", "{}", "17}", "x", ""] {
            assert_eq!(literal_at_end(bad.as_bytes()), None, "{bad}");
        }
    }
}
