//! Octets of any charset to text.

use std::borrow::Cow;

use encoding_rs::{Encoding, WINDOWS_1252};

/// The text that `octets` stand for in the charset of that name; an unknown one is guessed.
/// What cannot be decoded becomes U+FFFD.
#[must_use]
pub fn decode<'a>(label: &[u8], octets: &'a [u8]) -> Cow<'a, str> {
    // US-ASCII is a subset of UTF-8, and who says it and sends more mostly means UTF-8.
    let is_ascii = label.eq_ignore_ascii_case(b"us-ascii") || label.eq_ignore_ascii_case(b"ascii");
    match Encoding::for_label(label) {
        Some(encoding) if !is_ascii => encoding.decode_without_bom_handling(octets).0,
        _ => guess(octets),
    }
}

/// UTF-8 if it is, else Windows-1252, in which every octet is a character.
#[must_use]
pub fn guess(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_are_known_by_their_many_names() {
        assert_eq!(decode(b"ISO-8859-1", b"\xfc"), "\u{fc}");
        assert_eq!(decode(b"koi8-r", b"\xd0\xd2"), "\u{43f}\u{440}");
        assert_eq!(decode(b"iso-2022-jp", b"\x1b$B$\"\x1b(B"), "\u{3042}");
        assert_eq!(decode(b"GB2312", b"\xc4\xe3"), "\u{4f60}");
        assert_eq!(decode(b"utf-8", b"a\xff"), "a\u{fffd}");
    }

    #[test]
    fn an_unknown_charset_is_guessed() {
        assert_eq!(decode(b"x-none", b"\xc3\xbc"), "\u{fc}");
        assert_eq!(decode(b"us-ascii", b"\xfc"), "\u{fc}");
    }
}
