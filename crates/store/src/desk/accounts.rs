//! Accounts: what adding and removing domains, accounts and aliases change.

use std::collections::BTreeMap;

use bytes::Bytes;
use mail::{AccountId, Address, Domain};

use super::{
    locks::{self, Locks},
    mailboxes::{self, INBOX, INBOX_NUMBER},
    store::{Store, damaged_key, missing, settled},
    usage::{count_domain, signed},
};
use crate::{
    StoreError,
    batch::Batch,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{AccountChange, AccountRow, Accounts, Entry, Fence, Held, NewAccount, Pending, Quota},
    record,
};

impl<K: Keeper> Accounts for Store<K> {
    fn has_domain(&self, domain: &Domain) -> Result<bool, StoreError> {
        let stamp = self.stamp();
        if self.desk.domains.is_ours(domain, stamp) {
            return Ok(true);
        }
        let is_ours = self.durable(Class::House, &keys::domain(domain))?.is_some();
        if is_ours {
            self.desk.domains.remember_ours(domain, stamp);
        }
        Ok(is_ours)
    }

    fn entry(&self, local: &str, domain: &Domain) -> Result<Option<Entry>, StoreError> {
        self.durable(Class::House, &keys::entry(local, domain))?
            .map(|octets| record::read_entry(&octets))
            .transpose()
    }

    fn account(&self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        self.durable(Class::House, &keys::account(id))?
            .map(|octets| record::read_account(id, &octets))
            .transpose()
    }

    fn domain_quota(&self, domain: &Domain) -> Result<Quota, StoreError> {
        self.quota_of(Seen::Durable, domain)
    }

    fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        let mut found = Vec::new();
        self.each(Seen::Durable, Class::House, b"d", |key, _| {
            found.push(domain_of(&key[1..]).ok_or_else(|| damaged_key(Class::House, key))?);
            Ok(true)
        })?;
        Ok(found)
    }

    fn accounts(
        &self,
        domain: Option<&Domain>,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<AccountRow>, StoreError> {
        let prefix = domain.map_or_else(|| b"e".to_vec(), keys::entries);
        let mut from = prefix.clone();
        if let Some(after) = after {
            from = from.max(keys::next(&keys::entry(after.local(), after.domain())));
        }
        let mut ids = Vec::new();
        if limit == 0 {
            return Ok(Vec::new());
        }
        let until = keys::after(&prefix);
        self.span(Seen::Durable, Class::House, &from, &until, |_, value| {
            if let Entry::Account(id) = record::read_entry(value)? {
                ids.push(id);
            }
            Ok(ids.len() < limit)
        })?;
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.extend(self.account(id)?);
        }
        Ok(rows)
    }

    fn aliases(
        &self,
        domain: Option<&Domain>,
    ) -> Result<Vec<(String, Domain, Vec<Address>)>, StoreError> {
        let prefix = domain.map_or_else(|| b"e".to_vec(), keys::entries);
        let mut found = Vec::new();
        self.each(Seen::Durable, Class::House, &prefix, |key, value| {
            if let Entry::Alias(targets) = record::read_entry(value)? {
                let (local, domain) =
                    entry_of(key).ok_or_else(|| damaged_key(Class::House, key))?;
                found.push((local, domain, targets));
            }
            Ok(true)
        })?;
        // By local part first, as a person looks for it.
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        Ok(found)
    }

    fn change(&self, fence: Fence, changes: Vec<AccountChange>) -> Pending<()> {
        let pending = settled(self.try_change(fence, changes));
        self.tidy();
        pending
    }
}

/// The changes of one call, each of which sees those before it.
struct Draw<'a, K> {
    store: &'a Store<K>,
    batch: Batch,
    /// What this call has changed so far in the class `House`.
    drawn: BTreeMap<Vec<u8>, Option<Bytes>>,
    /// The first account number that this call gives out.
    first_new: Option<u64>,
    /// Accounts in the removed ones' stripes are locked until the batch is committed.
    guards: BTreeMap<usize, std::sync::MutexGuard<'a, ()>>,
}

