//! What an IMAP server says and a script expects, as values that can be compared.

use std::collections::HashMap;

/// One value of a response, or of an expectation, where words may hold `$variables`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    /// `[…]` at the beginning of a response's text.
    Code(Vec<Self>),
    /// `(…)`.
    List(Vec<Self>),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// Everything else.
    Word(Vec<u8>),
}

/// What a script has learned so far.
pub(super) type Variables = HashMap<String, Value>;

impl Value {
    /// Reads values up to the end. Literals are `{n}` with their octets, or `{{{` … `}}}` in a script.
    pub(super) fn read(mut octets: &[u8]) -> Vec<Self> {
        read_up_to(&mut octets, None)
    }

    /// Whether `said` is what `self` expects; variables that are met first are learned.
    pub(super) fn meets(&self, said: &Self, known: &mut Variables) -> bool {
        match (self, said) {
            (Self::Word(word), _) if unknown(word, known).is_some() => {
                known.extend(unknown(word, known).map(|name| (name, said.clone())));
                true
            }
            (Self::Word(word), _) => match whole(word, known) {
                Some(value) => value.same(said),
                None => Self::Word(expand(word, known)).same(said),
            },
            (Self::Text(text), _) => Self::Text(expand(text, known)).same(said),
            (Self::Code(expected), Self::Code(said)) => begin_with(expected, said, known),
            (Self::List(expected), Self::List(said)) if is_unordered(expected) => {
                some_of(expected, said, known)
            }
            (Self::List(expected), Self::List(said)) => {
                expected.len() == said.len() && begin_with(expected, said, known)
            }
            _ => false,
        }
    }

    /// The octets of a word or a text.
    pub(super) fn octets(&self) -> &[u8] {
        match self {
            Self::Text(octets) | Self::Word(octets) => octets,
            Self::Code(_) | Self::List(_) => b"",
        }
    }

    /// Whether two values without variables are the same. Where strings may be written as atoms,
    /// servers differ, and so they do in the case of what is not case-sensitive.
    fn same(&self, said: &Self) -> bool {
        match (self, said) {
            (Self::List(one), Self::List(other)) | (Self::Code(one), Self::Code(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| one.same(other))
            }
            (Self::Text(text), Self::Word(word)) => {
                text == word && !word.eq_ignore_ascii_case(b"NIL")
            }
            (Self::Word(word), Self::Text(_)) if word.eq_ignore_ascii_case(b"NIL") => false,
            (Self::Word(_) | Self::Text(_), Self::Word(_) | Self::Text(_)) => {
                self.octets().eq_ignore_ascii_case(said.octets())
            }
            _ => false,
        }
    }
}

/// Whether `said` begins with what is expected.
pub(super) fn begin_with(expected: &[Value], said: &[Value], known: &mut Variables) -> bool {
    expected.len() <= said.len()
        && expected
            .iter()
            .zip(said)
            .all(|(expected, said)| expected.meets(said, known))
}

/// Whether a set (flags, attributes) holds all that is expected and nothing that is banned.
pub(super) fn some_of(expected: &[Value], said: &[Value], known: &mut Variables) -> bool {
    expected.iter().all(|expected| {
        let octets = expected.octets();
        if let Some(banned) = octets.strip_prefix(b"$!ban=") {
            return !said
                .iter()
                .any(|said| said.octets().eq_ignore_ascii_case(banned));
        }
        octets.starts_with(b"$!") || said.iter().any(|said| expected.meets(said, known))
    })
}

/// Whether names with values (FETCH, STATUS) hold all that is expected, in any order.
pub(super) fn pairs_of(expected: &[Value], said: &[Value], known: &mut Variables) -> bool {
    expected.chunks(2).all(|pair| {
        said.chunks(2).any(|said| {
            let flags = pair[0].octets().eq_ignore_ascii_case(b"FLAGS");
            pair.len() == said.len()
                && pair[0].meets(&said[0], known)
                && match (pair.get(1), said.get(1)) {
                    (Some(Value::List(flag)), Some(Value::List(said))) if flags => {
                        some_of(flag, said, known)
                    }
                    (Some(value), Some(said)) => value.meets(said, known),
                    _ => true,
                }
        })
    })
}

/// A text with its variables replaced by what is known of them; `$$` is a dollar sign.
pub(super) fn expand(text: &[u8], known: &Variables) -> Vec<u8> {
    let mut expanded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&octet| octet == b'$') {
        expanded.extend_from_slice(&rest[..at]);
        let (name, after) = name_at(&rest[at..]);
        match known.get(&name) {
            _ if rest[at..].starts_with(b"$$") => expanded.push(b'$'),
            Some(value) => expanded.extend_from_slice(value.octets()),
            None => expanded.extend_from_slice(&rest[at..at + after]),
        }
        rest = &rest[at + after..];
    }
    expanded.extend_from_slice(rest);
    expanded
}

/// The name of the variable that stands at a dollar sign, and where it ends.
fn name_at(text: &[u8]) -> (String, usize) {
    if text.starts_with(b"$$") {
        return (String::new(), 2);
    }
    let braces = text.get(1) == Some(&b'{');
    let start = if braces { 2 } else { 1 };
    let letter = |octet: &&u8| octet.is_ascii_alphanumeric() || **octet == b'_';
    let length = text[start..].iter().take_while(letter).count();
    let name = String::from_utf8_lossy(&text[start..start + length]).into_owned();
    (name, start + length + usize::from(braces))
}

