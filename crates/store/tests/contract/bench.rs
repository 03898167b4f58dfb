//! A store to be tested, with what tests of every room need.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use heronry_store::{
    Clock, Config, DiskStore, MemoryStore, StoreError,
    port::{
        AccountChange, Accounts, Appended, Arrival, Draft, Entry, Fence, Leases, MailStore,
        MailboxRow, MessageFlags, MessageRow, NewAccount, NewMail, NewMailbox, Pending, Quota,
        Shard, Spool, UidRange,
    },
};
use mail::{
    AccountId, Address, Domain, Enhanced, Envelope, Flags, MailboxId, MessageId, Recipient, Reply,
    Target, Time, Uid,
};
use tempfile::TempDir;

/// All ports of one store.
pub(crate) trait Ports: Spool + MailStore + Accounts + Leases {}

impl<T: Spool + MailStore + Accounts + Leases> Ports for T {}

/// A store with the domain `example.test` and the account `ann`.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Ports>,
    pub(crate) ann: AccountId,
    kept: Kept,
}

enum Kept {
    Disk {
        store: DiskStore,
        folder: TempDir,
        round: u32,
    },
    Memory,
}

impl Bench {
    pub(crate) async fn memory() -> Self {
        Self::begin(Arc::new(MemoryStore::new()), Kept::Memory).await
    }

    pub(crate) async fn disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(config(&folder), clock()).unwrap();
        let kept = Kept::Disk {
            store: store.clone(),
            folder,
            round: 0,
        };
        Self::begin(Arc::new(store), kept).await
    }

    async fn begin(store: Arc<dyn Ports>, kept: Kept) -> Self {
        let mut bench = Self {
            store,
            ann: AccountId(0),
            kept,
        };
        let changes = vec![
            AccountChange::AddDomain(domain("example.test")),
            new_account("ann@example.test"),
        ];
        bench.change(changes).await.unwrap();
        bench.ann = bench.id_of("ann@example.test");
        bench
    }

    /// Ends the store and opens it again, if it is one that outlives its process: in turn after a
    /// clean stop, after a crash, and with its directory made anew. Then it must be whole.
    pub(crate) async fn reopen(&mut self) {
        let Kept::Disk {
            store,
            folder,
            round,
        } = std::mem::replace(&mut self.kept, Kept::Memory)
        else {
            return;
        };
        self.store = Arc::new(MemoryStore::new());
        if round % 3 != 1 {
            store.close().unwrap();
        }
        drop(store);
        let store = if round % 3 == 2 {
            DiskStore::rebuild(config(&folder), clock()).unwrap()
        } else {
            DiskStore::open(config(&folder), clock()).unwrap()
        };
        assert_eq!(store.opened().damage, [""; 0]);
        assert_eq!(store.opened().clean, round % 3 != 1);
        assert_eq!(store.opened().rebuilt.is_empty(), round % 3 != 2);
        assert_eq!(store.check().unwrap().damage, [""; 0]);
        self.store = Arc::new(store.clone());
        self.kept = Kept::Disk {
            store,
            folder,
            round: round + 1,
        };
    }

    /// Octets of the journal of the lives before; `None` for a store that has none.
    pub(crate) fn sealed_octets(&self) -> Option<u64> {
        let Kept::Disk { store, .. } = &self.kept else {
            return None;
        };
        let segments = store.segments().unwrap();
        Some(segments.iter().map(|segment| segment.octets).sum())
    }

    pub(crate) fn fence(&self) -> Fence {
        self.store.fence(Shard::nth(7)).unwrap()
    }

    pub(crate) async fn change(&self, changes: Vec<AccountChange>) -> Result<(), StoreError> {
        self.store.change(self.fence(), changes).await
    }

    pub(crate) fn id_of(&self, text: &str) -> AccountId {
        let address = address(text);
        match self.store.entry(address.local(), address.domain()).unwrap() {
            Some(Entry::Account(id)) => id,
            other => panic!("{text} is {other:?}"),
        }
    }

    pub(crate) fn inbox(&self) -> MailboxRow {
        self.named("INBOX")
    }

    pub(crate) fn named(&self, name: &str) -> MailboxRow {
        let row = self.store.mailbox_named(self.ann, name).unwrap();
        row.unwrap_or_else(|| panic!("no mailbox {name}"))
    }

    pub(crate) async fn create(&self, name: &str) -> MailboxRow {
        self.try_create(name).await.unwrap()
    }

    pub(crate) async fn try_create(&self, name: &str) -> Result<MailboxRow, StoreError> {
        let new = NewMailbox {
            name: name.to_owned(),
            special_use: None,
            subscribe: false,
        };
        self.store.create(self.fence(), self.ann, new).await
    }

    pub(crate) async fn draft(&self, octets: &[u8]) -> Draft {
        let mut writer = Spool::draft(&*self.store);
        for piece in octets.chunks(50_000) {
            if let Some(pending) = writer.write(Bytes::copy_from_slice(piece)) {
                pending.await.unwrap();
            }
        }
        assert_eq!(writer.octets(), octets.len() as u64);
        writer.finish()
    }

    pub(crate) async fn mail(
        &self,
        recipients: Vec<Recipient>,
        arrived: u64,
        octets: &[u8],
    ) -> NewMail {
        NewMail {
            envelope: Envelope {
                from: Some(address("sender@elsewhere.test")),
                recipients,
                ..Envelope::default()
            },
            draft: self.draft(octets).await,
            arrived: Time(arrived),
            answers: None,
            origin: "192.0.2.1 client.test".to_owned(),
        }
    }

    pub(crate) async fn accept(&self, recipients: Vec<Recipient>, arrived: u64) -> MessageId {
        let mail = self
            .mail(recipients, arrived, b"Subject: hi\r\n\r\nhi\r\n")
            .await;
        self.store.accept(self.fence(), mail).await.unwrap()
    }

    /// A message for ann that waits in the spool.
    pub(crate) async fn accept_for_ann(&self, octets: &[u8]) -> MessageId {
        let mail = self.mail(vec![self.local()], 1_000, octets).await;
        self.store.accept(self.fence(), mail).await.unwrap()
    }

    pub(crate) fn local(&self) -> Recipient {
        let target = Target::Local {
            account: self.ann,
            detail: None,
        };
        Recipient::new(address("ann@example.test"), target)
    }

    pub(crate) fn deliver(&self, mailbox: MailboxId, id: MessageId) -> Pending<Option<Appended>> {
        let arrival = Arrival {
            id,
            recipient: 0,
            internal_date: Time(5_000),
            flags: Flags::NONE,
            keywords: Vec::new(),
        };
        self.store.deliver(self.fence(), self.ann, mailbox, arrival)
    }

    /// Appends a message with that text; yields its UID.
    pub(crate) async fn append(&self, mailbox: MailboxId, octets: &[u8]) -> Uid {
        let message = (self.draft(octets).await, Flags::NONE, vec![], Time(5_000));
        let appended = self
            .store
            .append(self.fence(), self.ann, mailbox, vec![message])
            .await;
        appended.unwrap()[0].uid
    }

    pub(crate) fn rows(&self, mailbox: MailboxId) -> Vec<MessageRow> {
        let mut rows = Vec::new();
        let mut each = |row: &MessageRow| {
            rows.push(*row);
            true
        };
        self.store
            .messages(self.ann, mailbox, UidRange::ALL, &mut each)
            .unwrap();
        rows
    }

    pub(crate) fn flags(&self, mailbox: MailboxId) -> Vec<MessageFlags> {
        let mut flags = Vec::new();
        let mut each = |message: &MessageFlags| {
            flags.push(*message);
            true
        };
        self.store
            .flags(self.ann, mailbox, UidRange::ALL, &mut each)
            .unwrap();
        flags
    }

    pub(crate) fn octets(&self, row: &MessageRow) -> Bytes {
        MailStore::read(&*self.store, &row.body)
            .unwrap()
            .bytes()
            .unwrap()
    }
}

