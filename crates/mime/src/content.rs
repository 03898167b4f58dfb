//! What a part's `Content-` fields say: type, parameters, disposition and the rest (RFC 2045).

use std::borrow::Cow;

use crate::{
    charset,
    header::{Field, Header},
    lexer::{Lexer, Piece},
    transfer::{self, Encoding},
};

/// The `Content-` fields of a part, as they stand there: of each the first one counts, and
/// defaults are not filled in.
#[derive(Clone, Debug, Default)]
pub struct Content<'a> {
    /// `Content-Type`
    pub kind: Option<ContentType<'a>>,
    /// `Content-ID`
    pub id: Option<Cow<'a, [u8]>>,
    /// `Content-Description`
    pub description: Option<Cow<'a, [u8]>>,
    /// `Content-Transfer-Encoding`, its name as it is written.
    pub encoding: Option<&'a [u8]>,
    /// `Content-MD5` (RFC 1864)
    pub md5: Option<Cow<'a, [u8]>>,
    /// `Content-Disposition` (RFC 2183)
    pub disposition: Option<Disposition<'a>>,
    /// `Content-Language` (RFC 3282), each tag of it.
    pub language: Vec<&'a [u8]>,
    /// `Content-Location` (RFC 2557)
    pub location: Option<Cow<'a, [u8]>>,
}

/// A media type.
#[derive(Clone, Debug, Default)]
pub struct ContentType<'a> {
    /// What stands before the slash, in the case in which it is written; may be empty if broken.
    pub kind: &'a [u8],
    /// What stands behind the slash; empty if there is nothing.
    pub subtype: &'a [u8],
    /// The parameters.
    pub params: Params<'a>,
}

/// How a part wants to be shown.
#[derive(Clone, Debug, Default)]
pub struct Disposition<'a> {
    /// `inline`, `attachment`, or another word.
    pub kind: &'a [u8],
    /// The parameters: `filename` above all.
    pub params: Params<'a>,
}

/// Parameters in order. Those that RFC 2231 has in pieces (`name*0`, `name*1*`) are put together
/// as `name`, or as `name*` if a piece of them is encoded; the value stays encoded then.
#[derive(Clone, Debug, Default)]
pub struct Params<'a> {
    pairs: Vec<Pair<'a>>,
}

/// A parameter: name and value.
pub type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Content<'a> {
    /// Reads the `Content-` fields of a header.
    #[must_use]
    pub fn of(header: Header<'a>) -> Self {
        let mut content = Self::default();
        for field in header.fields() {
            let Some((prefix, rest)) = field.name.split_at_checked(8) else {
                continue;
            };
            if prefix.eq_ignore_ascii_case(b"Content-") {
                content.take(rest, &field);
            }
        }
        content
    }

    fn take(&mut self, name: &[u8], field: &Field<'a>) {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if is("Type") {
            self.kind
                .get_or_insert_with(|| ContentType::read(field.value));
        } else if is("Transfer-Encoding") {
            self.encoding = self.encoding.or_else(|| lone_token(field.value));
        } else if is("Disposition") {
            if self.disposition.is_none() {
                self.disposition = Disposition::read(field.value);
            }
        } else if is("ID") {
            self.id.get_or_insert_with(|| field.unfolded());
        } else if is("Description") {
            self.description.get_or_insert_with(|| field.unfolded());
        } else if is("MD5") {
            self.md5.get_or_insert_with(|| field.unfolded());
        } else if is("Location") {
            self.location.get_or_insert_with(|| field.unfolded());
        } else if is("Language") && self.language.is_empty() {
            self.language = languages(field.value);
        }
    }

    /// How the body is encoded.
    #[must_use]
    pub fn transfer_encoding(&self) -> Encoding {
        self.encoding
            .map_or_else(Encoding::default, Encoding::named)
    }

    /// The name that the part's file should have, decoded: from the disposition, else from the type.
    #[must_use]
    pub fn file_name(&self) -> Option<Cow<'_, str>> {
        let disposition = self.disposition.as_ref();
        disposition
            .and_then(|d| d.params.text("filename"))
            .or_else(|| self.kind.as_ref()?.params.text("name"))
    }
}

impl<'a> ContentType<'a> {
    /// Reads a field's value. A broken one gives as much as can be read.
    #[must_use]
    pub fn read(value: &'a [u8]) -> Self {
        let mut lexer = Lexer::new(value);
        let mut read = Self::default();
        lexer.skip();
        read.kind = lexer.token().unwrap_or_default();
        if lexer.eat(b'/') {
            lexer.skip();
            read.subtype = lexer.token().unwrap_or_default();
        }
        if lexer.peek() == Some(b';') {
            read.params = Params::read(&mut lexer);
        }
        read
    }

