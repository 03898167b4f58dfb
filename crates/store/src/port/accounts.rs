//! Accounts: which domains, accounts and aliases there are.

use mail::{AccountId, Address, Domain, Time};

use super::{Fence, Pending};
use crate::StoreError;

/// The port to domains, accounts and aliases. Local parts compare without regard to ASCII case.
pub trait Accounts: Send + Sync {
    /// Whether mail for the domain is ours.
    ///
    /// # Errors
    /// When the directory cannot be read; so for every read below.
    fn has_domain(&self, domain: &Domain) -> Result<bool, StoreError>;

    /// What a local part stands for in a domain of ours; exactly as written, without looking at
    /// plus-addressing or catch-alls (an alias with an empty local part is the catch-all).
    ///
    /// # Errors
    /// As above.
    fn entry(&self, local: &str, domain: &Domain) -> Result<Option<Entry>, StoreError>;

    /// The account with that number.
    ///
    /// # Errors
    /// As above.
    fn account(&self, id: AccountId) -> Result<Option<AccountRow>, StoreError>;

    /// How much all accounts of a domain may hold together.
    ///
    /// # Errors
    /// As above.
    fn domain_quota(&self, domain: &Domain) -> Result<Quota, StoreError>;

    /// The domains, ascending.
    ///
    /// # Errors
    /// As above.
    fn domains(&self) -> Result<Vec<Domain>, StoreError>;

    /// Accounts of a domain (of all, for `None`), ascending by address after `after`, at most
    /// `limit`.
    ///
    /// # Errors
    /// As above.
    fn accounts(
        &self,
        domain: Option<&Domain>,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<AccountRow>, StoreError>;

    /// Aliases of a domain (of all, for `None`) with their targets, ascending: local part (empty
    /// for the catch-all) and domain first.
    ///
    /// # Errors
    /// As above.
    fn aliases(
        &self,
        domain: Option<&Domain>,
    ) -> Result<Vec<(String, Domain, Vec<Address>)>, StoreError>;

    /// Makes changes, all or none.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Missing`]: nothing was changed.
    fn change(&self, fence: Fence, changes: Vec<AccountChange>) -> Pending<()>;
}

/// What a local part stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// A mailbox of ours.
    Account(AccountId),
    /// Other addresses.
    Alias(Vec<Address>),
}

/// An account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountRow {
    /// Its number.
    pub id: AccountId,
    /// Its address, which is its login name.
    pub address: Address,
    /// The password's hash in PHC form (`$argon2id$…`); `None`: nobody can log in.
    pub password: Option<String>,
    /// How much it may hold.
    pub quota: Quota,
    /// When it was created.
    pub created: Time,
}

/// How much an account, or a domain, may hold; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quota {
    /// The sum of the sizes of the messages, in octets.
    pub octets: Option<u64>,
    /// The number of messages.
    pub messages: Option<u64>,
}

/// An account to be created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewAccount {
    /// Its address; the domain must be ours.
    pub address: Address,
    /// The password's hash in PHC form.
    pub password: Option<String>,
    /// How much it may hold.
    pub quota: Quota,
}

/// A change of domains, accounts or aliases.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccountChange {
    /// Adds an account, with its INBOX.
    AddAccount(NewAccount),
    /// Adds an alias, or gives it other targets. An empty local part is the catch-all.
    PutAlias(String, Domain, Vec<Address>),
    /// Adds a domain.
    AddDomain(Domain),
    /// Removes an account with all its mail.
    RemoveAccount(Address),
    /// Removes an alias.
    RemoveAlias(String, Domain),
    /// Removes a domain; it must be without accounts and aliases.
    RemoveDomain(Domain),
    /// Gives a domain another quota.
    SetDomainQuota(Domain, Quota),
    /// Gives an account another password hash.
    SetPassword(Address, Option<String>),
    /// Gives an account another quota.
    SetQuota(Address, Quota),
}
