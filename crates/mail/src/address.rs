//! A mail address: a local part at a domain.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Domain, DomainError};

/// A mailbox in the sense of RFC 5321 §4.1.2. The local part is kept as its meaning, without
/// quotes, and keeps its case (RFC 5321 §2.4); the domain is lower-case. Cheap to clone.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    domain: Domain,
    local: Arc<str>,
}

/// Why a text is not an address. Fault of whoever wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `@`.
    #[error("an address has an @")]
    At,
    /// The part after the `@` is not a domain.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// More than 64 octets before the `@` (RFC 5321 §4.5.3.1.1).
    #[error("the part before the @ has at most 64 octets")]
    Length,
    /// The part before the `@` is neither dot-separated atoms nor a quoted string.
    #[error("the part before the @ is neither atoms with dots nor a quoted string")]
    Local,
}

impl Address {
    /// An address of parts that are already known to be sound.
    ///
    /// # Errors
    /// [`AddressError::Local`] or [`AddressError::Length`] when no quoting makes `local` one.
    pub fn new(local: &str, domain: Domain) -> Result<Self, AddressError> {
        if local.is_empty() || !local.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(AddressError::Local);
        }
        if local.len() > LOCAL_OCTETS_MAX {
            return Err(AddressError::Length);
        }
        Ok(Self {
            domain,
            local: local.into(),
        })
    }

    /// The part after the `@`.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The part before the `@`, unquoted, in the case in which it was written.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let at = if text.starts_with('"') {
            quoted_end(text)?
        } else {
            text.find('@')
        };
        let at = at.ok_or(AddressError::At)?;
        let (local, rest) = text.split_at(at);
        let domain = rest.strip_prefix('@').ok_or(AddressError::At)?.parse()?;
        if local.starts_with('"') {
            return Self::new(&unquote(local), domain);
        }
        if !is_dot_string(local) {
            return Err(AddressError::Local);
        }
        Self::new(local, domain)
    }
}

/// Where the quoted string at the beginning of `text` ends.
fn quoted_end(text: &str) -> Result<Option<usize>, AddressError> {
    let mut escaped = false;
    for (at, octet) in text.bytes().enumerate().skip(1) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Ok(Some(at + 1)),
            _ => {}
        }
    }
    Err(AddressError::Local)
}

fn unquote(quoted: &str) -> String {
    let mut escaped = false;
    quoted[1..quoted.len() - 1]
        .chars()
        .filter(|&c| {
            escaped = c == '\\' && !escaped;
            !escaped
        })
        .collect()
}

fn is_dot_string(local: &str) -> bool {
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// RFC 5322 §3.2.3.
fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// Quoted where it must be, and only there.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

const LOCAL_OCTETS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_domain_loses_its_case_and_the_local_part_keeps_it() {
        let address: Address = "Ann.Lee+x@Example.TEST".parse().unwrap();
        assert_eq!(address.to_string(), "Ann.Lee+x@example.test");
    }

    #[test]
    fn quotes_are_a_way_of_writing_and_not_part_of_the_name() {
        let plain: Address = "\"ann\"@example.test".parse().unwrap();
        assert_eq!(plain.to_string(), "ann@example.test");
        let odd: Address = r#""a \"b\" @c\\"@example.test"#.parse().unwrap();
        assert_eq!(odd.local(), r#"a "b" @c\"#);
        assert_eq!(odd.to_string(), r#""a \"b\" @c\\"@example.test"#);
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        let of = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(of("ann"), AddressError::At);
        assert_eq!(of("@example.test"), AddressError::Local);
        assert_eq!(of("a..b@example.test"), AddressError::Local);
        assert_eq!(of("a b@example.test"), AddressError::Local);
        assert_eq!(of("\"a@example.test"), AddressError::Local);
        assert_eq!(of("\"a\"b@example.test"), AddressError::At);
        assert_eq!(of("a@"), AddressError::Domain(DomainError::Label));
        assert_eq!(
            of(&format!("{}@a.test", "a".repeat(65))),
            AddressError::Length
        );
        assert_eq!(of("\"a\nb\"@example.test"), AddressError::Local);
    }

    proptest! {
        #[test]
        fn addresses_survive_being_written_and_read(local in "[ -~]{1,64}") {
            let address = Address::new(&local, "example.test".parse().unwrap()).unwrap();
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = text.parse::<Address>();
        }
    }
}
