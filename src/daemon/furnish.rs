//! What must be in the store before the doors open: the domains of the configuration, and the
//! demo's accounts.

use mail::{Domain, Secret};
use store::{
    StoreError,
    port::{AccountChange, Accounts, Leases, NewAccount, Quota, Shard},
};
use world::Random;

use super::plan::{DEMO_PASSWORD, Demo, demo_account};

/// Adds the domains that are not there.
pub(super) async fn domains(
    accounts: &dyn Accounts,
    leases: &dyn Leases,
    domains: &[Domain],
) -> Result<(), StoreError> {
    let mut changes = Vec::new();
    for domain in domains {
        if !accounts.has_domain(domain)? {
            changes.push(AccountChange::AddDomain(domain.clone()));
        }
    }
    change(accounts, leases, changes).await
}

/// Adds the demo's accounts that are not there. They share one hash, because they share one
/// password: a demo of ten thousand accounts starts as fast as one of ten.
pub(super) async fn demo(
    accounts: &dyn Accounts,
    leases: &dyn Leases,
    random: &dyn Random,
    demo: Demo,
) -> Result<(), StoreError> {
    let hash = actors::login::password::hash(&Secret::new(DEMO_PASSWORD), random);
    let mut changes = Vec::new();
    for number in 0..demo.accounts {
        let address = demo_account(number);
        if accounts.entry(address.local(), address.domain())?.is_some() {
            continue;
        }
        let password = Some(hash.clone());
        let quota = Quota::default();
        changes.push(AccountChange::AddAccount(NewAccount {
            address,
            password,
            quota,
        }));
        if changes.len() == ACCOUNTS_AT_ONCE {
            change(accounts, leases, std::mem::take(&mut changes)).await?;
        }
    }
    change(accounts, leases, changes).await
}

async fn change(
    accounts: &dyn Accounts,
    leases: &dyn Leases,
    changes: Vec<AccountChange>,
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    accounts.change(leases.fence(Shard::nth(0))?, changes).await
}

/// One batch of the journal.
const ACCOUNTS_AT_ONCE: usize = 1000;
