//! AUTH: the client says who it is (RFC 4954). The exchange itself is the server's.

use crate::xtext;

use super::{Extension, Offer, Parameter, parameters::syntax};

pub(super) const EXTENSION: Extension = Extension {
    offered: |offer| is_offered(offer) || offer.authenticated,
    line: |offer, out| {
        out.extend_from_slice(b"AUTH");
        for mechanism in &offer.config.mechanisms {
            out.push(b' ');
            out.extend_from_slice(mechanism.name().as_bytes());
        }
    },
    mail: &[Parameter {
        keyword: "AUTH",
        take: |mail, value, _| {
            let value = value.filter(|v| v.len() <= SUBMITTER_OCTETS_MAX);
            let value = value.ok_or_else(syntax)?;
            mail.submitter = Some(xtext::decode(value).ok_or_else(syntax)?);
            Ok(())
        },
    }],
    rcpt: &[],
};

/// Whether AUTH may be used: both mechanisms show the password, so only in private
/// (RFC 4954 §4, RFC 4616 §1).
pub(crate) fn is_offered(offer: &Offer<'_>) -> bool {
    let private = offer.tls || offer.config.plaintext_auth_allowed;
    private && !offer.config.mechanisms.is_empty()
}

/// RFC 4954 §3: the parameter adds up to 500 octets to `MAIL`.
const SUBMITTER_OCTETS_MAX: usize = 500;
