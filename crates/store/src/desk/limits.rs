//! What limits accounts, and whom nothing limits: that is remembered, so that it is not read for
//! every message where nobody is limited.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use mail::{AccountId, Domain};

use super::store::Store;
use crate::{
    StoreError,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::Quota,
    record,
};

/// What an account may hold, and all accounts of its domain together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Limits {
    pub(super) account: Quota,
    pub(super) domain: Domain,
    pub(super) together: Quota,
}

impl<K: Keeper> Store<K> {
    /// What an account may hold; `None` if nobody has that number.
    pub(super) fn limits(
        &self,
        seen: Seen,
        account: AccountId,
    ) -> Result<Option<Limits>, StoreError> {
        let row = self
            .keeper
            .get(seen, Class::House, &keys::account(account))?;
        let Some(octets) = row else {
            return Ok(None);
        };
        let (account, domain) = record::read_limits(&octets)?;
        let together = self.quota_of(seen, &domain)?;
        Ok(Some(Limits {
            account,
            domain,
            together,
        }))
    }

    /// What an account may hold, by the newest rows; `None` if nothing limits it.
    pub(super) fn limited(&self, account: AccountId) -> Result<Option<Limits>, StoreError> {
        // Before anything is read: what changes meanwhile makes the stamp old.
        let stamp = self.desk.unlimited.stamp(self.keeper.generation());
        if self.desk.unlimited.has(account, stamp) {
            return Ok(None);
        }
        let limits = self.limits(Seen::Newest, account)?;
        let is_limit = |limits: &Limits| limits.account.is_limit() || limits.together.is_limit();
        if limits.as_ref().is_some_and(|limits| !is_limit(limits)) {
            self.desk.unlimited.remember(account, stamp);
        }
        Ok(limits.filter(is_limit))
    }

    /// How much the accounts of a domain may hold together.
    pub(super) fn quota_of(&self, seen: Seen, domain: &Domain) -> Result<Quota, StoreError> {
        let key = keys::domain_quota(domain);
        let row = self.keeper.get(seen, Class::House, &key)?;
        row.map_or(Ok(Quota::default()), |octets| record::read_quota(&octets))
    }
}

/// Accounts that nothing limits, as far as it was looked.
///
/// Each is remembered with a stamp, and counts only while that is the newest one: it rises when
/// somebody may have become limited, and when what was read may have been lost.
#[derive(Debug)]
pub(super) struct Unlimited {
    version: AtomicU64,
    /// An account's place is its number, modulo all places: neighbours take each other's only
    /// where there are more accounts than places. They are made as they are needed.
    pages: Box<[OnceLock<Page>]>,
}

type Page = Box<[AtomicU64; PAGE]>;

/// What was known when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp(Option<u64>);

impl Unlimited {
    pub(super) fn new() -> Self {
        Self {
            version: AtomicU64::new(1), // no account has the stamp of an empty place
            pages: (0..PAGES).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Limits have changed. To be called when the change is committed, before its locks are free.
    pub(super) fn forget(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// What is read from now on is newer than this. Both of what it is made of only ever rise.
    fn stamp(&self, generation: u64) -> Stamp {
        let stamp = generation.checked_add(self.version.load(Ordering::Acquire));
        Stamp(stamp.filter(|stamp| *stamp < 1 << STAMP_BITS))
    }

    fn has(&self, account: AccountId, stamp: Stamp) -> bool {
        let Some((entry, page, place)) = locate(account, stamp) else {
            return false;
        };
        let page = self.pages[page].get();
        page.is_some_and(|page| page[place].load(Ordering::Relaxed) == entry)
    }

    fn remember(&self, account: AccountId, stamp: Stamp) {
        if let Some((entry, page, place)) = locate(account, stamp) {
            let page =
                self.pages[page].get_or_init(|| Box::new([const { AtomicU64::new(0) }; PAGE]));
            page[place].store(entry, Ordering::Relaxed);
        }
    }
}

/// What stands in an account's place, and where that is.
const fn locate(AccountId(account): AccountId, Stamp(stamp): Stamp) -> Option<(u64, usize, usize)> {
    let places = (PAGES * PAGE) as u64;
    let (turn, place) = (account / places, (account % places) as usize);
    match stamp {
        Some(stamp) if turn < 1 << (u64::BITS - STAMP_BITS) => {
            let entry = turn << STAMP_BITS | stamp;
            Some((entry, place / PAGE, place % PAGE))
        }
        _ => None,
    }
}

/// Places in a page, which has 4 KiB.
const PAGE: usize = 512;

/// All pages together are a MiB.
const PAGES: usize = 256;

/// The rest of a place is for the account.
const STAMP_BITS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_remembered_is_so_until_limits_change_or_writes_are_lost() {
        let unlimited = Unlimited::new();
        let ann = AccountId(7);
        let before = unlimited.stamp(0);
        assert!(!unlimited.has(ann, before));
        unlimited.remember(ann, before);
        assert!(unlimited.has(ann, before) && unlimited.has(ann, unlimited.stamp(0)));
        assert!(!unlimited.has(AccountId(8), before));
        assert!(!unlimited.has(ann, unlimited.stamp(1)), "writes were lost");
        unlimited.forget();
        assert!(!unlimited.has(ann, unlimited.stamp(0)), "limits changed");
        // Whoever began to look before that and comes late says nothing about now.
        unlimited.remember(ann, before);
        assert!(!unlimited.has(ann, unlimited.stamp(0)));
    }

    #[test]
    fn an_account_whose_place_another_one_takes_is_only_forgotten() {
        let unlimited = Unlimited::new();
        let stamp = unlimited.stamp(0);
        let (one, other) = (AccountId(7), AccountId(7 + (PAGES * PAGE) as u64));
        unlimited.remember(one, stamp);
        assert!(!unlimited.has(other, stamp));
        unlimited.remember(other, stamp);
        assert!(unlimited.has(other, stamp) && !unlimited.has(one, stamp));
    }

    #[test]
    fn nothing_is_remembered_that_has_no_room_in_a_place() {
        let unlimited = Unlimited::new();
        let (far, stamp) = (AccountId(u64::MAX), unlimited.stamp(0));
        unlimited.remember(far, stamp);
        assert!(!unlimited.has(far, stamp));
        let between_lives = unlimited.stamp(u64::MAX);
        unlimited.remember(AccountId(7), between_lives);
        assert!(!unlimited.has(AccountId(7), between_lives));
        assert!(!unlimited.has(AccountId(0), between_lives));
    }
}
