//! What SEARCH can be asked for (RFC 3501 §6.4.4).

use mail::{Flags, Keyword};

use super::{Cursor, Date, SequenceSet, Stop};
use crate::{
    reply::{Code, Reply},
    respond,
};

/// What a message must be like. Texts are UTF-8, in the case in which they were written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SearchKey {
    /// Any message.
    All,
    /// A field with addresses contains the text.
    Address(AddressField, String),
    /// All of these hold.
    And(Vec<Self>),
    /// The body contains the text.
    Body(String),
    /// Whether the flag is set.
    Flag(Flags, bool),
    /// The header field of that name contains the text; empty: it is there.
    Header(String, String),
    /// Whether the keyword is set.
    Keyword(Keyword, bool),
    /// Longer than that many octets.
    Larger(u64),
    /// This does not hold.
    Not(Box<Self>),
    /// One of these holds; at least two.
    Or(Vec<Self>),
    /// The internal date lies so.
    Received(When, Date),
    /// Whether it is recent.
    Recent(bool),
    /// The `Date` field lies so.
    Sent(When, Date),
    /// The sequence number is among these.
    Sequence(SequenceSet),
    /// Shorter than that many octets.
    Smaller(u64),
    /// The header or the body contains the text.
    Text(String),
    /// The UID is among these.
    Uid(SequenceSet),
}

/// A header field that holds addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressField {
    /// `Bcc`
    Bcc,
    /// `Cc`
    Cc,
    /// `From`
    From,
    /// `To`
    To,
}

/// How a day lies to another; zones are disregarded (RFC 3501 §6.4.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// Earlier.
    Before,
    /// The same.
    On,
    /// The same or later.
    Since,
}

impl AddressField {
    /// The field's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bcc => "Bcc",
            Self::Cc => "Cc",
            Self::From => "From",
            Self::To => "To",
        }
    }
}

impl When {
    /// Whether `day` lies so to `bound`.
    #[must_use]
    pub fn holds(self, day: Date, bound: Date) -> bool {
        match self {
            Self::Before => day < bound,
            Self::On => day == bound,
            Self::Since => day >= bound,
        }
    }
}

impl SearchKey {
    /// `NEW` (RFC 3501 §6.4.4).
    #[must_use]
    pub fn new_messages() -> Self {
        Self::And(vec![Self::Recent(true), Self::Flag(Flags::SEEN, false)])
    }

    /// Everything after `SEARCH `.
    pub(crate) fn parse_program(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        if cursor.eat_word("CHARSET ") {
            let charset = cursor.astring()?;
            if !CHARSETS
                .iter()
                .any(|known| charset.eq_ignore_ascii_case(known))
            {
                let reply = Reply::no("that charset is unknown").with(Code::BadCharset);
                return Err(Stop::Refuse(reply));
            }
            cursor.space()?;
        }
        let keys = Self::parse_list(cursor, 0)?;
        cursor.end()?;
        if keys.texts() > TEXTS_MAX {
            let reply = Reply::no("too many texts are looked for at once").with(Code::Limit);
            return Err(Stop::Refuse(reply));
        }
        Ok(keys)
    }

    /// How many texts are looked for in whole messages: for each a message is read anew.
    fn texts(&self) -> usize {
        match self {
            Self::And(keys) | Self::Or(keys) => keys.iter().map(Self::texts).sum(),
            Self::Not(key) => key.texts(),
            Self::Body(_) | Self::Text(_) => 1,
            _ => 0,
        }
    }

    /// Keys separated by spaces.
    fn parse_list(cursor: &mut Cursor<'_>, depth: usize) -> Result<Self, Stop> {
        let first = Self::parse(cursor, depth)?;
        if !cursor.eat(b' ') {
            return Ok(first);
        }
        let mut keys = vec![first];
        loop {
            keys.push(Self::parse(cursor, depth)?);
            if !cursor.eat(b' ') {
                return Ok(Self::And(keys));
            }
        }
    }

