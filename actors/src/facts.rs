//! What the policy asks about domains, accounts and aliases, answered by the store.

use std::sync::Arc;

use mail::Domain;
use policy::route::{Entry, Facts};
use store::{
    StoreError,
    port::{self, Accounts},
};

/// The accounts of the house, as the policy sees them. Cheap to clone.
#[derive(Clone)]
pub struct AccountFacts(pub Arc<dyn Accounts>);

impl Facts for AccountFacts {
    type Error = StoreError;

    fn has_domain(&self, domain: &Domain) -> Result<bool, StoreError> {
        self.0.has_domain(domain)
    }

    fn entry(&self, local: &str, domain: &Domain) -> Result<Option<Entry>, StoreError> {
        Ok(self.0.entry(local, domain)?.map(|entry| match entry {
            port::Entry::Account(account) => Entry::Account(account),
            port::Entry::Alias(targets) => Entry::Alias(targets),
        }))
    }
}
