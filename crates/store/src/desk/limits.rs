//! What limits accounts, and whom nothing limits: that is remembered, so that it is not read for
//! every message where nobody is limited.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use mail::{AccountId, Domain};

use super::{
    stamps::{STAMP_BITS, Stamp},
    store::Store,
};
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
        let stamp = self.stamp();
        let anybody = self.anybody(stamp)?;
        if anybody == Anybody::Nobody || self.desk.unlimited.has(account, stamp) {
            return Ok(None);
        }
        let is_listed = || self.newest(Class::House, &keys::limited(account));
        if anybody == Anybody::Listed && is_listed()?.is_none() {
            self.desk.unlimited.remember(account, stamp);
            return Ok(None);
        }
        let limits = self.limits(Seen::Newest, account)?;
        let is_limit = |limits: &Limits| limits.account.is_limit() || limits.together.is_limit();
        if limits.as_ref().is_some_and(|limits| !is_limit(limits)) {
            self.desk.unlimited.remember(account, stamp);
        }
        Ok(limits.filter(is_limit))
    }

    /// Who in the house may be limited.
    fn anybody(&self, stamp: Stamp) -> Result<Anybody, StoreError> {
        if let Some(known) = self.desk.limits.get(stamp) {
            return Ok(known);
        }
        let anybody = if !self.is_any(keys::DOMAIN_QUOTAS)?
            && self.newest(Class::House, keys::LISTED)?.is_some()
        {
            match self.is_any(keys::LIMITED)? {
                true => Anybody::Listed,
                false => Anybody::Nobody,
            }
        } else {
            Anybody::Unknown
        };
        self.desk.limits.remember(anybody, stamp);
        Ok(anybody)
    }

    fn is_any(&self, prefix: &[u8]) -> Result<bool, StoreError> {
        let mut is_any = false;
        self.each(Seen::Newest, Class::House, prefix, |_, _| {
            is_any = true;
            Ok(false)
        })?;
        Ok(is_any)
    }

    /// How much the accounts of a domain may hold together.
    pub(super) fn quota_of(&self, seen: Seen, domain: &Domain) -> Result<Quota, StoreError> {
        let stamp = self.stamp();
        if let Some(known) = self.desk.domains.quota(domain, stamp) {
            return Ok(known);
        }
        let key = keys::domain_quota(domain);
        let row = self.keeper.get(seen, Class::House, &key)?;
        let quota = row.map_or(Ok(Quota::default()), |octets| record::read_quota(&octets))?;
        if seen == Seen::Newest {
            self.desk.domains.remember_quota(domain, stamp, quota);
        }
        Ok(quota)
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.desk.stamps.stamp(self.keeper.generation())
    }
}

/// Who in the house may be limited. The numbers are how it is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Anybody {
    /// Whoever it is: to be looked up.
    Unknown = 1,
    /// Only accounts that are listed, and no domain.
    Listed = 2,
    /// Nobody at all.
    Nobody = 3,
}

/// The same for the whole house, remembered.
#[derive(Debug, Default)]
pub(super) struct HouseLimits(AtomicU64);

impl HouseLimits {
    fn get(&self, stamp: Stamp) -> Option<Anybody> {
        let known = self.0.load(Ordering::Acquire);
        if Some(known >> ANYBODY_BITS) != stamp.number() {
            return None;
        }
        [Anybody::Unknown, Anybody::Listed, Anybody::Nobody]
            .into_iter()
            .find(|one| known & ((1 << ANYBODY_BITS) - 1) == *one as u64)
    }

    fn remember(&self, anybody: Anybody, stamp: Stamp) {
        if let Some(stamp) = stamp.number() {
            let known = stamp << ANYBODY_BITS | anybody as u64;
            self.0.store(known, Ordering::Release);
        }
    }
}

/// Accounts that nothing limits, as far as it was looked.
#[derive(Debug)]
pub(super) struct Unlimited {
    /// An account's place is its number, modulo all places: neighbours take each other's only
    /// where there are more accounts than places. They are made as they are needed.
    pages: Box<[OnceLock<Page>]>,
}

type Page = Box<[AtomicU64; PAGE]>;

