//! A mail domain: a name of the DNS, or an address literal.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// The part after the `@`: lower-case labels, or an address literal such as `[192.0.2.1]`
/// (RFC 5321 §4.1.2, §4.1.3). Cheap to clone.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Arc<str>);

/// Why a text is not a domain. Fault of whoever wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// An octet that no host name holds (RFC 5321 §2.3.5, RFC 1123 §2.1).
    #[error("a domain consists of letters, digits, hyphens and dots")]
    Character,
    /// An empty text, an empty label, or a hyphen at a label's edge.
    #[error("a domain's labels are not empty and do not begin or end with a hyphen")]
    Label,
    /// More than 255 octets, or a label of more than 63 (RFC 5321 §4.5.3.1.2, RFC 1035 §2.3.4).
    #[error("a domain has at most 255 octets, a label at most 63")]
    Length,
    /// Square brackets without an IP address between them.
    #[error("not an address literal: [192.0.2.1] or [IPv6:2001:db8::1] is expected")]
    Literal,
}

impl Domain {
    /// The text: lower-case, without a dot at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The IP address, if this is an address literal.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        literal(self.0.strip_prefix('[')?.strip_suffix(']')?)
    }

    /// Whether this is `other` or a name below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0
            .strip_suffix(&*other.0)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(DomainError::Literal)?;
            let shown = match literal(inner).ok_or(DomainError::Literal)? {
                IpAddr::V4(v4) => format!("[{v4}]"),
                IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
            };
            return Ok(Self(shown.into()));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > DOMAIN_OCTETS_MAX {
            return Err(DomainError::Length);
        }
        for label in text.split('.') {
            check_label(label)?;
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

/// Underscores are let through: they are no host names, but mail is sent from them.
fn check_label(label: &str) -> Result<(), DomainError> {
    if !label
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    {
        return Err(DomainError::Character);
    }
    if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
        return Err(DomainError::Label);
    }
    if label.len() > LABEL_OCTETS_MAX {
        return Err(DomainError::Length);
    }
    Ok(())
}

fn literal(inner: &str) -> Option<IpAddr> {
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            inner[5..].parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.as_str().to_owned()
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

const DOMAIN_OCTETS_MAX: usize = 255;
const LABEL_OCTETS_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Result<String, DomainError> {
        text.parse::<Domain>().map(String::from)
    }

    #[test]
    fn names_are_lower_case_and_without_a_final_dot() {
        assert_eq!(domain("MX.Example.TEST.").as_deref(), Ok("mx.example.test"));
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        assert_eq!(domain(""), Err(DomainError::Label));
        assert_eq!(domain("a..b"), Err(DomainError::Label));
        assert_eq!(domain("-a.b"), Err(DomainError::Label));
        assert_eq!(domain("a b"), Err(DomainError::Character));
        assert_eq!(domain("a\r\nb"), Err(DomainError::Character));
        assert_eq!(domain(&"a".repeat(64)), Err(DomainError::Length));
        assert_eq!(domain(&"a.".repeat(200)), Err(DomainError::Length));
        assert_eq!(domain("[1.2.3]"), Err(DomainError::Literal));
    }

    #[test]
    fn literals_are_addresses() {
        let v6: Domain = "[ipv6:2001:DB8::1]".parse().unwrap();
        assert_eq!(v6.as_str(), "[IPv6:2001:db8::1]");
        assert_eq!(v6.literal(), Some("2001:db8::1".parse().unwrap()));
        let name: Domain = "example.test".parse().unwrap();
        assert_eq!(name.literal(), None);
    }

    #[test]
    fn a_name_lies_within_itself_and_its_parents_only() {
        let of = |text: &str| text.parse::<Domain>().unwrap();
        assert!(of("a.b.test").is_within(&of("b.test")));
        assert!(of("b.test").is_within(&of("b.test")));
        assert!(!of("ab.test").is_within(&of("b.test")));
    }
}
