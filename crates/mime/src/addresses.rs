//! Lists of addresses in header fields, obsolete and broken forms included (RFC 5322 §3.4, §4.4).

use std::borrow::Cow;

use crate::{
    header::squeeze,
    lexer::{Lexer, Piece},
};

/// One entry of an address list, in the four parts in which IMAP shows it (RFC 3501 §7.4.2).
///
/// A group begins with an entry that has only a mailbox, its name, and ends with one that has
/// nothing at all. Where a mailbox or a domain is missing or broken, the words that Dovecot puts
/// there stand there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entry<'a> {
    /// The display name, or the comment behind an address without one; still encoded, with one
    /// space wherever there was white space.
    pub name: Option<Cow<'a, [u8]>>,
    /// The obsolete source route, `@a,@b`.
    pub route: Option<Cow<'a, [u8]>>,
    /// The local part without quotes.
    pub mailbox: Option<Cow<'a, [u8]>>,
    /// What follows the `@`.
    pub domain: Option<Cow<'a, [u8]>>,
}

impl Entry<'_> {
    /// Whether this is an address and not a group's begin or end.
    #[must_use]
    pub const fn is_address(&self) -> bool {
        self.domain.is_some()
    }

    /// The address, `mailbox@domain`, if it is a sound one.
    #[must_use]
    pub fn address(&self) -> Option<mail::Address> {
        let mailbox = std::str::from_utf8(self.mailbox.as_deref()?).ok()?;
        let domain = std::str::from_utf8(self.domain.as_deref()?).ok()?;
        mail::Address::new(mailbox, domain.parse().ok()?).ok()
    }
}

/// Reads the value of an address field. What cannot be read ends the list.
#[must_use]
pub fn read(value: &[u8]) -> Vec<Entry<'_>> {
    read_some(value, ENTRIES_MAX)
}

/// The same, and at most so many entries.
pub(crate) fn read_some(value: &[u8], entries_max: usize) -> Vec<Entry<'_>> {
    let mut reader = Reader {
        lexer: Lexer::new(value),
        entries: Vec::new(),
        entries_max,
    };
    reader.lexer.skip();
    while !reader.lexer.is_at_end() && reader.entries.len() < entries_max {
        if !reader.group() && reader.mailbox().is_err() {
            // Broken: go on behind the next comma.
            reader.lexer.seek(b',');
        }
        if reader.lexer.is_at_end() {
            break;
        }
        if !reader.lexer.eat(b',') {
            reader.lexer.seek(b',');
            reader.lexer.eat(b',');
        }
        reader.lexer.skip();
    }
    reader.entries.truncate(entries_max); // a group comes with its end
    reader.entries
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    entries: Vec<Entry<'a>>,
    entries_max: usize,
}

/// The list goes on behind the next comma.
struct Broken;

impl<'a> Reader<'a> {
    /// `name: mailboxes;`. False, and nothing read, if this is no group.
    fn group(&mut self) -> bool {
        self.lexer.comment = None; // it is cloned below, and may be long
        let begin = self.lexer.clone();
        let mut name = Piece::default();
        if !self.lexer.phrase(&mut name) || !self.lexer.eat(b':') {
            self.lexer = begin;
            return false;
        }
        self.lexer.skip();
        self.entries.push(Entry {
            mailbox: Some(name.take()),
            ..Entry::default()
        });
        while !matches!(self.lexer.peek(), Some(b';') | None)
            && self.entries.len() < self.entries_max
        {
            if self.mailbox().is_err() || !self.lexer.eat(b',') {
                break;
            }
            self.lexer.skip();
        }
        self.lexer.eat(b';');
        self.lexer.skip();
        self.entries.push(Entry::default());
        true
    }

    /// `name <address>` or `address (name)`.
    fn mailbox(&mut self) -> Result<(), Broken> {
        self.lexer.comment = None;
        let begin = self.lexer.clone();
        let mut name = Piece::default();
        let mut entry = Entry::default();
        let read = if self.lexer.phrase(&mut name) && self.lexer.peek() == Some(b'<') {
            entry.name = (!name.is_empty()).then(|| name.take());
            let read = self.angle(&mut entry);
            if read.is_err() {
                entry.domain = Some(Cow::Borrowed(SYNTAX_ERROR));
            }
            read
        } else {
            self.lexer = begin;
            self.lexer.comment = None;
            let read = self.spec(&mut entry);
            entry.name = self
                .lexer
                .comment
                .take()
                .filter(|comment| !comment.is_empty());
            read
        };
        entry.name = entry.name.map(|name| match name {
            Cow::Borrowed(name) => squeeze(name),
            Cow::Owned(name) => Cow::Owned(squeeze(&name).into_owned()),
        });
        entry.mailbox.get_or_insert(Cow::Borrowed(MISSING_MAILBOX));
        entry.domain.get_or_insert(Cow::Borrowed(MISSING_DOMAIN));
        self.entries.push(entry);
        read
    }