impl Unlimited {
    pub(super) fn new() -> Self {
        Self {
            pages: (0..PAGES).map(|_| OnceLock::new()).collect(),
        }
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
const fn locate(AccountId(account): AccountId, stamp: Stamp) -> Option<(u64, usize, usize)> {
    let places = (PAGES * PAGE) as u64;
    let (turn, place) = (account / places, (account % places) as usize);
    match stamp.number() {
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

/// What stands behind the stamp.
const ANYBODY_BITS: u32 = 2;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mail::Time;

    use super::*;
    use crate::{
        Config, DiskStore, MemoryStore,
        desk::stamps::Stamps,
        port::{AccountChange, Accounts, Leases, NewAccount, Shard},
    };

    #[test]
    fn who_is_remembered_is_so_until_limits_change_or_writes_are_lost() {
        let (unlimited, stamps) = (Unlimited::new(), Stamps::new());
        let ann = AccountId(7);
        let before = stamps.stamp(0);
        assert!(!unlimited.has(ann, before));
        unlimited.remember(ann, before);
        assert!(unlimited.has(ann, before) && unlimited.has(ann, stamps.stamp(0)));
        assert!(!unlimited.has(AccountId(8), before));
        assert!(!unlimited.has(ann, stamps.stamp(1)), "writes were lost");
        stamps.forget();
        assert!(!unlimited.has(ann, stamps.stamp(0)), "limits changed");
        // Whoever began to look before that and comes late says nothing about now.
        unlimited.remember(ann, before);
        assert!(!unlimited.has(ann, stamps.stamp(0)));
    }

    #[test]
    fn an_account_whose_place_another_one_takes_is_only_forgotten() {
        let (unlimited, stamps) = (Unlimited::new(), Stamps::new());
        let stamp = stamps.stamp(0);
        let (one, other) = (AccountId(7), AccountId(7 + (PAGES * PAGE) as u64));
        unlimited.remember(one, stamp);
        assert!(!unlimited.has(other, stamp));
        unlimited.remember(other, stamp);
        assert!(unlimited.has(other, stamp) && !unlimited.has(one, stamp));
    }

    #[test]
    fn nothing_is_remembered_that_has_no_room_in_a_place() {
        let (unlimited, stamps) = (Unlimited::new(), Stamps::new());
        let (far, stamp) = (AccountId(u64::MAX), stamps.stamp(0));
        unlimited.remember(far, stamp);
        assert!(!unlimited.has(far, stamp));
        let between_lives = stamps.stamp(u64::MAX);
        unlimited.remember(AccountId(7), between_lives);
        assert!(!unlimited.has(AccountId(7), between_lives));
        assert!(!unlimited.has(AccountId(0), between_lives));
    }

    #[test]
    fn what_is_known_of_the_whole_house_counts_until_limits_change_or_writes_are_lost() {
        let (limits, stamps) = (HouseLimits::default(), Stamps::new());
        assert_eq!(limits.get(stamps.stamp(0)), None);
        for anybody in [Anybody::Nobody, Anybody::Listed, Anybody::Unknown] {
            let before = stamps.stamp(0);
            limits.remember(anybody, before);
            assert_eq!(limits.get(before), Some(anybody));
            assert_eq!(limits.get(stamps.stamp(1)), None, "writes were lost");
            stamps.forget();
            assert_eq!(limits.get(stamps.stamp(0)), None, "limits changed");
        }
        let between_lives = stamps.stamp(u64::MAX);
        limits.remember(Anybody::Nobody, between_lives);
        assert_eq!(limits.get(between_lives), None);
    }

    #[tokio::test]
    async fn a_house_knows_whether_anybody_is_limited_and_an_older_one_looks_up_each() {
        let store = MemoryStore::new();
        let fence = store.fence(Shard::nth(0)).unwrap();
        let change = async |change| store.change(fence, vec![change]).await.unwrap();
        let anybody = || store.anybody(store.stamp()).unwrap();
        let domain: Domain = "example.test".parse().unwrap();
        let address = |local: &str| format!("{local}@{domain}").parse().unwrap();
        let limit = Quota {
            octets: None,
            messages: Some(1),
        };
        let none = Quota::default();
        let new = |local, quota| {
            AccountChange::AddAccount(NewAccount {
                address: address(local),
                password: None,
                quota,
            })
        };
        change(AccountChange::AddDomain(domain.clone())).await;
        change(new("ann", none)).await;
        assert_eq!(anybody(), Anybody::Nobody);
        change(new("bob", limit)).await;
        assert_eq!(anybody(), Anybody::Listed);
        let (ann, bob) = (AccountId(1), AccountId(2));
        let is_limited = |account| store.limited(account).unwrap().is_some();
        assert!(!is_limited(ann) && is_limited(bob));
        change(AccountChange::SetQuota(address("bob"), none)).await;
        assert_eq!(anybody(), Anybody::Nobody);
        assert!(!is_limited(ann) && !is_limited(bob));
        change(AccountChange::SetDomainQuota(domain.clone(), limit)).await;
        assert_eq!(anybody(), Anybody::Unknown);
        assert!(is_limited(ann) && is_limited(bob));
        change(AccountChange::SetDomainQuota(domain.clone(), none)).await;
        change(AccountChange::SetQuota(address("ann"), limit)).await;
        change(AccountChange::RemoveAccount(address("ann"))).await;
        assert_eq!(anybody(), Anybody::Nobody);
        // As it was before there was a list.
        let mut batch = store.begin();
        batch.remove(Class::House, keys::LISTED);
        store.commit_and_forget(batch).await.unwrap();
        change(AccountChange::SetQuota(address("bob"), limit)).await;
        assert_eq!(anybody(), Anybody::Unknown);
        assert!(!is_limited(ann) && is_limited(bob));
        let listed = store.newest(Class::House, &keys::limited(bob)).unwrap();
        assert_eq!(listed, None, "nobody would keep a list that is not whole");
    }

    #[tokio::test]
    async fn an_older_folder_gets_no_list_which_an_older_store_would_not_keep() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("format"), "heronry store 2\n").unwrap();
        let config = Config {
            reserve_octets: 0,
            ..Config::new(folder.path())
        };
        let store = DiskStore::open(config, Arc::new(|| Time(1))).unwrap();
        let new = NewAccount {
            address: "ann@example.test".parse().unwrap(),
            password: None,
            quota: Quota {
                octets: None,
                messages: Some(1),
            },
        };
        let changes = vec![
            AccountChange::AddDomain("example.test".parse().unwrap()),
            AccountChange::AddAccount(new),
        ];
        let fence = store.fence(Shard::nth(0)).unwrap();
        store.change(fence, changes).await.unwrap();
        assert_eq!(store.anybody(store.stamp()).unwrap(), Anybody::Unknown);
        assert!(store.limited(AccountId(1)).unwrap().is_some());
        assert_eq!(store.newest(Class::House, keys::LISTED).unwrap(), None);
        assert_eq!(store.check().unwrap().damage, [""; 0]);
    }
}