impl<K: Keeper> Store<K> {
    fn try_change(
        &self,
        fence: Fence,
        changes: Vec<AccountChange>,
    ) -> Result<Pending<()>, StoreError> {
        let _house = self.desk.locks.house();
        let mut draw = Draw {
            store: self,
            batch: self.begin_as(fence)?,
            drawn: BTreeMap::new(),
            first_new: None,
            guards: BTreeMap::new(),
        };
        let mut is_remembered = false;
        for change in changes {
            is_remembered |= makes_old(&change);
            draw.change(change)?;
        }
        let Draw { batch, guards, .. } = draw;
        let pending = match is_remembered {
            true => self.commit_and_forget(batch),
            false => self.commit(batch, ()),
        };
        drop(guards);
        Ok(pending)
    }
}

/// Whether something may be remembered that is no longer so: that nothing limits somebody, or that
/// a domain is ours.
const fn makes_old(change: &AccountChange) -> bool {
    match change {
        AccountChange::AddAccount(new) => new.quota.is_limit(),
        AccountChange::RemoveDomain(..)
        | AccountChange::SetDomainQuota(..)
        | AccountChange::SetQuota(..) => true,
        AccountChange::AddDomain(..)
        | AccountChange::PutAlias(..)
        | AccountChange::RemoveAccount(..)
        | AccountChange::RemoveAlias(..)
        | AccountChange::SetPassword(..) => false,
    }
}

