//! How much accounts and domains hold, and whether there is room for more.
//!
//! What an account holds is the sum of its mailboxes' counters. What a domain holds is counted only
//! while it is limited: from the moment in which it is, by every write that changes it.

use mail::{AccountId, Domain};

use super::{limits::Limits, opened::Box, store::Store};
use crate::{
    StoreError,
    batch::Batch,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Held, Share, Usage},
    record,
};

impl<K: Keeper> Store<K> {
    /// What limits an account, and how far it is used.
    pub(super) fn used(&self, seen: Seen, account: AccountId) -> Result<Option<Usage>, StoreError> {
        let limits = self.limits(seen, account)?;
        limits
            .map(|limits| self.used_of(seen, account, limits))
            .transpose()
    }

    /// How far these limits of an account are used.
    fn used_of(&self, seen: Seen, id: AccountId, limits: Limits) -> Result<Usage, StoreError> {
        let share = |quota| Share {
            quota,
            held: Held::default(),
        };
        let mut usage = Usage {
            id,
            account: share(limits.account),
            together: share(limits.together),
            domain: limits.domain,
        };
        if usage.account.quota.is_limit() {
            usage.account.held = self.held_by(seen, id)?;
        }
        if usage.together.quota.is_limit() {
            usage.together.held = self.held_in(seen, &usage.domain)?;
        }
        Ok(usage)
    }

    /// Refuses what a reader can see that there is no room for.
    pub(super) fn has_room(&self, account: AccountId, more: Held) -> Result<(), StoreError> {
        if self.limited(account)?.is_none() {
            return Ok(());
        }
        let used = self.used(Seen::Durable, account)?;
        used.map_or(Ok(()), |usage| usage.admit(more))
    }

    /// Refuses what there is no room for, to whoever is going to write that mailbox.
    pub(super) fn admit(&self, target: &mut Box, more: Held) -> Result<(), StoreError> {
        let limits = self.limited(target.account)?;
        target.counted_in = Some(limits.as_ref().and_then(Limits::counted_in));
        match limits {
            Some(limits) => self
                .used_of(Seen::Newest, target.account, limits)?
                .admit(more),
            None => Ok(()),
        }
    }

    /// Writes a mailbox, and counts by how much its domain holds more or less.
    pub(super) fn put_box(&self, batch: &mut Batch, target: &mut Box) -> Result<(), StoreError> {
        target.put(batch);
        let by = target.growth();
        match target.counted_in.take() {
            Some(Some(domain)) => count_domain(batch, &domain, by),
            Some(None) => {}
            None => self.count_held(batch, target.account, by)?,
        }
        Ok(())
    }

    /// Counts by how many octets and messages an account holds more or less.
    fn count_held(
        &self,
        batch: &mut Batch,
        account: AccountId,
        by: [i64; 2],
    ) -> Result<(), StoreError> {
        if by != [0, 0]
            && let Some(limits) = self.limited(account)?
            && let Some(domain) = limits.counted_in()
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

impl Limits {
    /// The domain that is counted, if it is limited.
    fn counted_in(&self) -> Option<Domain> {
        self.together.is_limit().then(|| self.domain.clone())
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
