//! What a mailbox remembers about a message: system flags and keywords.

use std::{
    fmt,
    ops::{BitAnd, BitOr, Not},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// A set of the system flags that are kept (RFC 3501 §2.3.2); `\Recent` is a view's, not kept.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Flags(pub u8);

/// A keyword: an atom that compares without regard to case (RFC 3501 §2.3.2). Cheap to clone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Keyword(Arc<str>);

/// The text is not a keyword.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a keyword is an atom of 1 to 64 octets that does not begin with a backslash")]
pub struct KeywordError;

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Answered`
    pub const ANSWERED: Self = Self(1);
    /// `\Deleted`
    pub const DELETED: Self = Self(2);
    /// `\Draft`
    pub const DRAFT: Self = Self(4);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(8);
    /// `\Seen`
    pub const SEEN: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(31);

    /// Each flag with its name on the wire.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::DELETED, "\\Deleted"),
        (Self::DRAFT, "\\Draft"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::SEEN, "\\Seen"),
    ];

    /// Whether every flag of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flag of that name, without regard to case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, n)| n.eq_ignore_ascii_case(name))
            .map(|(flag, _)| *flag)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }
}

impl Keyword {
    /// The text in the case in which it was first written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Keyword {
    type Err = KeywordError;

    fn from_str(text: &str) -> Result<Self, KeywordError> {
        let is_atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
        if text.is_empty() || text.len() > KEYWORD_OCTETS_MAX || !text.bytes().all(is_atom) {
            return Err(KeywordError);
        }
        Ok(Self(text.into()))
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl TryFrom<String> for Keyword {
    type Error = KeywordError;

    fn try_from(text: String) -> Result<Self, KeywordError> {
        text.parse()
    }
}

impl From<Keyword> for String {
    fn from(keyword: Keyword) -> Self {
        keyword.as_str().to_owned()
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Long enough for every registered keyword, short enough for a mailbox to hold many.
const KEYWORD_OCTETS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_compare_without_case_and_show_the_first_one() {
        let keyword: Keyword = "$Forwarded".parse().unwrap();
        assert_eq!(keyword, "$FORWARDED".parse().unwrap());
        assert_eq!(keyword.to_string(), "$Forwarded");
        assert!("\\Seen".parse::<Keyword>().is_err());
        assert!("a b".parse::<Keyword>().is_err());
    }

    #[test]
    fn flags_are_named_on_the_wire() {
        assert_eq!(Flags::named("\\seen"), Some(Flags::SEEN));
        assert_eq!(Flags::named("\\Recent"), None);
        assert_eq!(!Flags::SEEN & Flags::SEEN, Flags::NONE);
    }
}
