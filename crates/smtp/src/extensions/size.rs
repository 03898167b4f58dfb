//! SIZE: the client says how long its message is, before it sends it (RFC 1870).

use mail::{Enhanced, Reply};

use super::{Extension, Parameter, parameters::syntax};

pub(super) const EXTENSION: Extension = Extension {
    offered: |_| true,
    line: |offer, out| out.extend_from_slice(format!("SIZE {}", offer.config.size_max).as_bytes()),
    mail: &[Parameter {
        keyword: "SIZE",
        take: |mail, value, offer| {
            let value = value.filter(|v| v.len() <= DIGITS_MAX).ok_or_else(syntax)?;
            if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
                return Err(syntax());
            }
            // Twenty nines are more than any number of octets: too big, not a wrong value.
            let size = value.parse().unwrap_or(u64::MAX);
            if size > offer.config.size_max {
                return Err(too_big(offer.config.size_max));
            }
            mail.size = Some(size);
            Ok(())
        },
    }],
    rcpt: &[],
};

/// RFC 1870 §6.1.
pub(crate) fn too_big(size_max: u64) -> Reply {
    let text = format!("the message is longer than {size_max} octets");
    Reply::new(552, Enhanced(5, 3, 4), text)
}

/// RFC 1870 §4.
const DIGITS_MAX: usize = 20;
