//! What operators ask about domains, accounts and aliases.

use std::{future::Future, time::Duration};

use mail::{Address, Domain};
use store::{
    StoreError,
    port::{AccountChange, AccountRow, Entry, NewAccount, Quota, Shard},
};

use super::{
    Desk,
    desk::refused,
    protocol::{
        AccountNew, AccountView, AliasName, AliasView, DomainView, Holdings, PAGE_MAX, Page,
        QuotaView, Refusal, RefusalKind,
    },
};

impl Desk {
    pub(super) async fn add(&self, new: Vec<AccountNew>, update: bool) -> Result<(), Refusal> {
        if new.len() > PAGE_MAX {
            let what = format!("at most {PAGE_MAX} accounts come in one request");
            return Err(Refusal::new(RefusalKind::Wrong, what));
        }
        let mut changes = Vec::with_capacity(new.len());
        for account in new {
            check_hash(account.password.as_deref())?;
            let quota = quota(account.quota);
            let address = account.address;
            if update && self.row(&address)?.is_some() {
                changes.push(AccountChange::SetPassword(
                    address.clone(),
                    account.password,
                ));
                changes.push(AccountChange::SetQuota(address, quota));
            } else {
                let password = account.password;
                changes.push(AccountChange::AddAccount(NewAccount {
                    address,
                    password,
                    quota,
                }));
            }
        }
        self.change(changes).await
    }

    pub(super) fn accounts(
        &self,
        domain: Option<&Domain>,
        after: Option<&Address>,
    ) -> Result<Page<AccountView>, Refusal> {
        let rows = self
            .parts
            .accounts
            .accounts(domain, after, PAGE_MAX + 1)
            .map_err(refused)?;
        let more = rows.len() > PAGE_MAX;
        let items = rows.into_iter().take(PAGE_MAX).map(view).collect();
        Ok(Page { items, more })
    }

    pub(super) fn show_account(&self, address: &Address) -> Result<AccountView, Refusal> {
        let row = self
            .row(address)?
            .ok_or_else(|| missing(format!("account {address}")))?;
        Ok(AccountView {
            holds: Some(self.holdings(&row)?),
            ..view(row)
        })
    }

    fn holdings(&self, row: &AccountRow) -> Result<Holdings, Refusal> {
        let mailboxes = self.parts.mail.mailboxes(row.id).map_err(refused)?;
        Ok(Holdings {
            mailboxes: mailboxes.len() as u64,
            messages: mailboxes
                .iter()
                .map(|mailbox| u64::from(mailbox.messages))
                .sum(),
            octets: mailboxes.iter().map(|mailbox| mailbox.octets).sum(),
        })
    }

    pub(super) async fn set_password(
        &self,
        address: Address,
        password: Option<String>,
    ) -> Result<(), Refusal> {
        check_hash(password.as_deref())?;
        self.change(vec![AccountChange::SetPassword(address, password)])
            .await
    }

    pub(super) async fn set_quota(
        &self,
        address: Address,
        wanted: QuotaView,
    ) -> Result<(), Refusal> {
        self.change(vec![AccountChange::SetQuota(address, quota(wanted))])
            .await
    }

    pub(super) async fn remove_account(&self, address: Address) -> Result<(), Refusal> {
        let row = self
            .row(&address)?
            .ok_or_else(|| missing(format!("account {address}")))?;
        self.change(vec![AccountChange::RemoveAccount(address)])
            .await?;
        // Its writer has nothing left to write to.
        self.parts.mailboxes.stop_entity(&row.id).await;
        Ok(())
    }

    pub(super) async fn add_domain(&self, domain: Domain) -> Result<(), Refusal> {
        self.change(vec![AccountChange::AddDomain(domain)]).await
    }

    pub(super) async fn remove_domain(&self, domain: Domain) -> Result<(), Refusal> {
        self.change(vec![AccountChange::RemoveDomain(domain)]).await
    }

    pub(super) fn domains(&self) -> Result<Vec<DomainView>, Refusal> {
        let domains = self.parts.accounts.domains().map_err(refused)?;
        let mut views = Vec::with_capacity(domains.len());
        for domain in domains {
            views.push(DomainView {
                quota: self.domain_quota(&domain)?,
                domain,
                accounts: None,
                aliases: None,
                holds: None,
            });
        }
        Ok(views)
    }

    pub(super) fn show_domain(&self, domain: Domain) -> Result<DomainView, Refusal> {
        let store = &self.parts.accounts;
        if !store.has_domain(&domain).map_err(refused)? {
            return Err(missing(format!("domain {domain}")));
        }
        let (mut accounts, mut holds) = (0, Holdings::default());
        let mut after: Option<Address> = None;
        loop {
            let page = store
                .accounts(Some(&domain), after.as_ref(), PAGE_MAX)
                .map_err(refused)?;
            accounts += page.len() as u64;
            for row in &page {
                let own = self.holdings(row)?;
                holds.mailboxes += own.mailboxes;
                holds.messages += own.messages;
                holds.octets += own.octets;
            }
            match page.last() {
                Some(last) if page.len() == PAGE_MAX => after = Some(last.address.clone()),
                _ => break,
            }
        }
        let aliases = store.aliases(Some(&domain)).map_err(refused)?.len() as u64;
        Ok(DomainView {
            quota: self.domain_quota(&domain)?,
            domain,
            accounts: Some(accounts),
            aliases: Some(aliases),
            holds: Some(holds),
        })
    }

