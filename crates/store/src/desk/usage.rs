//! How much accounts and domains hold, and whether there is room for more.
//!
//! What an account holds is the sum of its mailboxes' counters. What a domain holds is counted only
//! while it is limited: from the moment in which it is, by every write that changes it.

use mail::{AccountId, Domain};

use super::{opened::Box, store::Store};
use crate::{
    StoreError,
    batch::Batch,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Held, Quota, Share, Usage},
    record,
};

impl<K: Keeper> Store<K> {
    /// What limits an account, and how far it is used.
    pub(super) fn used(&self, seen: Seen, account: AccountId) -> Result<Option<Usage>, StoreError> {
        let Some((quota, domain)) = self.limits(seen, account)? else {
            return Ok(None);
        };
        let mut usage = Usage {
            id: account,
            account: Share {
                quota,
                held: Held::default(),
            },
            together: Share::default(),
            domain,
        };
        if quota.is_limit() {
            usage.account.held = self.held_by(seen, account)?;
        }
        let together = self.quota_of(seen, &usage.domain)?;
        if together.is_limit() {
            usage.together = Share {
                quota: together,
                held: self.held_in(seen, &usage.domain)?,
            };
        }
        Ok(Some(usage))
    }

    /// Refuses what there is no room for.
    pub(super) fn admit(&self, account: AccountId, more: Held) -> Result<(), StoreError> {
        match self.used(Seen::Newest, account)? {
            Some(usage) => usage.admit(more),
            None => Ok(()),
        }
    }

    /// Writes a mailbox, and counts by how much its domain holds more or less.
    pub(super) fn put_box(&self, batch: &mut Batch, target: &mut Box) -> Result<(), StoreError> {
        target.put(batch);
        self.count_held(batch, target.account, target.growth())
    }

    /// Counts by how many octets and messages an account holds more or less.
    pub(super) fn count_held(
        &self,
        batch: &mut Batch,
        account: AccountId,
        by: [i64; 2],
    ) -> Result<(), StoreError> {
        if by == [0, 0] {
            return Ok(());
        }
        if let Some((_, domain)) = self.limits(Seen::Newest, account)?
            && self.quota_of(Seen::Newest, &domain)?.is_limit()
        {
            count_domain(batch, &domain, by);
        }
        Ok(())
    }

    /// What an account holds: the sum of its mailboxes.
    pub(super) fn held_by(&self, seen: Seen, account: AccountId) -> Result<Held, StoreError> {
        let mut held = Held::default();
        let prefix = keys::of_account(b'c', account);
        self.each(seen, Class::Mail, &prefix, |_, value| {
            let counters = record::read_counters(value)?;
            held.octets += counters.octets;
            held.messages += u64::from(counters.messages);
            Ok(true)
        })?;
        Ok(held)
    }

    /// How much the accounts of a domain may hold together.
    pub(super) fn quota_of(&self, seen: Seen, domain: &Domain) -> Result<Quota, StoreError> {
        let key = keys::domain_quota(domain);
        let row = self.keeper.get(seen, Class::House, &key)?;
        row.map_or(Ok(Quota::default()), |octets| record::read_quota(&octets))
    }

    /// What the accounts of a limited domain hold together.
    pub(super) fn held_in(&self, seen: Seen, domain: &Domain) -> Result<Held, StoreError> {
        let [octets, messages] = keys::domain_held(domain);
        let count = |key: &[u8]| match self.keeper.get(seen, Class::House, key)? {
            Some(octets) => record::read_count(&octets),
            None => Ok(0),
        };
        Ok(Held {
            octets: count(&octets)?,
            messages: count(&messages)?,
        })
    }

    /// An account's own limits, and its domain.
    fn limits(
        &self,
        seen: Seen,
        account: AccountId,
    ) -> Result<Option<(Quota, Domain)>, StoreError> {
        let key = keys::account(account);
        let row = self.keeper.get(seen, Class::House, &key)?;
        row.map(|octets| record::read_limits(&octets)).transpose()
    }

    /// What a removed mailbox no longer holds.
    pub(super) fn uncount_box(
        &self,
        batch: &mut Batch,
        account: AccountId,
        mailbox: mail::MailboxId,
    ) -> Result<(), StoreError> {
        let counters = self.counters(account, mailbox)?;
        let by = [signed(counters.octets), i64::from(counters.messages)];
        self.count_held(batch, account, by.map(|held| -held))
    }
}

/// Counts by how many octets and messages a limited domain holds more or less.
pub(super) fn count_domain(batch: &mut Batch, domain: &Domain, by: [i64; 2]) {
    for (key, by) in keys::domain_held(domain).into_iter().zip(by) {
        batch.count(Class::House, key, by);
    }
}

/// No store holds so much that this changes it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
