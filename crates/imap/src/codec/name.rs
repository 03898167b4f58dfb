//! The name of a mailbox, as it is kept and as it travels.

use std::{fmt, sync::Arc};

use super::utf7;

/// A mailbox name in UTF-8, levels separated by `/`. `INBOX` as its first level is upper-case,
/// however it was written (RFC 3501 §5.1). Cheap to clone.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MailboxName(Arc<str>);

/// Why a name may not be given to a mailbox. Fault of the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A control character, or a wildcard, which no LIST could ever name.
    #[error("a mailbox name holds no control characters, % or *")]
    Character,
    /// Nothing between two separators, before the first or after the last.
    #[error("a mailbox name's levels are not empty")]
    Level,
    /// More than [`MailboxName::OCTETS_MAX`] octets or [`MailboxName::LEVELS_MAX`] levels.
    #[error("a mailbox name has at most 1000 octets and 32 levels")]
    Length,
}

impl MailboxName {
    /// What separates the levels of a name.
    pub const SEPARATOR: char = '/';
    /// The longest name that can be created, in octets of UTF-8.
    pub const OCTETS_MAX: usize = 1000;
    /// The most levels that a created name can have.
    pub const LEVELS_MAX: usize = 32;

    /// The mailbox that every account has.
    #[must_use]
    pub fn inbox() -> Self {
        Self(INBOX.into())
    }

    /// The name of that text.
    #[must_use]
    pub fn new(name: &str) -> Self {
        match name.split_once(Self::SEPARATOR) {
            None if name.eq_ignore_ascii_case(INBOX) => Self::inbox(),
            Some((first, rest)) if first != INBOX && first.eq_ignore_ascii_case(INBOX) => {
                Self(format!("{INBOX}/{rest}").into())
            }
            _ => Self(name.into()),
        }
    }

    /// The name that travels in these octets; `None` if they are not modified UTF-7.
    #[must_use]
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        utf7::decode(wire).map(|name| Self::new(&name))
    }

    /// Appends the name in modified UTF-7, neither quoted nor a literal.
    pub fn write_to(&self, wire: &mut Vec<u8>) {
        utf7::encode(&self.0, wire);
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the mailbox that every account has.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == INBOX
    }

    /// The name without a separator at its end, which only declares an intent (RFC 3501 §6.3.3).
    #[must_use]
    pub fn without_final_separator(self) -> Self {
        match self.0.strip_suffix(Self::SEPARATOR) {
            Some(name) => Self::new(name),
            None => self,
        }
    }

    /// Whether a mailbox may be given this name.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), NameError> {
        if self.0.len() > Self::OCTETS_MAX
            || self.0.split(Self::SEPARATOR).count() > Self::LEVELS_MAX
        {
            return Err(NameError::Length);
        }
        if self
            .0
            .chars()
            .any(|c| c.is_control() || matches!(c, '%' | '*'))
        {
            return Err(NameError::Character);
        }
        if self.0.split(Self::SEPARATOR).any(str::is_empty) {
            return Err(NameError::Level);
        }
        Ok(())
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

const INBOX: &str = "INBOX";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_has_no_case_and_neither_has_it_as_a_parent() {
        assert!(MailboxName::new("inBox").is_inbox());
        assert_eq!(MailboxName::new("inbox/Inbox").as_str(), "INBOX/Inbox");
        assert_eq!(MailboxName::new("inboxes").as_str(), "inboxes");
    }

    #[test]
    fn names_are_checked_before_they_are_given() {
        let check = |name: &str| MailboxName::new(name).check();
        assert_eq!(check("a/b ü"), Ok(()));
        assert_eq!(check(""), Err(NameError::Level));
        assert_eq!(check("a//b"), Err(NameError::Level));
        assert_eq!(check("/a"), Err(NameError::Level));
        assert_eq!(check("a\nb"), Err(NameError::Character));
        assert_eq!(check("a*"), Err(NameError::Character));
        assert_eq!(check(&"a/".repeat(40)), Err(NameError::Length));
        let create = MailboxName::new("a/").without_final_separator();
        assert_eq!(create.as_str(), "a");
    }
}