    pub(super) async fn set_domain_quota(
        &self,
        domain: Domain,
        wanted: QuotaView,
    ) -> Result<(), Refusal> {
        self.change(vec![AccountChange::SetDomainQuota(domain, quota(wanted))])
            .await
    }

    fn domain_quota(&self, domain: &Domain) -> Result<QuotaView, Refusal> {
        let quota = self.parts.accounts.domain_quota(domain);
        quota.map(quota_view).map_err(refused)
    }

    pub(super) async fn add_alias(&self, view: AliasView) -> Result<(), Refusal> {
        if view.targets.is_empty() {
            let what = format!("alias {} has no target", view.alias);
            return Err(Refusal::new(RefusalKind::Wrong, what));
        }
        let AliasName { local, domain } = view.alias;
        self.change(vec![AccountChange::PutAlias(local, domain, view.targets)])
            .await
    }

    pub(super) async fn remove_alias(&self, alias: AliasName) -> Result<(), Refusal> {
        self.change(vec![AccountChange::RemoveAlias(alias.local, alias.domain)])
            .await
    }

    pub(super) fn aliases(&self, domain: Option<&Domain>) -> Result<Vec<AliasView>, Refusal> {
        let aliases = self.parts.accounts.aliases(domain).map_err(refused)?;
        let view = |(local, domain, targets)| AliasView {
            alias: AliasName { local, domain },
            targets,
        };
        Ok(aliases.into_iter().map(view).collect())
    }

    pub(super) fn show_alias(&self, alias: AliasName) -> Result<AliasView, Refusal> {
        match self
            .parts
            .accounts
            .entry(&alias.local, &alias.domain)
            .map_err(refused)?
        {
            Some(Entry::Alias(targets)) => Ok(AliasView { alias, targets }),
            Some(Entry::Account(_)) => {
                let what = format!("{alias} is an account, not an alias");
                Err(Refusal::new(RefusalKind::Conflict, what))
            }
            None => Err(missing(format!("alias {alias}"))),
        }
    }

    async fn change(&self, changes: Vec<AccountChange>) -> Result<(), Refusal> {
        // Accounts are one house: any shard's fence says that it is still ours.
        let fence = self.fence(Shard::nth(0))?;
        let accounts = &self.parts.accounts;
        patiently(|| accounts.change(fence, changes.clone()))
            .await
            .map_err(refused)
    }

    pub(super) fn row(&self, address: &Address) -> Result<Option<AccountRow>, Refusal> {
        let store = &self.parts.accounts;
        match store
            .entry(address.local(), address.domain())
            .map_err(refused)?
        {
            Some(Entry::Account(id)) => store.account(id).map_err(refused),
            Some(Entry::Alias(_)) | None => Ok(None),
        }
    }
}

/// The command line has looked at it already, but other programs speak this protocol too.
fn check_hash(hash: Option<&str>) -> Result<(), Refusal> {
    let Some(hash) = hash else {
        return Ok(());
    };
    match actors::login::password::check(hash) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::new(RefusalKind::Wrong, error.to_string())),
    }
}

fn missing(what: String) -> Refusal {
    Refusal::new(RefusalKind::Missing, format!("{what} does not exist"))
}

fn view(row: AccountRow) -> AccountView {
    AccountView {
        address: row.address,
        id: row.id.0,
        can_log_in: row.password.is_some(),
        quota: quota_view(row.quota),
        created: row.created.to_string(),
        holds: None,
    }
}

const fn quota_view(Quota { octets, messages }: Quota) -> QuotaView {
    QuotaView { octets, messages }
}

fn quota(view: QuotaView) -> Quota {
    Quota {
        octets: view.octets,
        messages: view.messages,
    }
}

/// Does it again for as long as the store is busy: whoever brings a million accounts is faster than
/// the directory, and wants them all. Nothing of a write that was refused so has happened.
async fn patiently<F>(mut write: impl FnMut() -> F) -> Result<(), StoreError>
where
    F: Future<Output = Result<(), StoreError>>,
{
    for _ in 0..BUSY_LOOKS {
        match write().await {
            Err(StoreError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
    write().await
}

/// How long a change waits for a busy store: a minute in all.
const BUSY_LOOKS: u32 = 600;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_waits_for_a_busy_store_but_not_for_ever() {
        let asked = Cell::new(0);
        let busy_until = |turn| {
            asked.set(0);
            let asked = &asked;
            move || {
                asked.set(asked.get() + 1);
                ready(if asked.get() < turn {
                    Err(StoreError::Busy)
                } else {
                    Ok(())
                })
            }
        };
        assert!(patiently(busy_until(5)).await.is_ok());
        assert_eq!(asked.get(), 5);
        assert!(matches!(
            patiently(busy_until(u32::MAX)).await,
            Err(StoreError::Busy)
        ));
        assert_eq!(asked.get(), BUSY_LOOKS + 1);
    }
}
