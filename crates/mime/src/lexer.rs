//! The words of structured fields: white space, comments, atoms, quoted strings (RFC 5322 §3.2).

use std::borrow::Cow;

/// Walks over a field's value, folded or not: line ends are white space to it.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    data: &'a [u8],
    at: usize,
    /// The text of the last comment that was skipped.
    pub(crate) comment: Option<Cow<'a, [u8]>>,
}

/// A text put together from runs of the value; borrowed as long as the runs lie side by side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece<'a> {
    text: Cow<'a, [u8]>,
    /// Where the run ends in the value, while the text is borrowed.
    end: usize,
}

impl<'a> Piece<'a> {
    pub(crate) fn take(self) -> Cow<'a, [u8]> {
        self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn push(&mut self, octet: u8) {
        self.text.to_mut().push(octet);
    }

    fn run(&mut self, data: &'a [u8], from: usize, to: usize) {
        match &mut self.text {
            text if text.is_empty() => self.text = Cow::Borrowed(&data[from..to]),
            Cow::Borrowed(text) if self.end == from => *text = &data[from - text.len()..to],
            text => text.to_mut().extend_from_slice(&data[from..to]),
        }
        self.end = to;
    }
}

impl<'a> Lexer<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            comment: None,
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.data.len()
    }

    pub(crate) fn bump(&mut self) {
        self.at += 1;
    }

    /// Whether `octet` comes next; if so, it is taken.
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        let eaten = self.peek() == Some(octet);
        self.at += usize::from(eaten);
        eaten
    }

    /// Skips to the next `octet` or the end.
    pub(crate) fn seek(&mut self, octet: u8) {
        let rest = &self.data[self.at.min(self.data.len())..];
        self.at += memchr::memchr(octet, rest).unwrap_or(rest.len());
    }

    /// Skips white space and comments; they may be nested, and the last may be left open.
    pub(crate) fn skip(&mut self) {
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'(' => self.skip_comment(),
                _ => break,
            }
        }
    }

    fn skip_comment(&mut self) {
        self.at += 1;
        let mut depth = 1_u32;
        let mut text = Piece::default();
        while let Some(octet) = self.peek() {
            match octet {
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at += 1;
                break;
            }
            match octet {
                b'\r' | b'\n' => {}
                b'\\' if self.at + 1 < self.data.len() => {
                    self.at += 1;
                    text.run(self.data, self.at, self.at + 1);
                }
                _ => text.run(self.data, self.at, self.at + 1),
            }
            self.at += 1;
        }
        self.comment = Some(text.take());
    }

    /// The longest run of such octets, which may be empty.
    pub(crate) fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.data[self.at.min(self.data.len())..];
        let length = rest.iter().position(|&b| !belongs(b)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A token of MIME (RFC 2045 §5.1) and the white space behind it.
    pub(crate) fn token(&mut self) -> Option<&'a [u8]> {
        let token = self.run(is_token);
        self.skip();
        (!token.is_empty()).then_some(token)
    }

    /// The quoted string that begins here, without its quotes, and the white space behind it.
    /// One that is left open goes to the end; then this is false.
    pub(crate) fn quoted(&mut self, out: &mut Piece<'a>) -> bool {
        self.at += 1;
        let mut from = self.at;
        while let Some(octet) = self.peek() {
            let special = matches!(octet, b'"' | b'\\' | b'\r' | b'\n');
            if special && from < self.at {
                out.run(self.data, from, self.at);
            }
            self.at += 1;
            if special {
                from = self.at;
            }
            match octet {
                b'"' => {
                    self.skip();
                    return true;
                }
                b'\\' if self.at < self.data.len() => self.at += 1, // taken as it is
                _ => {}
            }
        }
        if from < self.at {
            out.run(self.data, from, self.at);
        }
        false
    }

    /// Atoms with dots between them, white space and comments around the dots forgotten
    /// (RFC 5322 §4.4). False if there is none.
    pub(crate) fn dot_atom(&mut self, out: &mut Piece<'a>) -> bool {
        let mut found = false;
        loop {
            let from = self.at;
            if self.run(is_atext).is_empty() && self.peek() != Some(b'.') {
                return found;
            }
            if self.at > from {
                out.run(self.data, from, self.at);
            }
            found = true;
            self.skip();
            let dot = self.at;
            if !self.eat(b'.') {
                return true;
            }
            out.run(self.data, dot, dot + 1);
            self.skip();
        }
    }

    /// A domain or, in square brackets, an address literal. False if there is none or it is
    /// left open.
    pub(crate) fn domain(&mut self, out: &mut Piece<'a>) -> bool {
        self.skip();
        if self.peek() != Some(b'[') {
            return self.dot_atom(out);
        }
        while let Some(octet) = self.peek() {
            if !matches!(octet, b'\r' | b'\n') {
                out.run(self.data, self.at, self.at + 1);
            }
            self.at += 1;
            if octet == b']' {
                self.skip();
                return true;
            }
        }
        false
    }

    /// Words with one space between them; dots may stand among them (RFC 5322 §4.1). False if a
    /// quoted string is left open.
    pub(crate) fn phrase(&mut self, out: &mut Piece<'a>) -> bool {
        let mut first = true;
        while let Some(octet) = self.peek() {
            let belongs = |b| is_atext(b) || b == b'.';
            if octet != b'"' && !belongs(octet) {
                break;
            }
            if !first {
                self.space(out);
            }
            first = false;
            if octet == b'"' {
                if !self.quoted(out) {
                    return false;
                }
            } else {
                let from = self.at;
                self.run(belongs);
                out.run(self.data, from, self.at);
                self.skip();
            }
        }
        true
    }

    /// One space between words: that of the value, if it is one that stands between them.
    fn space(&self, out: &mut Piece<'a>) {
        let borrowed = matches!(out.text, Cow::Borrowed(_)) && !out.is_empty();
        if borrowed && out.end + 1 == self.at && self.data.get(out.end) == Some(&b' ') {
            out.run(self.data, out.end, self.at);
        } else {
            out.push(b' ');
        }
    }
}

/// RFC 5322 §3.2.3, and every octet above 127 (RFC 6532 §3.2, and what came before it).
fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// RFC 2045 §5.1.
fn is_token(octet: u8) -> bool {
    octet > b' ' && octet != 0x7f && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_borrowed_where_they_lie_side_by_side() {
        let mut phrase = Piece::default();
        assert!(Lexer::new(b"John Q. Public <").phrase(&mut phrase));
        assert!(matches!(phrase.take(), Cow::Borrowed(b"John Q. Public")));
        let mut phrase = Piece::default();
        assert!(Lexer::new(b"\"a \\\"b\\\" c\"  (x) d.e").phrase(&mut phrase));
        assert_eq!(&*phrase.take(), b"a \"b\" c d.e");
    }

    #[test]
    fn comments_nest_and_are_remembered() {
        let mut lexer = Lexer::new(b" (a (b) \\) c) x (open");
        lexer.skip();
        assert_eq!(lexer.comment.as_deref(), Some(&b"a (b) ) c"[..]));
        assert_eq!(lexer.token(), Some(&b"x"[..]));
        assert!(lexer.is_at_end());
    }

    #[test]
    fn dots_may_have_space_around_them() {
        let mut piece = Piece::default();
        assert!(Lexer::new(b"a . b(c).d e").dot_atom(&mut piece));
        assert_eq!(&*piece.take(), b"a.b.d");
    }
}
