//! Encoded words in header fields, decoded for people (RFC 2047).

use std::borrow::Cow;

use memchr::memmem;

use crate::{charset, transfer};

/// The text of a value without line ends: encoded words decoded, white space between two of them
/// dropped (RFC 2047 §6.2). Octets outside them that are not UTF-8 are taken for Windows-1252.
#[must_use]
pub fn decode(value: Cow<'_, [u8]>) -> Cow<'_, str> {
    if memmem::find(&value, b"=?").is_none() {
        return match value {
            Cow::Borrowed(octets) => charset::guess(octets),
            Cow::Owned(octets) => Cow::Owned(charset::guess(&octets).into_owned()),
        };
    }
    Cow::Owned(decode_words(&value))
}

fn decode_words(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    // Octets of words that stand side by side in one charset: a character may lie across them.
    let mut pending: Option<(&[u8], Vec<u8>)> = None;
    let mut rest = value;
    while !rest.is_empty() {
        let start = memmem::find(rest, b"=?").unwrap_or(rest.len());
        let (before, from) = rest.split_at(start);
        let Some(word) = encoded_word(from) else {
            let skipped = (start + 2).min(rest.len());
            flush(&mut pending, &mut out);
            out.push_str(&charset::guess(&rest[..skipped]));
            rest = &rest[skipped..];
            continue;
        };
        let apart = !before.iter().all(u8::is_ascii_whitespace);
        if pending.is_none() || apart {
            flush(&mut pending, &mut out);
            out.push_str(&charset::guess(before));
        }
        match &mut pending {
            Some((charset, octets)) if charset.eq_ignore_ascii_case(word.charset) => {
                octets.extend_from_slice(&word.octets);
            }
            _ => {
                flush(&mut pending, &mut out);
                pending = Some((word.charset, word.octets));
            }
        }
        rest = &from[word.length..];
    }
    flush(&mut pending, &mut out);
    out
}

fn flush(pending: &mut Option<(&[u8], Vec<u8>)>, out: &mut String) {
    if let Some((charset, octets)) = pending.take() {
        out.push_str(&charset::decode(charset, &octets));
    }
}

struct Word<'a> {
    charset: &'a [u8],
    octets: Vec<u8>,
    length: usize,
}

/// The encoded word at the beginning of `text`: `=?charset*language?B or Q?octets?=`.
fn encoded_word(text: &[u8]) -> Option<Word<'_>> {
    let inner = text.strip_prefix(b"=?")?;
    let mark = inner
        .iter()
        .take(CHARSET_OCTETS_MAX)
        .position(|&b| b == b'?')?;
    let charset = inner[..mark].split(|&b| b == b'*').next()?;
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let [encoding, b'?', encoded @ ..] = &inner[mark + 1..] else {
        return None;
    };
    let end = memmem::find(&encoded[..encoded.len().min(WORD_OCTETS_MAX)], b"?=")?;
    let encoded = &encoded[..end];
    let octets = match encoding {
        b'B' | b'b' => transfer::base64(encoded),
        b'Q' | b'q' => transfer::q_word(encoded),
        _ => return None,
    };
    Some(Word {
        charset,
        octets,
        length: 2 + mark + 1 + 2 + end + 2,
    })
}

const CHARSET_OCTETS_MAX: usize = 100;
/// RFC 2047 §2 allows 75, many write more. Without a bound, a header full of beginnings would be
/// searched to its end for each of them.
const WORD_OCTETS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: &str) -> String {
        decode(Cow::Borrowed(value.as_bytes())).into_owned()
    }

    #[test]
    fn encoded_words_are_decoded_as_rfc_2047_shows() {
        // RFC 2047 §8
        assert_eq!(text("(=?ISO-8859-1?Q?a?=)"), "(a)");
        assert_eq!(text("(=?ISO-8859-1?Q?a?= b)"), "(a b)");
        assert_eq!(text("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)"), "(ab)");
        assert_eq!(text("(=?ISO-8859-1?Q?a_b?=)"), "(a b)");
        assert_eq!(text("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)"), "(a b)");
        assert_eq!(
            text(
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\t=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?="
            ),
            "If you can read this you understand the example."
        );
        assert_eq!(text("=?us-ascii*en?q?=41?="), "A");
    }

    #[test]
    fn a_character_may_lie_across_two_words() {
        assert_eq!(text("=?utf-8?q?gr=C3?= =?utf-8?q?=BCn?="), "gr\u{fc}n");
    }

    #[test]
    fn what_only_looks_like_an_encoded_word_stays() {
        assert_eq!(text("a =?utf-8?x?b?= c =? d"), "a =?utf-8?x?b?= c =? d");
        assert_eq!(text("=?"), "=?");
    }

    proptest! {
        #[test]
        fn no_octets_make_the_decoder_panic(octets: Vec<u8>, near in "[=?utfQqBb8_ -]{0,40}") {
            let _ = decode(Cow::Borrowed(&octets));
            let _ = decode(Cow::Borrowed(near.as_bytes()));
        }
    }
}