impl<K: Keeper> Draw<'_, K> {
    fn change(&mut self, change: AccountChange) -> Result<(), StoreError> {
        match change {
            AccountChange::AddAccount(new) => self.add_account(new),
            AccountChange::PutAlias(local, domain, targets) => {
                self.put_alias(&local, &domain, targets)
            }
            AccountChange::AddDomain(domain) => self.add_domain(&domain),
            AccountChange::RemoveAccount(address) => self.remove_account(&address),
            AccountChange::RemoveAlias(local, domain) => self.remove_alias(&local, &domain),
            AccountChange::RemoveDomain(domain) => self.remove_domain(&domain),
            AccountChange::SetDomainQuota(domain, quota) => self.limit_domain(&domain, quota),
            AccountChange::SetPassword(address, password) => {
                self.edit(&address, |row| row.password = password)
            }
            AccountChange::SetQuota(address, quota) => {
                self.edit(&address, |row| row.quota = quota)?;
                self.list(self.id_of(&address)?, quota)
            }
        }
    }

    fn add_domain(&mut self, domain: &Domain) -> Result<(), StoreError> {
        let key = keys::domain(domain);
        if self.get(&key)?.is_some() {
            return Err(exists(domain.as_str()));
        }
        self.put(key, &record::MARK);
        Ok(())
    }

    fn remove_domain(&mut self, domain: &Domain) -> Result<(), StoreError> {
        let key = keys::domain(domain);
        if self.get(&key)?.is_none() {
            return Err(missing(domain.as_str()));
        }
        let prefix = keys::entries(domain);
        let mut left = self
            .drawn
            .range(prefix.clone()..keys::after(&prefix))
            .any(|(_, value)| value.is_some());
        let drawn = &self.drawn;
        self.store
            .each(Seen::Newest, Class::House, &prefix, |key, _| {
                left |= !matches!(drawn.get(key), Some(None));
                Ok(!left)
            })?;
        if left {
            return Err(exists(&format!("an account or alias of {domain}")));
        }
        self.remove(key);
        let quota = keys::domain_quota(domain);
        if self.get(&quota)?.is_some() {
            self.remove(quota);
        }
        Ok(())
    }

    /// What a domain holds is counted while it is limited: nobody writes mail while that begins.
    fn limit_domain(&mut self, domain: &Domain, quota: Quota) -> Result<(), StoreError> {
        if self.get(&keys::domain(domain))?.is_none() {
            return Err(missing(domain.as_str()));
        }
        let key = keys::domain_quota(domain);
        let was_limited = self.get(&key)?.is_some();
        if was_limited != quota.is_limit() {
            let store = self.store;
            for stripe in 0..locks::STRIPES {
                let lock = || store.desk.locks.accounts_of(stripe);
                self.guards.entry(stripe).or_insert_with(lock);
            }
            let held = self.held_in(domain)?;
            let by = [signed(held.octets), signed(held.messages)];
            let by = by.map(|held| if was_limited { -held } else { held });
            count_domain(&mut self.batch, domain, by);
        }
        if quota.is_limit() {
            self.put(key, &record::write_quota(quota)?);
        } else {
            self.remove(key);
        }
        Ok(())
    }

    /// What the accounts of a domain hold together. Those that this call adds hold nothing.
    fn held_in(&self, domain: &Domain) -> Result<Held, StoreError> {
        let (store, prefix) = (self.store, keys::entries(domain));
        let mut ids = Vec::new();
        store.each(Seen::Newest, Class::House, &prefix, |key, value| {
            if !matches!(self.drawn.get(key), Some(None))
                && let Entry::Account(id) = record::read_entry(value)?
            {
                ids.push(id);
            }
            Ok(true)
        })?;
        let mut sum = Held::default();
        for id in ids {
            let held = store.held_by(Seen::Newest, id)?;
            sum.octets += held.octets;
            sum.messages += held.messages;
        }
        Ok(sum)
    }

    fn add_account(&mut self, new: NewAccount) -> Result<(), StoreError> {
        let domain = new.address.domain();
        if self.get(&keys::domain(domain))?.is_none() {
            return Err(missing(domain.as_str()));
        }
        let entry = keys::entry(new.address.local(), domain);
        if self.get(&entry)?.is_some() {
            return Err(exists(&new.address.to_string()));
        }
        let next = match self.get(keys::NEXT_ACCOUNT)? {
            Some(octets) => record::read_count(&octets)?,
            None => {
                if self.store.keeper.writes_lists()? {
                    self.put(keys::LISTED.to_vec(), &record::MARK);
                }
                1
            }
        };
        self.first_new.get_or_insert(next);
        self.put(
            keys::NEXT_ACCOUNT.to_vec(),
            &record::write_count(next.saturating_add(1)),
        );
        let id = AccountId(next);
        let created = self.store.keeper.now();
        let row = AccountRow {
            id,
            address: new.address,
            password: new.password,
            quota: new.quota,
            created,
        };
        self.list(id, row.quota)?;
        self.put(entry, &record::write_entry(&Entry::Account(id))?);
        self.put(keys::account(id).to_vec(), &record::write_account(&row)?);
        mailboxes::create_inbox(&mut self.batch, id, created)
    }

    fn remove_account(&mut self, address: &Address) -> Result<(), StoreError> {
        let id = self.id_of(address)?;
        self.remove(keys::entry(address.local(), address.domain()));
        self.remove(keys::account(id).to_vec());
        self.list(id, Quota::default())?;
        if self.first_new.is_some_and(|first| id.0 >= first) {
            // Its rows are only in this batch.
            mailboxes::remove(&mut self.batch, id, INBOX_NUMBER, INBOX);
            self.batch.remove(Class::Mail, &keys::owner(id));
            return Ok(());
        }
        let store = self.store;
        self.guards
            .entry(Locks::stripe(id))
            .or_insert_with(|| store.desk.locks.account(id));
        if self.get(&keys::domain_quota(address.domain()))?.is_some() {
            let held = store.held_by(Seen::Newest, id)?;
            let by = [signed(held.octets), signed(held.messages)];
            count_domain(&mut self.batch, address.domain(), by.map(|held| -held));
        }
        for (name, mailbox) in store.names(Seen::Newest, id)? {
            mailboxes::remove(&mut self.batch, id, mailbox, &name);
        }
        let batch = &mut self.batch;
        let subscribed = keys::of_account(b's', id);
        store.each(Seen::Newest, Class::Mail, &subscribed, |key, _| {
            batch.remove(Class::Mail, key);
            Ok(true)
        })?;
        batch.remove(Class::Mail, &keys::owner(id));
        Ok(())
    }

    /// Lists an account, or not any more, in a house where all are listed that are limited.
    fn list(&mut self, id: AccountId, quota: Quota) -> Result<(), StoreError> {
        if self.get(keys::LISTED)?.is_none() {
            return Ok(());
        }
        let key = keys::limited(id);
        match (quota.is_limit(), self.get(&key)?.is_some()) {
            (true, false) => self.put(key.to_vec(), &record::MARK),
            (false, true) => self.remove(key.to_vec()),
            _ => {}
        }
        Ok(())
    }

    fn put_alias(
        &mut self,
        local: &str,
        domain: &Domain,
        targets: Vec<Address>,
    ) -> Result<(), StoreError> {
        if local.len() > LOCAL_OCTETS_MAX {
            return Err(StoreError::TooLarge {
                what: "the local part of an alias".to_owned(),
            });
        }
        if self.get(&keys::domain(domain))?.is_none() {
            return Err(missing(domain.as_str()));
        }
        let key = keys::entry(local, domain);
        if let Some(octets) = self.get(&key)?
            && matches!(record::read_entry(&octets)?, Entry::Account(_))
        {
            return Err(exists(&format!("account {local}@{domain}")));
        }
        self.put(key, &record::write_entry(&Entry::Alias(targets))?);
        Ok(())
    }

    fn remove_alias(&mut self, local: &str, domain: &Domain) -> Result<(), StoreError> {
        let key = keys::entry(local, domain);
        match self.get(&key)? {
            Some(octets) if matches!(record::read_entry(&octets)?, Entry::Alias(_)) => {
                self.remove(key);
                Ok(())
            }
            _ => Err(missing(format!("alias {local}@{domain}"))),
        }
    }

    fn edit(
        &mut self,
        address: &Address,
        edit: impl FnOnce(&mut AccountRow),
    ) -> Result<(), StoreError> {
        let id = self.id_of(address)?;
        let key = keys::account(id);
        let octets = self.get(&key)?.ok_or_else(|| unknown(address))?;
        let mut row = record::read_account(id, &octets)?;
        edit(&mut row);
        self.put(key.to_vec(), &record::write_account(&row)?);
        Ok(())
    }

    fn id_of(&self, address: &Address) -> Result<AccountId, StoreError> {
        match self.get(&keys::entry(address.local(), address.domain()))? {
            Some(octets) => match record::read_entry(&octets)? {
                Entry::Account(id) => Ok(id),
                Entry::Alias(_) => Err(unknown(address)),
            },
            None => Err(unknown(address)),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.drawn.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.store.newest(Class::House, key),
        }
    }

    fn put(&mut self, key: Vec<u8>, value: &[u8]) {
        self.batch.put(Class::House, &key, value);
        self.drawn.insert(key, Some(Bytes::copy_from_slice(value)));
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.batch.remove(Class::House, &key);
        self.drawn.insert(key, None);
    }
}

fn domain_of(octets: &[u8]) -> Option<Domain> {
    std::str::from_utf8(octets).ok()?.parse().ok()
}

/// Local part and domain of an entry's key.
fn entry_of(key: &[u8]) -> Option<(String, Domain)> {
    let rest = key.get(1..)?;
    let at = rest.iter().position(|&octet| octet == 0)?;
    let local = String::from_utf8(rest[at + 1..].to_vec()).ok()?;
    Some((local, domain_of(&rest[..at])?))
}

fn exists(what: &str) -> StoreError {
    StoreError::Exists {
        what: what.to_owned(),
    }
}

fn unknown(address: &Address) -> StoreError {
    missing(format!("account {address}"))
}

/// RFC 5321 §4.5.3.1.1.
const LOCAL_OCTETS_MAX: usize = 64;