    fn parse(cursor: &mut Cursor<'_>, depth: usize) -> Result<Self, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::bad("the search is nested too deeply"));
        }
        if cursor.eat(b'(') {
            let keys = Self::parse_list(cursor, depth + 1)?;
            cursor.expect(b')', "a parenthesis is not closed")?;
            return Ok(keys);
        }
        if cursor.peek().is_some_and(SequenceSet::begins) {
            return SequenceSet::parse(cursor).map(Self::Sequence);
        }
        let word = cursor.word().to_ascii_uppercase();
        if let Some(plain) = plain(&word) {
            return Ok(plain);
        }
        if !is_with_argument(&word) {
            return Err(Stop::bad("a search key is unknown"));
        }
        cursor.space()?;
        match word.as_str() {
            "NOT" => Ok(Self::Not(Box::new(Self::parse(cursor, depth + 1)?))),
            "OR" => Self::parse_or(cursor, depth + 1),
            "UID" => SequenceSet::parse(cursor).map(Self::Uid),
            "BODY" => cursor.text().map(Self::Body),
            "TEXT" => cursor.text().map(Self::Text),
            "SUBJECT" => Ok(Self::Header("Subject".to_owned(), cursor.text()?)),
            "BCC" => Ok(Self::Address(AddressField::Bcc, cursor.text()?)),
            "CC" => Ok(Self::Address(AddressField::Cc, cursor.text()?)),
            "FROM" => Ok(Self::Address(AddressField::From, cursor.text()?)),
            "TO" => Ok(Self::Address(AddressField::To, cursor.text()?)),
            "HEADER" => {
                let field = cursor.text()?;
                cursor.space()?;
                Ok(Self::Header(field, cursor.text()?))
            }
            "KEYWORD" => Ok(Self::Keyword(keyword(cursor)?, true)),
            "UNKEYWORD" => Ok(Self::Keyword(keyword(cursor)?, false)),
            "LARGER" => cursor.number64().map(Self::Larger),
            "SMALLER" => cursor.number64().map(Self::Smaller),
            "BEFORE" => Ok(Self::Received(When::Before, Date::parse(cursor)?)),
            "ON" => Ok(Self::Received(When::On, Date::parse(cursor)?)),
            "SINCE" => Ok(Self::Received(When::Since, Date::parse(cursor)?)),
            "SENTBEFORE" => Ok(Self::Sent(When::Before, Date::parse(cursor)?)),
            "SENTON" => Ok(Self::Sent(When::On, Date::parse(cursor)?)),
            _ => Ok(Self::Sent(When::Since, Date::parse(cursor)?)),
        }
    }

    /// `OR a OR b OR c d` leans to the right without an end; clients make long ones of addresses.
    fn parse_or(cursor: &mut Cursor<'_>, depth: usize) -> Result<Self, Stop> {
        let mut keys = Vec::new();
        loop {
            keys.push(Self::parse(cursor, depth)?);
            cursor.space()?;
            if !cursor.eat_word("OR ") {
                keys.push(Self::parse(cursor, depth)?);
                return Ok(Self::Or(keys));
            }
        }
    }

    /// Appends the key as a client writes it.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::All => out.extend_from_slice(b"ALL"),
            Self::Address(field, text) => {
                out.extend_from_slice(field.name().to_ascii_uppercase().as_bytes());
                argument(text, out);
            }
            Self::And(keys) => {
                out.push(b'(');
                write_keys(keys, out);
                out.push(b')');
            }
            Self::Body(text) => {
                out.extend_from_slice(b"BODY");
                argument(text, out);
            }
            Self::Flag(flag, on) => {
                let name = Flags::NAMES.iter().find(|(f, _)| f == flag);
                let name = name.map_or("", |(_, name)| &name[1..]).to_ascii_uppercase();
                out.extend_from_slice(if *on { b"" } else { b"UN" });
                out.extend_from_slice(name.as_bytes());
            }
            Self::Header(field, text) => {
                out.extend_from_slice(b"HEADER");
                argument(field, out);
                argument(text, out);
            }
            Self::Keyword(keyword, on) => {
                out.extend_from_slice(if *on { b"KEYWORD " } else { b"UNKEYWORD " });
                out.extend_from_slice(keyword.as_str().as_bytes());
            }
            Self::Larger(octets) => size("LARGER ", *octets, out),
            Self::Smaller(octets) => size("SMALLER ", *octets, out),
            Self::Not(key) => {
                out.extend_from_slice(b"NOT ");
                key.write_to(out);
            }
            Self::Or(keys) => {
                for (n, key) in keys.iter().enumerate() {
                    if n + 1 < keys.len() {
                        out.extend_from_slice(b"OR ");
                    }
                    key.write_to(out);
                    if n + 1 < keys.len() {
                        out.push(b' ');
                    }
                }
            }
            Self::Received(when, date) => day("", *when, *date, out),
            Self::Sent(when, date) => day("SENT", *when, *date, out),
            Self::Recent(true) => out.extend_from_slice(b"RECENT"),
            Self::Recent(false) => out.extend_from_slice(b"OLD"),
            Self::Sequence(set) => set.write_to(out),
            Self::Text(text) => {
                out.extend_from_slice(b"TEXT");
                argument(text, out);
            }
            Self::Uid(set) => {
                out.extend_from_slice(b"UID ");
                set.write_to(out);
            }
        }
    }
}

pub(crate) fn write_keys(keys: &[SearchKey], out: &mut Vec<u8>) {
    for (n, key) in keys.iter().enumerate() {
        if n > 0 {
            out.push(b' ');
        }
        key.write_to(out);
    }
}