/// Small segments, so that tests see more than one.
fn config(folder: &TempDir) -> Config {
    Config {
        segment_octets: 256 * 1024,
        reserve_octets: 0,
        mail_partitions: 2,
        cache_octets: 16 << 20,
        ..Config::new(folder.path())
    }
}

/// Each look at it is a millisecond later; each store begins an hour later.
fn clock() -> Clock {
    static BEGIN: AtomicU64 = AtomicU64::new(1_800_000_000_000);
    let ticks = AtomicU64::new(BEGIN.fetch_add(3_600_000, Ordering::Relaxed));
    Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)))
}

pub(crate) fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn remote(text: &str) -> Recipient {
    let address = address(text);
    let target = Target::Remote(address.domain().clone());
    Recipient::new(address, target)
}

pub(crate) fn new_account(text: &str) -> AccountChange {
    AccountChange::AddAccount(NewAccount {
        address: address(text),
        password: Some("$argon2id$x".to_owned()),
        quota: Quota::default(),
    })
}

pub(crate) fn reply(code: u16) -> Reply {
    Reply::new(code, Enhanced((code / 100) as u8, 0, 0), "said the peer")
}

pub(crate) fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

/// Whether the error is of that kind.
#[track_caller]
pub(crate) fn assert_is<T: Debug>(result: Result<T, StoreError>, kind: &str) {
    let error = result.unwrap_err();
    let found = format!("{error:?}");
    assert!(found.starts_with(kind), "{found} is not {kind}");
}
