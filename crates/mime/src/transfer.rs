//! Content transfer encodings undone: base64 and quoted-printable (RFC 2045 §6.7, §6.8).

use std::borrow::Cow;

/// How a body is encoded (RFC 2045 §6.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Encoding {
    /// `base64`
    Base64,
    /// `7bit`, `8bit`, `binary` and what nobody knows: the octets are the content.
    #[default]
    Identity,
    /// `quoted-printable`
    QuotedPrintable,
}

impl Encoding {
    /// The encoding of that name, without regard to case.
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        if name.eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if name.eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }

    /// The content of a body. Damage is passed over: as much as can be read is read.
    #[must_use]
    pub fn decode(self, body: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Base64 => Cow::Owned(base64(body)),
            Self::Identity => Cow::Borrowed(body),
            Self::QuotedPrintable => Cow::Owned(quoted_printable(body)),
        }
    }
}

/// Octets outside the alphabet are passed over (RFC 2045 §6.8); a `=` ends a run, and another run
/// may follow, as careless joining makes it.
pub(crate) fn base64(encoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    for &octet in encoded {
        let digit = BASE64_DIGITS[octet as usize];
        if digit < 64 {
            bits = bits << 6 | u32::from(digit);
            count += 1;
            if count == 4 {
                out.extend_from_slice(&bits.to_be_bytes()[1..]);
                (bits, count) = (0, 0);
            }
        } else if octet == b'=' {
            finish(&mut out, bits, count);
            (bits, count) = (0, 0);
        }
    }
    finish(&mut out, bits, count);
    out
}

/// The octets that lie whole in a group of two or three digits.
fn finish(out: &mut Vec<u8>, bits: u32, count: u32) {
    if count >= 2 {
        let octets = (bits << (6 * (4 - count))).to_be_bytes();
        out.extend_from_slice(&octets[1..count as usize]);
    }
}

fn quoted_printable(encoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len());
    for line in encoded.split_inclusive(|&b| b == b'\n') {
        let (text, end) = split_line_end(line);
        // White space at a line's end was added on the way (RFC 2045 §6.7 (3)).
        let text = text.trim_ascii_end();
        let (text, end) = match text.strip_suffix(b"=") {
            Some(text) => (text, &[][..]),
            None => (text, end),
        };
        decode_escapes(text, &mut out);
        out.extend_from_slice(end);
    }
    out
}

/// The Q encoding of RFC 2047 §4.2: an underscore is a space.
pub(crate) fn q_word(encoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len());
    for (number, run) in encoded.split(|&b| b == b'_').enumerate() {
        if number > 0 {
            out.push(b' ');
        }
        decode_escapes(run, &mut out);
    }
    out
}

fn decode_escapes(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at..] {
            [_, high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(high) << 4 | hex(low));
                rest = &rest[at + 3..];
            }
            _ => {
                out.push(b'=');
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

/// Percent signs and two digits, as in RFC 2231 §4.
pub(crate) fn percent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, behind)) = rest.split_first() {
        match behind {
            [high, low, behind @ ..]
                if octet == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex(*high) << 4 | hex(*low));
                rest = behind;
            }
            _ => {
                out.push(octet);
                rest = behind;
            }
        }
    }
    out
}

/// The line and its CRLF or LF.
fn split_line_end(line: &[u8]) -> (&[u8], &[u8]) {
    let end = if line.ends_with(b"\r\n") {
        2
    } else {
        usize::from(line.ends_with(b"\n"))
    };
    line.split_at(line.len() - end)
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// The value of each digit of base64; 64 for what is none.
const BASE64_DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [64; 256];
    let mut value = 0;
    while value < 64 {
        digits[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_passes_over_what_does_not_belong() {
        assert_eq!(base64(b"aGVs\r\nbG8g  d29y\r\nbGQ="), b"hello world");
        assert_eq!(base64(b"YQ==YQ"), b"aa");
        assert_eq!(base64(b"YWI"), b"ab");
        assert_eq!(base64(b"Y"), b"");
    }

    #[test]
    fn quoted_printable_joins_soft_lines_and_drops_trailing_space() {
        assert_eq!(
            quoted_printable(b"hello  \r\nbar=\r\nfoo\t= \r\n=62=C3=bc=zz="),
            b"hello\r\nbarfoo\tb\xc3\xbc=zz"
        );
        assert_eq!(q_word(b"a_b=5Fc"), b"a b_c");
    }

    proptest! {
        #[test]
        fn no_octets_make_the_decoders_panic(octets: Vec<u8>, near in "[=A-F0-9\r\n_ ]{0,30}") {
            for text in [&octets[..], near.as_bytes()] {
                let _ = (base64(text), quoted_printable(text), q_word(text), percent(text));
            }
        }
    }
}
