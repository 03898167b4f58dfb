//! 8BITMIME: bodies with octets above 127 (RFC 6152).

use mail::BodyType;

use super::{Extension, Parameter, parameters::syntax};

pub(super) const EXTENSION: Extension = Extension {
    offered: |_| true,
    line: |_, out| out.extend_from_slice(b"8BITMIME"),
    mail: &[Parameter {
        keyword: "BODY",
        take: |mail, value, _| {
            // BINARYMIME is another extension (RFC 3030), and not offered.
            mail.body = match value {
                Some(v) if v.eq_ignore_ascii_case("7BIT") => BodyType::SevenBit,
                Some(v) if v.eq_ignore_ascii_case("8BITMIME") => BodyType::EightBitMime,
                _ => return Err(syntax()),
            };
            Ok(())
        },
    }],
    rcpt: &[],
};
