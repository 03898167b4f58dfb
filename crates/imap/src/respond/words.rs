//! Writes the smallest parts: numbers, strings, flags (RFC 3501 §9).

use mail::Flags;

use crate::codec::{MailboxName, is_atom};

/// A number in decimal.
pub fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `first:last`, or one number if they are the same.
pub(crate) fn range(out: &mut Vec<u8>, first: u32, last: u32) {
    number(out, u64::from(first));
    if last != first {
        out.push(b':');
        number(out, u64::from(last));
    }
}

/// A text to the end of the line: control characters become spaces, nothing becomes a dot.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        out.push(b'.');
    }
    let clean = text
        .bytes()
        .map(|o| if o.is_ascii_control() { b' ' } else { o });
    out.extend(clean);
}

/// A string: quoted if it can be, else a literal. NUL cannot be said and is left out.
pub fn string(out: &mut Vec<u8>, octets: &[u8]) {
    if octets.len() <= QUOTED_OCTETS_MAX && octets.iter().all(|&o| is_text(o)) {
        return quoted(out, octets);
    }
    if memchr::memchr(0, octets).is_some() {
        let octets: Vec<u8> = octets.iter().copied().filter(|&o| o != 0).collect();
        return string(out, &octets);
    }
    literal_head(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

/// A string, or `NIL`.
pub fn nstring(out: &mut Vec<u8>, octets: Option<&[u8]>) {
    match octets {
        Some(octets) => string(out, octets),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// An atom if it can be one, else a string. `NIL` is quoted, to be told from nothing.
pub fn astring(out: &mut Vec<u8>, octets: &[u8]) {
    if is_plain(octets) {
        out.extend_from_slice(octets);
    } else {
        string(out, octets);
    }
}

/// An astring of a client: its literal does not wait (RFC 7888 §3).
pub(crate) fn argument(out: &mut Vec<u8>, octets: &[u8]) {
    if is_plain(octets) {
        out.extend_from_slice(octets);
    } else if octets.len() <= QUOTED_OCTETS_MAX && octets.iter().all(|&o| is_text(o)) {
        quoted(out, octets);
    } else {
        out.push(b'{');
        number(out, octets.len() as u64);
        out.extend_from_slice(b"+}\r\n");
        out.extend_from_slice(octets);
    }
}

/// The length of a literal, whose octets must follow.
pub fn literal_head(out: &mut Vec<u8>, octets: u64) {
    out.push(b'{');
    number(out, octets);
    out.extend_from_slice(b"}\r\n");
}

/// The name of a mailbox.
pub fn mailbox(out: &mut Vec<u8>, name: &MailboxName) {
    let start = out.len();
    name.write_to(out);
    if !is_plain(&out[start..]) {
        let wire = out.split_off(start);
        string(out, &wire);
    }
}

/// `(\Seen keyword …)`
pub fn flags<'a>(
    out: &mut Vec<u8>,
    flags: Flags,
    keywords: impl IntoIterator<Item = &'a str>,
    recent: bool,
) {
    out.push(b'(');
    let start = out.len();
    for (flag, name) in Flags::NAMES {
        if flags.contains(flag) {
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
        }
    }
    for keyword in keywords {
        out.extend_from_slice(keyword.as_bytes());
        out.push(b' ');
    }
    if recent {
        out.extend_from_slice(b"\\Recent ");
    }
    if out.len() > start {
        out.pop();
    }
    out.push(b')');
}

fn quoted(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    let mut rest = octets;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Whether the octets are an atom that means nothing else.
fn is_plain(octets: &[u8]) -> bool {
    !octets.is_empty()
        && octets.len() <= QUOTED_OCTETS_MAX
        && octets.iter().all(|&octet| is_atom(octet))
        && !octets.eq_ignore_ascii_case(b"NIL")
}

/// `TEXT-CHAR` of RFC 3501 §9.
const fn is_text(octet: u8) -> bool {
    octet.is_ascii() && octet != b'\r' && octet != b'\n' && octet != 0
}

/// Longer strings are literals: clients read lines into buffers of some size.
const QUOTED_OCTETS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn strings_are_quoted_where_they_can_be_and_counted_where_not() {
        assert_eq!(said(|out| string(out, b"a \"b\\")), r#""a \"b\\""#);
        assert_eq!(said(|out| string(out, b"a\r\nb")), "{4}\r\na\r\nb");
        assert_eq!(said(|out| string(out, "ä\0".as_bytes())), "{2}\r\nä");
        assert_eq!(said(|out| nstring(out, None)), "NIL");
        assert_eq!(said(|out| astring(out, b"nil")), "\"nil\"");
        assert_eq!(said(|out| astring(out, b"")), "\"\"");
        assert_eq!(
            said(|out| mailbox(out, &MailboxName::new("a b/ü"))),
            "\"a b/&APw-\""
        );
        assert_eq!(said(|out| number(out, u64::MAX)), u64::MAX.to_string());
    }
}