fn argument(text: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    respond::argument(out, text.as_bytes());
}

fn size(name: &str, octets: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    respond::number(out, octets);
}

fn day(prefix: &str, when: When, date: Date, out: &mut Vec<u8>) {
    let name = match when {
        When::Before => "BEFORE",
        When::On => "ON",
        When::Since => "SINCE",
    };
    out.extend_from_slice(format!("{prefix}{name} {date}").as_bytes());
}

fn keyword(cursor: &mut Cursor<'_>) -> Result<Keyword, Stop> {
    cursor
        .atom()?
        .parse()
        .map_err(|_| Stop::bad("that is no keyword"))
}

fn plain(word: &str) -> Option<SearchKey> {
    let (name, on) = match word.strip_prefix("UN") {
        Some(name) => (name, false),
        None => (word, true),
    };
    let flag = Flags::NAMES
        .iter()
        .find(|(_, known)| known[1..].eq_ignore_ascii_case(name));
    if let Some(&(flag, _)) = flag {
        return Some(SearchKey::Flag(flag, on));
    }
    match word {
        "ALL" => Some(SearchKey::All),
        "NEW" => Some(SearchKey::new_messages()),
        "OLD" => Some(SearchKey::Recent(false)),
        "RECENT" => Some(SearchKey::Recent(true)),
        _ => None,
    }
}

fn is_with_argument(word: &str) -> bool {
    WITH_ARGUMENT.contains(&word)
}

const WITH_ARGUMENT: [&str; 21] = [
    "BCC",
    "BEFORE",
    "BODY",
    "CC",
    "FROM",
    "HEADER",
    "KEYWORD",
    "LARGER",
    "NOT",
    "ON",
    "OR",
    "SENTBEFORE",
    "SENTON",
    "SENTSINCE",
    "SINCE",
    "SMALLER",
    "SUBJECT",
    "TEXT",
    "TO",
    "UID",
    "UNKEYWORD",
];

/// RFC 3501 §6.4.4: US-ASCII must be known.
const CHARSETS: [&[u8]; 3] = [b"US-ASCII", b"UTF-8", b"UTF8"];

/// More than any client looks for in whole messages; a line could hold thousands.
const TEXTS_MAX: usize = 64;

/// Far more than any client nests; the reader and the evaluation need a bounded stack.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SearchKey, Stop> {
        SearchKey::parse_program(&mut Cursor::new(text.as_bytes()))
    }

    #[test]
    fn keys_are_read_and_written() {
        for (text, written) in [
            ("all", "ALL"),
            ("unseen", "UNSEEN"),
            ("NEW", "(RECENT UNSEEN)"),
            ("1:3,* not uid 4", "(1:3,* NOT UID 4)"),
            ("or 1 or (2 3) seen", "OR 1 OR (2 3) SEEN"),
            ("subject NIL", "HEADER Subject \"NIL\""),
            ("charset utf-8 from \"a b\"", "FROM \"a b\""),
            ("header x-y \"\"", "HEADER x-y \"\""),
            ("sentsince \"24-mar-2007\"", "SENTSINCE 24-Mar-2007"),
            ("larger 5000000000", "LARGER 5000000000"),
            ("unkeyword $Junk", "UNKEYWORD $Junk"),
        ] {
            let mut out = Vec::new();
            parse(text).unwrap().write_to(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in [
            "",
            "foo",
            "not",
            "or 1",
            "(1",
            "1)",
            "all ",
            "uid",
            "uid a",
            "from",
            "before 1",
            "charset utf-8",
            "unall",
            "before 31-feb-2000",
            "keyword \\seen",
        ] {
            assert!(matches!(parse(bad), Err(Stop::Refuse(_))), "{bad}");
        }
        let Err(Stop::Refuse(reply)) = parse("charset koi8-r all") else {
            panic!("koi8-r is unknown")
        };
        assert_eq!(reply.code, Some(Code::BadCharset));
    }

    #[test]
    fn texts_in_whole_messages_are_few() {
        assert!(parse(&format!("{}all", "or not body x ".repeat(TEXTS_MAX))).is_ok());
        let Err(Stop::Refuse(reply)) = parse(&format!("{}text x", "(body x) ".repeat(TEXTS_MAX)))
        else {
            panic!("that is one too many")
        };
        assert_eq!(reply.code, Some(Code::Limit));
    }

    #[test]
    fn nesting_is_bounded_and_long_alternatives_are_not() {
        assert!(parse(&format!("{}all", "not ".repeat(10_000))).is_err());
        assert!(parse(&format!("{}all", "(".repeat(10_000))).is_err());
        let SearchKey::Or(keys) = parse(&format!("{}all", "or 1 ".repeat(5000))).unwrap() else {
            panic!("alternatives are one list")
        };
        assert_eq!(keys.len(), 5001);
    }
}
