//! Modified UTF-7: how mailbox names travel (RFC 3501 §5.1.3).

use base64::{
    Engine,
    alphabet::IMAP_MUTF7,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};

/// The name in UTF-8; `None` if the octets are not modified UTF-7 in its one canonical form.
pub(super) fn decode(wire: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'&' => {
                let end = memchr::memchr(b'-', rest)?;
                if end == 0 {
                    name.push('&');
                } else {
                    shifted(&rest[..end], &mut name)?;
                    if rest[end + 1..].first() == Some(&b'&')
                        && rest.get(end + 2).is_some_and(|&next| next != b'-')
                    {
                        return None; // two shifts in a row have a shorter form
                    }
                }
                rest = &rest[end + 1..];
            }
            b' '..=b'~' => name.push(char::from(octet)),
            _ => return None,
        }
    }
    Some(name)
}

/// Appends what one shifted run stands for.
fn shifted(run: &[u8], name: &mut String) -> Option<()> {
    let octets = BASE64.decode(run).ok()?;
    if octets.len() % 2 != 0 {
        return None;
    }
    let units = octets
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    for unit in char::decode_utf16(units) {
        match unit.ok()? {
            ' '..='~' => return None, // printable US-ASCII is never shifted
            c => name.push(c),
        }
    }
    Some(())
}

/// Appends the name as it travels.
pub(super) fn encode(name: &str, wire: &mut Vec<u8>) {
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        match c {
            '&' => {
                wire.extend_from_slice(b"&-");
                rest = &rest[1..];
            }
            ' '..='~' => {
                wire.push(c as u8);
                rest = &rest[1..];
            }
            _ => {
                let end = rest.find(|c| matches!(c, ' '..='~')).unwrap_or(rest.len());
                let octets: Vec<u8> = rest[..end]
                    .encode_utf16()
                    .flat_map(u16::to_be_bytes)
                    .collect();
                wire.push(b'&');
                wire.extend_from_slice(BASE64.encode(octets).as_bytes());
                wire.push(b'-');
                rest = &rest[end..];
            }
        }
    }
}

/// `,` for `/`, no padding, and unused bits are zero: one text, one form.
const BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(name: &str) -> String {
        let mut wire = Vec::new();
        encode(name, &mut wire);
        String::from_utf8(wire).unwrap()
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        assert_eq!(
            wire("~peter/mail/台北/日本語"),
            "~peter/mail/&U,BTFw-/&ZeVnLIqe-"
        );
        assert_eq!(decode(b"p&AOQA5A-").as_deref(), Some("pää"));
        assert_eq!(decode(b"Jack &- Jill").as_deref(), Some("Jack & Jill"));
    }

    #[test]
    fn what_has_another_form_or_none_is_refused() {
        for bad in [
            "&Jjo",
            "&Jjo!",
            "&U,BTFw-&ZeVnLIqe-",
            "&AEEAQg-",
            "&2AA-",
            "a&'b",
            "&AOR-",
            "\u{e4}",
            "a\tb",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn names_survive_being_written_and_read(name: String) {
            prop_assert_eq!(decode(wire(&name).as_bytes()), Some(name));
        }

        #[test]
        fn what_is_read_is_written_the_same(octets in "[&,+A-Za-z0-9-]{0,16}") {
            if let Some(name) = decode(octets.as_bytes()) {
                prop_assert_eq!(wire(&name), octets);
            }
        }
    }
}