/// The variable that a word is, if it is one, and nothing is known of it yet.
fn unknown(word: &[u8], known: &Variables) -> Option<String> {
    let name = variable(word)?;
    (!known.contains_key(&name)).then_some(name)
}

fn whole(word: &[u8], known: &Variables) -> Option<Value> {
    known.get(&variable(word)?).cloned()
}

fn variable(word: &[u8]) -> Option<String> {
    if word.first() != Some(&b'$') || word.starts_with(b"$$") || word.starts_with(b"$!") {
        return None;
    }
    let (name, end) = name_at(word);
    (end == word.len() && !name.is_empty()).then_some(name)
}

fn is_unordered(expected: &[Value]) -> bool {
    expected
        .first()
        .is_some_and(|first| first.octets() == b"$!unordered")
}

fn read_up_to(octets: &mut &[u8], end: Option<u8>) -> Vec<Value> {
    let mut values = Vec::new();
    loop {
        let spaces = octets
            .iter()
            .take_while(|octet| octet.is_ascii_whitespace())
            .count();
        *octets = &octets[spaces..];
        match octets.first() {
            None => return values,
            Some(octet) if Some(*octet) == end => {
                *octets = &octets[1..];
                return values;
            }
            Some(b'(') => {
                *octets = &octets[1..];
                values.push(Value::List(read_up_to(octets, Some(b')'))));
            }
            Some(b'[') => {
                *octets = &octets[1..];
                values.push(Value::Code(read_up_to(octets, Some(b']'))));
            }
            Some(b'"') => values.push(quoted(octets)),
            Some(_) => values.push(literal(octets).unwrap_or_else(|| word(octets))),
        }
    }
}

fn quoted(octets: &mut &[u8]) -> Value {
    let mut text = Vec::new();
    let mut at = 1;
    while at < octets.len() && octets[at] != b'"' {
        at += usize::from(octets[at] == b'\\');
        text.extend(octets.get(at));
        at += 1;
    }
    *octets = octets.get(at + 1..).unwrap_or_default();
    Value::Text(text)
}

/// A literal as a server sends it, or as a script writes it.
fn literal(octets: &mut &[u8]) -> Option<Value> {
    let (raw, body) = match octets.strip_prefix(b"~") {
        Some(body) => (true, body),
        None => (false, *octets),
    };
    if let Some(rest) = body.strip_prefix(b"{{{\n") {
        let end = find(rest, b"\n}}}")?;
        *octets = &rest[end + 4..];
        let text = rest[..end].to_vec();
        return Some(Value::Text(if raw { text } else { crate::crlf(&text) }));
    }
    let rest = body.strip_prefix(b"{")?;
    let close = rest.iter().position(|&octet| octet == b'}')?;
    let length: usize = std::str::from_utf8(&rest[..close]).ok()?.parse().ok()?;
    let rest = rest[close..].strip_prefix(b"}\r\n")?;
    *octets = rest.get(length..)?;
    Some(Value::Text(rest[..length].to_vec()))
}

/// An atom; brackets inside it (`BODY[HEADER.FIELDS (FROM)]<0>`) belong to it with all they hold.
fn word(octets: &mut &[u8]) -> Value {
    let mut depth = 0_u32;
    let mut end = 0;
    for &octet in octets.iter() {
        match octet {
            b'[' => depth += 1,
            b']' if depth == 0 => break,
            b']' => depth -= 1,
            b' ' | b'(' | b')' | b'\r' | b'\n' if depth == 0 => break,
            _ => {}
        }
        end += 1;
    }
    let end = end.max(1);
    let word = octets[..end].to_vec();
    *octets = &octets[end..];
    Value::Word(word)
}

pub(super) fn find(octets: &[u8], part: &[u8]) -> Option<usize> {
    octets.windows(part.len()).position(|window| window == part)
}

#[test]
fn a_response_with_a_literal_meets_an_expectation_and_teaches_a_variable() {
    let said = Value::read(b"1 FETCH (UID 7 BODY[TEXT]<0> {3}\r\nbod FLAGS (\\Seen $x))");
    let expected = Value::read(b"1 fetch (flags (\\seen) uid $uid body[text]<0> \"bod\")");
    let (Value::List(said), Value::List(expected)) = (&said[2], &expected[2]) else {
        panic!("{said:?} {expected:?}")
    };
    let mut known = Variables::new();
    assert!(pairs_of(expected, said, &mut known));
    assert_eq!(expand(b"${uid}:$uid $$uid", &known), b"7:7 $uid");
    assert!(!pairs_of(&Value::read(b"uid 8"), said, &mut known));
}

#[test]
fn a_script_literal_ends_before_its_last_line_feed_and_a_raw_one_is_left_as_it_is() {
    assert_eq!(
        Value::read(b"{{{\na\nb\n\n}}}"),
        [Value::Text(b"a\r\nb\r\n".to_vec())]
    );
    assert_eq!(
        Value::read(b"~{{{\n3\r\n}}})"),
        [Value::Text(b"3\r".to_vec()), Value::Word(b")".to_vec())]
    );
}
