//! Writes what a server says, straight into a buffer (RFC 3501 §7, §9).
//!
//! Every function appends; nothing is read back. What a peer or a message said cannot begin a
//! line of ours: it is quoted, or a literal whose length stands before it.

mod fetch;
mod structure;

use mail::{Flags, Uid, UidValidity};

pub use fetch::FetchResponse;
pub use structure::{Address, BodyPart, Disposition, Envelope, Parameters, PartKind};

use crate::{
    Ranges, StatusItem,
    codec::{MailboxName, is_atom},
    reply::Reply,
};

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

/// `* 12 EXISTS`, and the same for `RECENT` and `EXPUNGE`.
pub fn numbered(out: &mut Vec<u8>, n: u32, what: &str) {
    out.extend_from_slice(b"* ");
    number(out, u64::from(n));
    out.push(b' ');
    out.extend_from_slice(what.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `* OK …`, `* NO …`: a reply to no command.
pub fn untagged(out: &mut Vec<u8>, reply: &Reply) {
    reply.write_to("", out);
}

/// `+ …`: go on.
pub fn go_on(out: &mut Vec<u8>, words: &str) {
    out.extend_from_slice(b"+ ");
    text(out, words);
    out.extend_from_slice(b"\r\n");
}

/// What SELECT and EXAMINE tell before their reply (RFC 3501 §6.3.1).
#[derive(Clone, Debug)]
pub struct SelectData<'a> {
    /// How many messages.
    pub exists: u32,
    /// How many of them are recent.
    pub recent: u32,
    /// The sequence number of the first that is not seen.
    pub first_unseen: Option<u32>,
    /// The next UID.
    pub uid_next: Uid,
    /// The generation of the UIDs.
    pub uid_validity: UidValidity,
    /// The keywords in use.
    pub keywords: Vec<&'a str>,
    /// Whether flags cannot be changed.
    pub read_only: bool,
    /// Whether new keywords can be used.
    pub new_keywords: bool,
}

/// What SELECT and EXAMINE tell before their reply (RFC 3501 §6.3.1).
pub fn select(out: &mut Vec<u8>, data: &SelectData<'_>) {
    flags_known(out, &data.keywords, data.read_only, data.new_keywords);
    numbered(out, data.exists, "EXISTS");
    numbered(out, data.recent, "RECENT");
    if let Some(unseen) = data.first_unseen {
        ok_number(out, "UNSEEN", unseen, "the first that is not seen");
    }
    ok_number(
        out,
        "UIDVALIDITY",
        data.uid_validity.get(),
        "the UIDs' generation",
    );
    ok_number(out, "UIDNEXT", data.uid_next.get(), "the next UID");
}

/// Which flags there are, and which of them can be changed for ever (RFC 3501 §7.2.6, §7.1).
pub fn flags_known(out: &mut Vec<u8>, keywords: &[&str], read_only: bool, new_keywords: bool) {
    out.extend_from_slice(b"* FLAGS ");
    flags(out, Flags::ALL, keywords.iter().copied(), false);
    out.extend_from_slice(b"\r\n* OK [PERMANENTFLAGS ");
    if read_only {
        out.extend_from_slice(b"()");
    } else {
        let any = new_keywords.then_some("\\*");
        flags(out, Flags::ALL, keywords.iter().copied().chain(any), false);
    }
    out.extend_from_slice(b"] what is kept\r\n");
}

fn ok_number(out: &mut Vec<u8>, code: &str, n: u32, words: &str) {
    out.extend_from_slice(b"* OK [");
    out.extend_from_slice(code.as_bytes());
    out.push(b' ');
    number(out, u64::from(n));
    out.extend_from_slice(b"] ");
    out.extend_from_slice(words.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `* STATUS mailbox (…)`
pub fn status(
    out: &mut Vec<u8>,
    name: &MailboxName,
    items: impl IntoIterator<Item = (StatusItem, u64)>,
) {
    out.extend_from_slice(b"* STATUS ");
    mailbox(out, name);
    for (n, (item, value)) in items.into_iter().enumerate() {
        out.extend_from_slice(if n == 0 { b" (" } else { b" " });
        out.extend_from_slice(item.name().as_bytes());
        out.push(b' ');
        number(out, value);
    }
    out.extend_from_slice(b")\r\n");
}

/// `* SEARCH …`
pub fn search(out: &mut Vec<u8>, found: &Ranges) {
    out.extend_from_slice(b"* SEARCH");
    for n in found.iter() {
        out.push(b' ');
        number(out, u64::from(n));
    }
    out.extend_from_slice(b"\r\n");
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

    #[test]
    fn a_selected_mailbox_is_described_line_by_line() {
        let data = SelectData {
            exists: 18,
            recent: 2,
            first_unseen: Some(17),
            uid_next: Uid::new(4392).unwrap(),
            uid_validity: UidValidity::new(3857529045).unwrap(),
            keywords: vec!["$Junk"],
            read_only: false,
            new_keywords: true,
        };
        let lines = said(|out| select(out, &data));
        assert_eq!(
            lines,
            "* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen $Junk)\r\n\
             * OK [PERMANENTFLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen $Junk \\*)] what is kept\r\n\
             * 18 EXISTS\r\n* 2 RECENT\r\n* OK [UNSEEN 17] the first that is not seen\r\n\
             * OK [UIDVALIDITY 3857529045] the UIDs' generation\r\n* OK [UIDNEXT 4392] the next UID\r\n"
        );
    }

    #[test]
    fn what_is_found_is_listed() {
        let found = [2, 84, 882].into_iter().collect();
        assert_eq!(said(|out| search(out, &found)), "* SEARCH 2 84 882\r\n");
        let items = [(StatusItem::Messages, 231), (StatusItem::UidNext, 44292)];
        assert_eq!(
            said(|out| status(out, &MailboxName::new("blurdybloop"), items)),
            "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n"
        );
    }
}
