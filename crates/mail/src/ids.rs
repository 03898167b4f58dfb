//! Numbers that name things: messages, accounts, mailboxes, and places in a mailbox.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize};

/// A message in the spool. Ids rise with the time of acceptance and are never used twice,
/// also not by another node: 48 bits of milliseconds, 16 of shard, 64 of sequence and chance.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct MessageId(pub u128);

/// An account. Numbers are never used twice: a removed account's mail cannot reappear in a new one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct AccountId(pub u64);

/// A mailbox (folder) of an account. It outlives renaming and is never used twice in an account.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct MailboxId(pub u32);

/// The unique identifier of a message in a mailbox, strictly ascending (RFC 3501 §2.3.1.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Uid(pub NonZeroU32);

/// The generation of a mailbox's UIDs (RFC 3501 §2.3.1.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct UidValidity(pub NonZeroU32);

/// The modification sequence of a mailbox or message; 63 bits, zero before the first change
/// (RFC 7162 §3.1.1).
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct ModSeq(pub u64);

/// The text is not an identifier.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a message id: 26 letters and digits are expected")]
pub struct IdError;

impl Uid {
    /// The lowest UID.
    pub const FIRST: Self = Self(NonZeroU32::MIN);
    /// The highest UID that can be.
    pub const LAST: Self = Self(NonZeroU32::MAX);

    /// The UID of that number; `None` for zero.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The UID after this one; `None` after the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl UidValidity {
    /// The generation of that number; `None` for zero.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// Twenty-six letters and digits without I, L, O and U: it is read aloud and typed by people.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; TEXT_LENGTH];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for MessageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != TEXT_LENGTH || text.as_bytes()[0].to_ascii_uppercase() > b'7' {
            return Err(IdError);
        }
        text.bytes()
            .try_fold(0_u128, |id, octet| {
                let octet = octet.to_ascii_uppercase();
                let digit = ALPHABET.iter().position(|&a| a == octet).ok_or(IdError)?;
                Ok(id << 5 | digit as u128)
            })
            .map(Self)
    }
}

macro_rules! shown_as_its_number {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

shown_as_its_number!(AccountId, MailboxId, ModSeq, Uid, UidValidity);

/// 128 bits, five a letter, the first letter holding three.
const TEXT_LENGTH: usize = 26;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn message_ids_survive_being_written_and_read(id: u128) {
            let id = MessageId(id);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
        }

        #[test]
        fn message_ids_sort_as_their_text(a: u128, b: u128) {
            let (a, b) = (MessageId(a), MessageId(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = text.parse::<MessageId>();
        }
    }
}
