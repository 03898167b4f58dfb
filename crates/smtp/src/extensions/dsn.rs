//! DSN: when and how a sender wants to hear of its message's fate (RFC 3461).

use mail::{Notify, Ret};

use crate::{OriginalRecipient, xtext};

use super::{Extension, Parameter, parameters::syntax};

pub(super) const EXTENSION: Extension = Extension {
    offered: |offer| offer.config.dsn_offered,
    line: |_, out| out.extend_from_slice(b"DSN"),
    mail: &[
        Parameter {
            keyword: "RET",
            take: |mail, value, _| {
                mail.ret = match value {
                    Some(v) if v.eq_ignore_ascii_case("FULL") => Some(Ret::Full),
                    Some(v) if v.eq_ignore_ascii_case("HDRS") => Some(Ret::Headers),
                    _ => return Err(syntax()),
                };
                Ok(())
            },
        },
        Parameter {
            keyword: "ENVID",
            take: |mail, value, _| {
                let value = value.filter(|v| !v.is_empty() && v.len() <= ENVID_OCTETS_MAX);
                let envid = value.and_then(xtext::decode).ok_or_else(syntax)?;
                mail.envid = Some(envid);
                Ok(())
            },
        },
    ],
    rcpt: &[
        Parameter {
            keyword: "NOTIFY",
            take: |rcpt, value, _| {
                rcpt.notify = value.and_then(notify).ok_or_else(syntax)?;
                Ok(())
            },
        },
        Parameter {
            keyword: "ORCPT",
            take: |rcpt, value, _| {
                let value = value.filter(|v| v.len() <= ORCPT_OCTETS_MAX);
                rcpt.original = Some(value.and_then(original).ok_or_else(syntax)?);
                Ok(())
            },
        },
    ],
};

/// `NEVER`, or a list of the others (RFC 3461 §4.1).
fn notify(text: &str) -> Option<Notify> {
    if text.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for word in text.split(',') {
        match word {
            _ if word.eq_ignore_ascii_case("DELAY") => notify.delay = true,
            _ if word.eq_ignore_ascii_case("FAILURE") => notify.failure = true,
            _ if word.eq_ignore_ascii_case("SUCCESS") => notify.success = true,
            _ => return None,
        }
    }
    Some(notify)
}

/// `addr-type ";" xtext` (RFC 3461 §4.2).
fn original(text: &str) -> Option<OriginalRecipient> {
    let (kind, address) = text.split_once(';')?;
    let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if kind.is_empty() || address.is_empty() || !kind.bytes().all(sound) {
        return None;
    }
    Some(OriginalRecipient {
        kind: kind.to_owned(),
        address: xtext::decode(address)?,
    })
}

/// RFC 3461 §4.4.
const ENVID_OCTETS_MAX: usize = 100;

/// RFC 3461 §4.2.
const ORCPT_OCTETS_MAX: usize = 500;
