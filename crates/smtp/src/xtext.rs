//! xtext: printable text whose odd characters are written as `+XX` (RFC 3461 §4).

/// The text that `xtext` stands for; `None` if it is not xtext, or not printable once decoded:
/// what comes out of here goes into headers and reports.
pub(crate) fn decode(xtext: &str) -> Option<String> {
    let mut text = String::with_capacity(xtext.len());
    let mut octets = xtext.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'+' => hex(octets.next()?)? << 4 | hex(octets.next()?)?,
            b'=' => return None,
            b'!'..=b'~' => octet,
            _ => return None,
        };
        if !(b' '..=b'~').contains(&octet) {
            return None;
        }
        text.push(octet.into());
    }
    Some(text)
}

/// Appends `text` as xtext.
pub(crate) fn encode(text: &str, out: &mut Vec<u8>) {
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' | ..=b' ' | 0x7f.. => {
                out.push(b'+');
                out.push(HEX[usize::from(octet >> 4)]);
                out.push(HEX[usize::from(octet & 15)]);
            }
            _ => out.push(octet),
        }
    }
}

/// RFC 3461 §4 asks for upper case; lower case is understood as well.
fn hex(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16)?.try_into().ok()
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_xtext_is_decoded() {
        assert_eq!(decode("a+2Bb+3D").as_deref(), Some("a+b="));
        for wrong in ["a=b", "a+2", "a+zz", "a b", "a+0D+0A", "\u{e9}"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn printable_text_survives(text in "[ -~]{0,40}") {
            let mut out = Vec::new();
            encode(&text, &mut out);
            prop_assert_eq!(decode(std::str::from_utf8(&out).unwrap()), Some(text));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = decode(&text);
        }
    }
}
