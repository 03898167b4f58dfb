//! A header block: its fields in order, found by name, unfolded and decoded.

use std::{borrow::Cow, ops::Range};

use memchr::memchr;

use crate::words;

/// The header of a message or of a part, the empty line at its end included, if there is one.
///
/// Lines end with CRLF or, as old mail has it, with LF alone. A line without a colon is a field
/// without a value: it does not end the header (nor does Dovecot end it there).
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    block: &'a [u8],
}

/// One field of a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// Without white space around it.
    pub name: &'a [u8],
    /// What follows the colon, folded as it was, without white space before it and the line end
    /// behind it.
    pub value: &'a [u8],
    /// Where the field stands in the block, its last line end included.
    pub range: Range<usize>,
}

impl<'a> Header<'a> {
    /// The header of `message`: everything up to and including its first empty line.
    #[must_use]
    pub fn of(message: &'a [u8]) -> Self {
        Self::new(&message[..header_end(message).unwrap_or(message.len())])
    }

    /// A header block that is already cut out.
    #[must_use]
    pub const fn new(block: &'a [u8]) -> Self {
        Self { block }
    }

    /// The octets of the block.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.block
    }

    /// The fields in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let block = self.block;
        let mut at = 0;
        std::iter::from_fn(move || {
            let field = field_at(block, at)?;
            at = field.range.end;
            Some(field)
        })
    }

    /// The first field of that name, without regard to case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|field| field.is(name))
    }

    /// How many fields of that name there are: `Received` tells the hops (RFC 5321 §6.3).
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.fields().filter(|field| field.is(name)).count()
    }

    /// The fields that are in `names` (or, with `wanted` false, those that are not), as they
    /// stand, and an empty line: IMAP's HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 3501 §6.4.5).
    #[must_use]
    pub fn subset<N: AsRef<[u8]>>(&self, names: &[N], wanted: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for field in self.fields() {
            let named = names
                .iter()
                .any(|name| field.name.eq_ignore_ascii_case(name.as_ref()));
            if named == wanted {
                out.extend_from_slice(&self.block[field.range]);
                if !out.ends_with(b"\n") {
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

impl<'a> Field<'a> {
    /// Whether this is the field's name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line: line ends are gone, nothing else (RFC 5322 §2.2.3).
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }

    /// The value as people read it: unfolded, encoded words decoded (RFC 2047).
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        words::decode(unfold(self.value.trim_ascii_end()))
    }
}

/// Where the body of `message` begins, behind the first empty line; `None` if there is none (yet).
#[must_use]
pub fn header_end(message: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match &message[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            rest => match memchr(b'\n', rest) {
                Some(end) => at += end + 1,
                None => return None,
            },
        }
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Removes line ends, and makes one space of any white space; none stays at the edges.
pub(crate) fn squeeze(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    let is_plain = |pair: &[u8]| pair != b"  " && !matches!(pair[0], b'\t' | b'\r' | b'\n');
    if value.windows(2).all(is_plain) {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    for word in value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
    {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    Cow::Owned(out)
}

/// Removes line ends.
pub(crate) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    for line in value.split(|&b| b == b'\n') {
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    Cow::Owned(out)
}

/// The field that begins at `at`; `None` at the empty line and at the end.
fn field_at(block: &[u8], at: usize) -> Option<Field<'_>> {
    let rest = &block[at..];
    if matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
        return None;
    }
    let mut end = 0;
    loop {
        end = memchr(b'\n', &rest[end..]).map_or(rest.len(), |lf| end + lf + 1);
        if !matches!(rest.get(end), Some(b' ' | b'\t')) {
            break;
        }
    }
    let line_end = memchr(b'\n', rest).unwrap_or(end);
    let (name, value) = match memchr(b':', &rest[..line_end]) {
        Some(colon) => (&rest[..colon], &rest[colon + 1..end]),
        None => (&rest[..line_end], &rest[end..end]),
    };
    Some(Field {
        name: name.trim_ascii(),
        value: without_line_end(value).trim_ascii_start(),
        range: at..at + end,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &[u8] =
        b"From: a@b.test\r\nSubject : =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\tund mehr\r\nno colon\r\nX:\n\r\nbody";

    #[test]
    fn fields_are_found_and_unfolded_and_decoded() {
        let header = Header::of(HEADER);
        assert_eq!(
            header.find("subject").unwrap().text(),
            "gr\u{fc}\u{df}e\tund mehr"
        );
        let names: Vec<_> = header.fields().map(|f| f.name.to_vec()).collect();
        assert_eq!(names, [&b"From"[..], b"Subject", b"no colon", b"X"]);
        assert_eq!(header.count("FROM"), 1);
        assert_eq!(&HEADER[header_end(HEADER).unwrap()..], b"body");
    }

    #[test]
    fn a_subset_is_what_stands_there_and_an_empty_line() {
        let header = Header::of(HEADER);
        assert_eq!(
            header.subset(&["from", "x"], true),
            b"From: a@b.test\r\nX:\n\r\n"
        );
        assert_eq!(header.subset(&["none"], true), b"\r\n");
        assert_eq!(Header::of(b"A: b").subset(&["b"], false), b"A: b\r\n\r\n");
    }

    #[test]
    fn a_header_may_be_all_or_nothing() {
        assert_eq!(header_end(b""), None);
        assert_eq!(header_end(b"\r\nbody"), Some(2));
        assert_eq!(header_end(b"a: b\r\n"), None);
        assert_eq!(header_end(b"a: b\n\nbody"), Some(6));
        assert_eq!(
            header_end(b"a: b\r\n \r\n"),
            None,
            "a line of spaces continues the field"
        );
    }

    proptest! {
        #[test]
        fn fields_lie_one_behind_another(octets in "[a: \r\n\t]{0,60}") {
            let header = Header::of(octets.as_bytes());
            let mut at = 0;
            for field in header.fields() {
                prop_assert_eq!(field.range.start, at);
                prop_assert!(field.range.end > at);
                at = field.range.end;
                let _ = field.text();
            }
        }
    }
}