    /// Whether a body of this type is a whole message (RFC 2046 §5.2.1, RFC 6532 §3.7).
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is("message", "global")
    }

    /// Whether a body of this type consists of parts.
    #[must_use]
    pub const fn is_multipart(&self) -> bool {
        self.kind.eq_ignore_ascii_case(b"multipart") && !self.subtype.is_empty()
    }

    /// Whether this is the type, without regard to case.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
            && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }
}

impl<'a> Disposition<'a> {
    fn read(value: &'a [u8]) -> Option<Self> {
        let mut lexer = Lexer::new(value);
        lexer.skip();
        Some(Self {
            kind: lexer.token()?,
            params: Params::read(&mut lexer),
        })
    }
}

impl<'a> Params<'a> {
    /// Reads `; name=value` as often as it comes; what is broken is passed over.
    fn read(lexer: &mut Lexer<'a>) -> Self {
        let mut pairs = Vec::new();
        let mut pieces = Vec::new();
        while !lexer.is_at_end() && pairs.len() + pieces.len() < PARAMS_MAX {
            if !lexer.eat(b';') {
                lexer.seek(b';');
                continue;
            }
            let Some((name, value)) = param(lexer) else {
                continue;
            };
            match Piecewise::of(name) {
                Some(piece) => pieces.push((piece, value)),
                None => pairs.push((Cow::Borrowed(name), value)),
            }
        }
        if !pieces.is_empty() {
            join(pieces, &mut pairs);
        }
        Self { pairs }
    }

    /// The parameters as (name, value), in the form in which IMAP shows them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of that name, without regard to case, as it stands there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    pub(crate) fn into_pairs(self) -> Vec<Pair<'a>> {
        self.pairs
    }

    /// The value of that name, without the others.
    pub(crate) fn take(self, name: &str) -> Option<Cow<'a, [u8]>> {
        let named = |n: &[u8]| n.eq_ignore_ascii_case(name.as_bytes());
        self.pairs
            .into_iter()
            .find(|(n, _)| named(n))
            .map(|(_, value)| value)
    }

    /// The value of that name as people read it: RFC 2231 undone, encoded words (which do not
    /// belong here, but are common) undone too.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let extended = self.iter().find(|(n, _)| {
            n.strip_suffix(b"*")
                .is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
        });
        let Some((_, value)) = extended else {
            return self
                .get(name)
                .map(|value| crate::words::decode(Cow::Borrowed(value)));
        };
        let mut parts = value.splitn(3, |&b| b == b'\'');
        Some(match (parts.next(), parts.next(), parts.next()) {
            (Some(charset), Some(_), Some(text)) => {
                Cow::Owned(charset::decode(charset, &transfer::percent(text)).into_owned())
            }
            _ => Cow::Owned(charset::guess(&transfer::percent(value)).into_owned()),
        })
    }
}

fn param<'a>(lexer: &mut Lexer<'a>) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
    lexer.skip();
    let name = lexer.token()?;
    if !lexer.eat(b'=') {
        return None;
    }
    lexer.skip();
    let value = match lexer.peek() {
        Some(b'"') => {
            let mut value = Piece::default();
            lexer.quoted(&mut value);
            value.take()
        }
        // Broken, but common: an encoded word without quotes.
        Some(b'=') => {
            let belongs = |b: u8| !matches!(b, b';' | b' ' | b'\t' | b'\r' | b'\n');
            Cow::Borrowed(lexer.run(belongs))
        }
        _ => Cow::Borrowed(lexer.token()?),
    };
    Some((name, value))
}

/// A parameter's name in RFC 2231's form: `base*index*`, both parts behind the base optional.
struct Piecewise<'a> {
    base: &'a [u8],
    index: u32,
    is_extended: bool,
}

impl<'a> Piecewise<'a> {
    fn of(name: &'a [u8]) -> Option<Self> {
        let star = name.iter().position(|&b| b == b'*')?;
        let (base, rest) = (&name[..star], &name[star + 1..]);
        let (digits, is_extended) = match rest.strip_suffix(b"*") {
            Some(digits) => (digits, true),
            None => (rest, rest.is_empty()),
        };
        if base.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let index = digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
        Some(Self {
            base,
            index,
            is_extended,
        })
    }
}