    fn angle(&mut self, entry: &mut Entry<'a>) -> Result<(), Broken> {
        self.lexer.bump();
        self.lexer.skip();
        if self.lexer.eat(b'>') {
            self.lexer.skip();
            return Ok(()); // nobody, `<>`
        }
        if self.lexer.peek() == Some(b'@') {
            entry.route = Some(Cow::Borrowed(INVALID_ROUTE));
            entry.route = Some(self.route()?);
        }
        if !self.lexer.is_at_end() {
            self.spec(entry)?;
        }
        if !self.lexer.eat(b'>') && !self.lexer.is_at_end() {
            return Err(Broken);
        }
        self.lexer.skip();
        Ok(())
    }

    /// `@a,@b:` without the colon.
    fn route(&mut self) -> Result<Cow<'a, [u8]>, Broken> {
        let mut route = Piece::default();
        while self.lexer.eat(b'@') {
            if !route.is_empty() {
                route.push(b',');
            }
            route.push(b'@');
            if !self.lexer.domain(&mut route) {
                return Err(Broken);
            }
            while self.lexer.eat(b',') {
                self.lexer.skip();
            }
        }
        if !self.lexer.eat(b':') {
            return Err(Broken);
        }
        self.lexer.skip();
        Ok(route.take())
    }

    /// `local@domain`.
    fn spec(&mut self, entry: &mut Entry<'a>) -> Result<(), Broken> {
        let mut local = Piece::default();
        let found = if self.lexer.peek() == Some(b'"') {
            self.lexer.quoted(&mut local)
        } else {
            self.lexer.dot_atom(&mut local)
        };
        if !found {
            return Err(Broken);
        }
        entry.mailbox = Some(local.take());
        if self.lexer.eat(b'@') {
            let mut domain = Piece::default();
            if !self.lexer.domain(&mut domain) {
                return Err(Broken);
            }
            entry.domain = Some(domain.take());
        }
        Ok(())
    }
}

/// More than any honest message has; the rest is passed over.
pub(crate) const ENTRIES_MAX: usize = 50_000;
const INVALID_ROUTE: &[u8] = b"INVALID_ROUTE";
const MISSING_DOMAIN: &[u8] = b"MISSING_DOMAIN";
const MISSING_MAILBOX: &[u8] = b"MISSING_MAILBOX";
const SYNTAX_ERROR: &[u8] = b"SYNTAX_ERROR";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `name|route|mailbox|domain`, a dash for what is not there.
    fn shown(value: &str) -> Vec<String> {
        let part = |part: &Option<Cow<'_, [u8]>>| match part {
            Some(text) => String::from_utf8_lossy(text).into_owned(),
            None => "-".to_owned(),
        };
        let line = |e: &Entry<'_>| {
            [&e.name, &e.route, &e.mailbox, &e.domain]
                .map(part)
                .join("|")
        };
        read(value.as_bytes()).iter().map(line).collect()
    }

    #[test]
    fn addresses_are_read_in_their_many_forms() {
        let cases: [(&str, &[&str]); 15] = [
            ("user@domain", &["-|-|user|domain"]),
            ("Real Name <u.v@d.test>", &["Real Name|-|u.v|d.test"]),
            ("\"Q. \\\"x\\\"\" <\"a b\"@d>", &["Q. \"x\"|-|a b|d"]),
            ("user@domain (Real Name)", &["Real Name|-|user|domain"]),
            ("<@route:user@domain>", &["-|@route|user|domain"]),
            ("<@a,@b:user@[192.0.2.1]>", &["-|@a,@b|user|[192.0.2.1]"]),
            ("<user (c)@ (c) domain>", &["-|-|user|domain"]),
            (
                "group: g1@d1, g2@d2;, group2: g3@d3;",
                &[
                    "-|-|group|-",
                    "-|-|g1|d1",
                    "-|-|g2|d2",
                    "-|-|-|-",
                    "-|-|group2|-",
                    "-|-|g3|d3",
                    "-|-|-|-",
                ],
            ),
            (
                "group:;, group2: (foo) ;",
                &["-|-|group|-", "-|-|-|-", "-|-|group2|-", "-|-|-|-"],
            ),
            (
                "a@b,, c@d,",
                &["-|-|a|b", "-|-|MISSING_MAILBOX|MISSING_DOMAIN", "-|-|c|d"],
            ),
            ("alone", &["-|-|alone|MISSING_DOMAIN"]),
            (
                "MAILER DAEMON <>",
                &["MAILER DAEMON|-|MISSING_MAILBOX|MISSING_DOMAIN"],
            ),
            ("Name <broken>", &["Name|-|broken|MISSING_DOMAIN"]),
            (
                "John Q. Public <j@x>, Foo\r\n Bar <f@x>",
                &["John Q. Public|-|j|x", "Foo Bar|-|f|x"],
            ),
            ("", &[]),
        ];
        for (given, expected) in cases {
            assert_eq!(shown(given), expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>, near in "[a@<>,:;\"() .\\[\\]\\\\]{0,40}") {
            let _ = read(&octets);
            let _ = read(near.as_bytes());
        }
    }
}
