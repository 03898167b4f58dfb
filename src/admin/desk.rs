//! The desk: carries out what operators ask.

use std::{path::PathBuf, sync::Arc};

use actors::contract::{MailboxMsg, PoisonMsg, QueueMsg, RouterMsg};
use mail::{AccountId, Domain, Time};
use serde::Serialize;
use serde_json::Value;
use store::{
    DiskStore, StoreError,
    port::{Accounts, Fence, Leases, MailStore, Shard, Spool},
};
use supervision::{Family, Live, Seat};
use world::Clock;

use super::{
    Recorder, Reloads, TreeView,
    protocol::{About, Refusal, RefusalKind, Request, TreeForm},
    session::Session,
};
use crate::config::{Change, Config};

/// What the desk may touch.
#[derive(Clone)]
pub struct Parts {
    /// Domains, accounts, aliases.
    pub accounts: Arc<dyn Accounts>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What the operator has set.
    pub config: Live<Config>,
    /// Where that was read; none for a demo.
    pub config_file: Option<PathBuf>,
    /// The store itself, for whoever wants a state of all of it.
    pub disk: Arc<DiskStore>,
    /// Who owns which shard.
    pub leases: Arc<dyn Leases>,
    /// What accounts hold.
    pub mail: Arc<dyn MailStore>,
    /// The writers of accounts' mail: told to go when their account goes.
    pub mailboxes: Family<AccountId, MailboxMsg>,
    /// Who sets aside what brings actors down.
    pub poison: Seat<PoisonMsg>,
    /// The queues of remote domains: asked why they wait, told to try now.
    pub queues: Family<Domain, QueueMsg>,
    /// The numbers of this process.
    pub recorder: Recorder,
    /// Who reads the configuration again.
    pub reloads: Reloads,
    /// Who brings mail to mailboxes.
    pub router: Seat<RouterMsg>,
    /// Mail that waits.
    pub spool: Arc<dyn Spool>,
    /// Who is alive.
    pub view: TreeView,
}

/// Carries out what operators ask.
pub struct Desk {
    pub(super) parts: Parts,
    since: Time,
}

impl Desk {
    /// A desk that opens now.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let since = parts.clock.now();
        Self { parts, since }
    }

    /// Does what is asked on a connection. Harm belongs to the connection.
    ///
    /// # Errors
    /// [`Refusal`] says what, where, and what would be right.
    pub(super) async fn answer(
        &self,
        request: Request,
        session: &mut Session,
    ) -> Result<Value, Refusal> {
        match request {
            Request::AccountAdd { accounts, update } => done(self.add(accounts, update).await?),
            Request::AccountList { domain, after } => {
                done(self.accounts(domain.as_ref(), after.as_ref())?)
            }
            Request::AccountPassword { address, password } => {
                done(self.set_password(address, password).await?)
            }
            Request::AccountQuota { address, quota } => done(self.set_quota(address, quota).await?),
            Request::AccountRemove { address } => done(self.remove_account(address).await?),
            Request::AccountShow { address } => done(self.show_account(&address)?),
            Request::ActorRestart { path } => done(self.restart_actor(&path).await?),
            Request::ActorShow { path } => done(self.show_actor(&path).await?),
            Request::AliasAdd(alias) => done(self.add_alias(alias).await?),
            Request::AliasList { domain } => done(self.aliases(domain.as_ref())?),
            Request::AliasRemove { alias } => done(self.remove_alias(alias).await?),
            Request::AliasShow { alias } => done(self.show_alias(alias)?),
            Request::BackupDone(last) => done(self.backup_done(last).await?),
            Request::DomainAdd { domain } => done(self.add_domain(domain).await?),
            Request::DomainList => done(self.domains()?),
            Request::DomainQuota { domain, quota } => {
                done(self.set_domain_quota(domain, quota).await?)
            }
            Request::DomainRemove { domain } => done(self.remove_domain(domain).await?),
            Request::DomainShow { domain } => done(self.show_domain(domain)?),
            Request::FolderList { address } => done(self.folders(&address)?),
            Request::FolderMake {
                address,
                folder,
                role,
            } => done(self.make_folder(&address, folder, role.as_deref()).await?),
            Request::Harm {
                path,
                nth,
                count,
                harm,
            } => done(self.harm(&path, (nth, count), harm, &mut session.trial)?),
            Request::Hello => done(self.about()),
            Request::LetterList {
                address,
                folder,
                after,
            } => done(self.letters(&address, &folder, after).await?),
            // Their octets travel beside the lines: whoever has the connection sees to them.
            Request::LetterGet { .. } | Request::LetterPut(_) => Err(Refusal::new(
                RefusalKind::Wrong,
                "messages travel over the operator socket only",
            )),
            Request::Metrics => done(self.parts.recorder.render(&self.parts.view)),
            Request::PoisonDrop { id } => done(self.drop_poison(id.0).await?),
            Request::PoisonList { after } => done(self.poison(after.map(|id| id.0)).await?),
            Request::PoisonRetry { id } => done(self.retry_poison(id.0).await?),
            Request::PoisonShow { id } => done(self.show_poison(id.0).await?),
            Request::QueueFlush { domain, id } => done(self.flush(domain, id).await?),
            Request::QueueList { domain, after } => {
                done(self.waiting(domain.as_ref(), after.map(|id| id.0)).await?)
            }
            Request::QueueShow { id } => done(self.show_waiting(id.0).await?),
            Request::Reload => done(self.reload().await?),
            Request::Settings => done(&*self.parts.config.get()),
            Request::SnapshotDrop => {
                session.end().await;
                done(())
            }
            Request::SnapshotTake => done(self.snapshot(session).await?),
            Request::StoreCompact => done(self.compact().await?),
            Request::Tree { form } => done(self.tree(form)?),
            Request::Truce => done(super::chaos::truce(&mut session.trial)),
        }
    }

    /// The right to change accounts, or a part of the spool.
    pub(super) fn fence(&self, shard: Shard) -> Result<Fence, Refusal> {
        self.parts.leases.fence(shard).map_err(refused)
    }

    fn about(&self) -> About {
        About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: self.parts.config.get().hostname.to_string(),
            process: std::process::id(),
            since: self.since.to_string(),
        }
    }

    async fn reload(&self) -> Result<Vec<Change>, Refusal> {
        let outcome = self.parts.reloads.ask().await;
        outcome.map_err(|why| Refusal::new(RefusalKind::Wrong, why))
    }

    fn tree(&self, form: TreeForm) -> Result<Value, Refusal> {
        let not_yet = || Refusal::new(RefusalKind::Broken, "the daemon is still starting");
        let tree = self.parts.view.tree().ok_or_else(not_yet)?;
        match form {
            TreeForm::Dot => done(tree.to_dot()),
            TreeForm::Json => done(tree),
            TreeForm::Text => done(tree.to_text()),
        }
    }
}

pub(super) fn done(value: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|error| {
        Refusal::new(
            RefusalKind::Broken,
            format!("the answer cannot be written: {error}"),
        )
    })
}

/// What the store says, in an operator's terms.
pub(super) fn refused(error: StoreError) -> Refusal {
    let kind = match error {
        StoreError::Changed { .. } => RefusalKind::Changed,
        StoreError::Exists { .. } | StoreError::OverQuota { .. } => RefusalKind::Conflict,
        StoreError::Missing { .. } => RefusalKind::Missing,
        StoreError::TooLarge { .. } => RefusalKind::Wrong,
        _ => RefusalKind::Broken,
    };
    Refusal::new(kind, error.to_string())
}