/// Puts the pieces of each name together in the order of their numbers (RFC 2231 §3, §4.1). Where
/// a number is missing they stay apart.
fn join<'a>(mut pieces: Vec<(Piecewise<'a>, Cow<'a, [u8]>)>, pairs: &mut Vec<Pair<'a>>) {
    pieces.sort_by(|(a, _), (b, _)| {
        let (x, y) = (a.base.to_ascii_lowercase(), b.base.to_ascii_lowercase());
        x.cmp(&y).then(a.index.cmp(&b.index))
    });
    for run in pieces.chunk_by(|(a, _), (b, _)| a.base.eq_ignore_ascii_case(b.base)) {
        let whole = run.iter().zip(0..).all(|((piece, _), n)| piece.index == n);
        if !whole {
            for (piece, value) in run {
                let mut name = piece.base.to_vec();
                name.extend_from_slice(format!("*{}", piece.index).as_bytes());
                name.extend_from_slice(if piece.is_extended { b"*" } else { b"" });
                pairs.push((Cow::Owned(name), value.clone()));
            }
            continue;
        }
        let (first, _) = &run[0];
        let is_extended = run.iter().any(|(piece, _)| piece.is_extended);
        let mut value = Vec::new();
        if is_extended && !first.is_extended {
            value.extend_from_slice(b"''");
        }
        for (piece, text) in run {
            if is_extended && !piece.is_extended {
                for &octet in &**text {
                    match octet {
                        b'%' => value.extend_from_slice(b"%25"),
                        _ => value.push(octet),
                    }
                }
            } else {
                value.extend_from_slice(text);
            }
        }
        let name = if is_extended {
            Cow::Owned([first.base, b"*"].concat())
        } else {
            Cow::Borrowed(first.base)
        };
        pairs.push((name, Cow::Owned(value)));
    }
}

/// A token with nothing behind it.
fn lone_token(value: &[u8]) -> Option<&[u8]> {
    let mut lexer = Lexer::new(value);
    lexer.skip();
    let token = lexer.token()?;
    lexer.is_at_end().then_some(token)
}

fn languages(value: &[u8]) -> Vec<&[u8]> {
    let mut lexer = Lexer::new(value);
    let mut tags = Vec::new();
    lexer.skip();
    while let Some(tag) = lexer.token() {
        tags.push(tag);
        if tags.len() == PARAMS_MAX || !lexer.eat(b',') {
            break;
        }
        lexer.skip();
    }
    tags
}

/// More than any honest field has; the rest is passed over.
const PARAMS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(value: &str) -> Vec<(String, String)> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let read = ContentType::read(value.as_bytes());
        read.params
            .iter()
            .map(|(n, v)| (text(n), text(v)))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn types_and_parameters_are_read_with_comments_and_quotes() {
        let read = ContentType::read(b" Text (x) / Plain ; charset = \"us\\-ascii\" (y); a=b");
        assert!(read.is("text", "PLAIN"));
        assert_eq!(read.params.get("CharSet"), Some(&b"us-ascii"[..]));
        assert_eq!(
            pairs("a/b; x=1;; y; z=2 junk; q=\"open"),
            [pair("x", "1"), pair("z", "2"), pair("q", "open")]
        );
        assert_eq!(
            pairs("a/b; boundary=\"foo\r\n bar\""),
            [pair("boundary", "foo bar")]
        );
    }

    #[test]
    fn pieces_are_put_together_as_rfc_2231_shows() {
        // RFC 2231 §3, §4.1
        assert_eq!(
            pairs("message/external-body; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\""),
            [pair("URL", "ftp://cs.utk.edu/pub")]
        );
        let value = "application/x-stuff; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*0*=us-ascii'en'This%20is%20even%20more%20; title*2=\"isn't 100% it!\"";
        assert_eq!(
            pairs(value),
            [pair(
                "title*",
                "us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn't 100%25 it!"
            )]
        );
        let read = ContentType::read(value.as_bytes());
        assert_eq!(
            read.params.text("title").unwrap(),
            "This is even more ***fun*** isn't 100% it!"
        );
        assert_eq!(pairs("a/b; n*1=x"), [pair("n*1", "x")]);
    }

    #[test]
    fn a_file_name_is_decoded_in_every_form() {
        let name = |header: &str| {
            let content = Content::of(Header::new(header.as_bytes()));
            content.file_name().map(Cow::into_owned)
        };
        let expected = Some("gr\u{fc}n".to_owned());
        assert_eq!(
            name("Content-Disposition: attachment; filename*=iso-8859-1''gr%FCn"),
            expected
        );
        assert_eq!(
            name("Content-Type: a/b; name=\"=?utf-8?q?gr=C3=BCn?=\""),
            expected
        );
        assert_eq!(
            name("Content-Type: a/b; name==?utf-8?q?gr=C3=BCn?="),
            expected
        );
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>, near in "[a/;=\"*0-2%' ()\\\\]{0,40}") {
            for text in [&octets[..], near.as_bytes()] {
                let read = ContentType::read(text);
                let _ = read.params.text("a");
                let _ = Disposition::read(text);
                let _ = languages(text);
            }
        }
    }
}
