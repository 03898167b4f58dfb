//! How much accounts and domains may hold, and hold.

use mail::{AccountId, Domain};

use super::Quota;
use crate::StoreError;

/// Messages, and the sum of their sizes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Held {
    /// In octets.
    pub octets: u64,
    /// Their number.
    pub messages: u64,
}

/// What somebody may hold, and holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Share {
    /// What may be held.
    pub quota: Quota,
    /// What is held; it is only looked at where there is a limit.
    pub held: Held,
}

/// What limits an account: its own share, and that of all accounts of its domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Usage {
    /// Whose.
    pub id: AccountId,
    /// Its own.
    pub account: Share,
    /// Where it lives.
    pub domain: Domain,
    /// All of the domain together.
    pub together: Share,
}

impl Held {
    /// Messages of these sizes.
    #[must_use]
    pub fn of(octets: impl IntoIterator<Item = u64>) -> Self {
        octets
            .into_iter()
            .fold(Self::default(), |held, octets| Self {
                octets: held.octets.saturating_add(octets),
                messages: held.messages + 1,
            })
    }
}

impl Quota {
    /// Whether anything is limited.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        self.octets.is_some() || self.messages.is_some()
    }
}

impl Share {
    /// Whether there is room for so much more. Nobody who holds more than he may is told to give
    /// it back: he gets no more.
    #[must_use]
    pub fn has_room_for(&self, more: Held) -> bool {
        let fits = |most: Option<u64>, held: u64, more: u64| {
            most.is_none_or(|most| held.saturating_add(more) <= most)
        };
        fits(self.quota.octets, self.held.octets, more.octets)
            && fits(self.quota.messages, self.held.messages, more.messages)
    }
}

impl Usage {
    /// Whether there is room for so much more.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] names who is full.
    pub fn admit(&self, more: Held) -> Result<(), StoreError> {
        if !self.account.has_room_for(more) {
            let what = format!("account {}", self.id);
            return Err(StoreError::OverQuota { what });
        }
        if !self.together.has_room_for(more) {
            let what = format!("domain {}", self.domain);
            return Err(StoreError::OverQuota { what });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(octets: Option<u64>, messages: Option<u64>) -> Share {
        Share {
            quota: Quota { octets, messages },
            held: Held {
                octets: 90,
                messages: 9,
            },
        }
    }

    #[test]
    fn what_fits_exactly_has_room_and_an_octet_or_a_message_more_has_none() {
        let more = |octets, messages| Held { octets, messages };
        for (octets, messages, wanted, fits) in [
            (None, None, more(u64::MAX, u64::MAX), true),
            (Some(100), None, more(10, 1), true),
            (Some(100), None, more(11, 1), false),
            (None, Some(10), more(1, 1), true),
            (None, Some(9), more(1, 1), false),
            (Some(10), None, more(0, 0), false),
            (Some(u64::MAX), None, more(u64::MAX, 1), true),
        ] {
            let found = share(octets, messages).has_room_for(wanted);
            assert_eq!(found, fits, "{octets:?} {messages:?} {wanted:?}");
        }
    }

    #[test]
    fn who_is_full_is_named_the_account_first() {
        let usage = |account, together| Usage {
            id: AccountId(7),
            account,
            domain: "example.test".parse().unwrap(),
            together,
        };
        let full = share(Some(1), None);
        let free = share(None, None);
        let said = |usage: Usage| usage.admit(Held::default()).unwrap_err().to_string();
        assert_eq!(said(usage(full, full)), "account 7 is full");
        assert_eq!(said(usage(free, full)), "domain example.test is full");
        assert!(usage(free, free).admit(Held::default()).is_ok());
    }
}
