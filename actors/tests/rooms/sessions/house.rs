//! A house in memory, with sessions of SMTP and POP3.

use std::sync::Arc;

use heronry_actors::{
    contract::{LoginMsg, MailboxMsg},
    facts::AccountFacts,
    refused::RefusedCommands,
    session::{
        pop3::{Pop3Checkpoint, Pop3Session, Pop3SessionArgs},
        smtp::{Admission, SmtpCheckpoint, SmtpSession, SmtpSessionArgs},
    },
};
use mail::{AccountId, Address};
use policy::{admit::Door, route::Rules};
use ractor::Actor;
use smtp::Mechanism;
use store::{
    MemoryStore,
    port::{
        AccountChange, Accounts, BodyRef, Leases, MailStore, MessageRow, Quota, Shard, Spool,
        Spooled, UidRange,
    },
};
use supervision::{Budget, Family, Root, Seat, Strategy, Supervisor};
use world::{SeededRandom, SystemClock};

use super::client::Client;
use crate::ann;

/// Ann's house.
pub(crate) struct House {
    pub(crate) store: MemoryStore,
    pub(crate) rules: Rules,
    pub(crate) budget: Budget,
    pub(crate) recipients_max: usize,
    pub(crate) account: AccountId,
    pub(crate) mailboxes: Family<AccountId, MailboxMsg>,
    login: Seat<LoginMsg>,
    _root: Root,
}

/// An SMTP client.
pub(crate) type SmtpClient = Client<SmtpCheckpoint>;

/// A POP3 client.
pub(crate) type Pop3Client = Client<Pop3Checkpoint>;

impl House {
    pub(crate) async fn new() -> Self {
        let store = MemoryStore::new();
        let ann = ann::moves_in(&store, Quota::default()).await;
        let (account, mailboxes) = (ann.account, ann::mailboxes(&store));
        let root = Supervisor::new("house", Strategy::OneForOne).child(mailboxes.child());
        let root = root.start().await.unwrap();
        let login = ann::login_room(ann).await;
        Self {
            store,
            rules: Rules::default(),
            budget: Budget::new(64 * 1024 * 1024),
            recipients_max: 1000,
            account,
            mailboxes,
            login,
            _root: root,
        }
    }

    pub(crate) async fn alias(&self, local: &str, targets: Vec<Address>) {
        let fence = self.store.fence(Shard::nth(0)).unwrap();
        let domain = "house.test".parse().unwrap();
        let alias = AccountChange::PutAlias(local.to_owned(), domain, targets);
        self.store.change(fence, vec![alias]).await.unwrap();
    }

    /// The messages that were taken and not yet delivered.
    pub(crate) fn spooled(&self) -> Vec<Spooled> {
        let ids = self.store.open(None, 100).unwrap();
        ids.into_iter()
            .map(|id| self.store.get(id).unwrap().unwrap())
            .collect()
    }

    /// The messages in Ann's INBOX.
    pub(crate) fn kept(&self) -> Vec<MessageRow> {
        let inbox = self.store.mailbox_named(self.account, "INBOX").unwrap();
        let mut rows = Vec::new();
        let mut each = |row: &MessageRow| {
            rows.push(*row);
            true
        };
        self.store
            .messages(self.account, inbox.unwrap().id, UidRange::ALL, &mut each)
            .unwrap();
        rows
    }

    /// The last of them.
    pub(crate) fn latest(&self) -> BodyRef {
        self.kept().last().expect("something has come").body
    }

    /// Begins a session, or the next incarnation of a client's session.
    pub(crate) async fn smtp(&self, client: &mut SmtpClient, door: Door) {
        let dialogue = match door {
            Door::Smtp => smtp::Family::Smtp,
            Door::Submission => smtp::Family::Submission,
            Door::Lmtp => smtp::Family::Lmtp,
        };
        let mut config = smtp::server::Config::new("mx.house.test".parse().unwrap(), dialogue);
        config.recipients_max = self.recipients_max;
        config.mechanisms = vec![Mechanism::Plain];
        config.plaintext_auth_allowed = true;
        let args = SmtpSessionArgs {
            admission: Admission {
                door,
                facts: AccountFacts(Arc::new(self.store.clone())),
                rules: self.rules.clone(),
                trusted: Vec::new(),
            },
            budget: self.budget.clone(),
            clock: Arc::new(SystemClock::new()),
            config: Arc::new(config),
            leases: Arc::new(self.store.clone()),
            login: self.login.clone(),
            mail: Arc::new(self.store.clone()),
            mailboxes: self.mailboxes.clone(),
            random: Arc::new(SeededRandom::new(1)),
            refused: RefusedCommands::new([0; 32]),
            router: Seat::new("router"),
            spool: Arc::new(self.store.clone()),
            tls: None,
        };
        let args = (client.connection.clone(), Arc::new(args));
        let (session, _) = Actor::spawn(None, SmtpSession, args).await.unwrap();
        client.served_by(session);
    }

    /// The same for POP3.
    pub(crate) async fn pop3(&self, client: &mut Pop3Client) {
        let mut config = pop3::Config::new("mx.house.test");
        config.plaintext_auth_allowed = true;
        let args = Pop3SessionArgs {
            config: Arc::new(config),
            login: self.login.clone(),
            mail: Arc::new(self.store.clone()),
            mailboxes: self.mailboxes.clone(),
            refused: RefusedCommands::new([0; 32]),
            tls: None,
        };
        let args = (client.connection.clone(), Arc::new(args));
        let (session, _) = Actor::spawn(None, Pop3Session, args).await.unwrap();
        client.served_by(session);
    }
}
