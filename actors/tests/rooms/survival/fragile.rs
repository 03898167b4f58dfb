//! Ports of the store that break in the middle of whoever uses them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use mail::{AccountId, Address, Domain, Flags, Keyword, MailboxId, ModSeq, Time, Uid};
use store::{
    MemoryStore, StoreError,
    port::{
        AccountChange, AccountRow, Accounts, Appended, Arrival, Body, BodyRef, BodyWriter, Changes,
        Copied, Draft, Entry, Fence, FlagChange, HeadEnd, Held, Leases, MailStore, MailboxRow,
        MessageFlags, MessageRow, NewMailbox, Pending, Quota, Shard, UidRange, Usage,
    },
};
use world::{Clock, SystemClock};

use super::fuse::Fuse;

/// A real store in memory, and a clock; each call is a moment at which the caller may crash.
#[derive(Clone, Debug)]
pub(crate) struct Fragile {
    /// What is cursed does no harm any more.
    pub(crate) cured: Arc<AtomicBool>,
    /// How mailboxes stand cannot be read.
    pub(crate) blind: Arc<AtomicBool>,
    pub(crate) clock: SystemClock,
    pub(crate) fuse: Fuse,
    pub(crate) store: MemoryStore,
}

/// The local part and the mailbox that bring down whoever asks for them.
pub(crate) const CURSED: &str = "cursed";

/// How long a message is that brings down whoever reads it.
pub(crate) const CURSED_OCTETS: u64 = 66;

impl Fragile {
    fn touch(&self, is_cursed: bool) {
        let is_harmless = !is_cursed || self.cured.load(Ordering::Relaxed);
        assert!(is_harmless, "whoever touches this is cursed");
    }

    fn mail(&self) -> &dyn MailStore {
        self.fuse.strike();
        &self.store
    }
}

impl Clock for Fragile {
    fn now(&self) -> Time {
        self.fuse.strike();
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.fuse.strike();
        self.clock.monotonic()
    }
}

impl Leases for Fragile {
    fn fence(&self, shard: Shard) -> Result<Fence, StoreError> {
        self.fuse.strike();
        self.store.fence(shard)
    }
}

impl Accounts for Fragile {
    fn has_domain(&self, domain: &Domain) -> Result<bool, StoreError> {
        self.store.has_domain(domain)
    }

    fn entry(&self, local: &str, domain: &Domain) -> Result<Option<Entry>, StoreError> {
        self.touch(local == CURSED);
        self.store.entry(local, domain)
    }

    fn account(&self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        self.store.account(id)
    }

    fn domain_quota(&self, domain: &Domain) -> Result<Quota, StoreError> {
        self.store.domain_quota(domain)
    }

    fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        self.store.domains()
    }

    fn accounts(
        &self,
        domain: Option<&Domain>,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<AccountRow>, StoreError> {
        self.store.accounts(domain, after, limit)
    }

    fn aliases(
        &self,
        domain: Option<&Domain>,
    ) -> Result<Vec<(String, Domain, Vec<Address>)>, StoreError> {
        self.store.aliases(domain)
    }

    fn change(&self, fence: Fence, changes: Vec<AccountChange>) -> Pending<()> {
        self.store.change(fence, changes)
    }
}

impl MailStore for Fragile {
    fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxRow>, StoreError> {
        self.mail().mailboxes(account)
    }

    fn mailbox_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<MailboxRow>, StoreError> {
        self.touch(name == CURSED);
        self.mail().mailbox_named(account, name)
    }

    fn mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<MailboxRow>, StoreError> {
        if self.blind.load(Ordering::Relaxed) {
            return Err(StoreError::Busy);
        }
        self.mail().mailbox(account, mailbox)
    }

    fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        self.mail().subscriptions(account)
    }

    fn messages(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        each: &mut dyn FnMut(&MessageRow) -> bool,
    ) -> Result<(), StoreError> {
        self.mail().messages(account, mailbox, range, each)
    }

    fn flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        each: &mut dyn FnMut(&MessageFlags) -> bool,
    ) -> Result<(), StoreError> {
        self.mail().flags(account, mailbox, range, each)
    }

    fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Option<Changes>, StoreError> {
        self.mail().changes(account, mailbox, since)
    }

    fn usage(&self, account: AccountId) -> Result<Option<Usage>, StoreError> {
        self.mail().usage(account)
    }

    fn has_room(&self, account: AccountId, more: Held) -> Result<(), StoreError> {
        self.mail().has_room(account, more)
    }

    fn read(&self, body: &BodyRef) -> Result<Body, StoreError> {
        self.touch(body.octets == CURSED_OCTETS);
        self.mail().read(body)
    }

    fn head(&self, body: &BodyRef, end: HeadEnd) -> Result<Bytes, StoreError> {
        self.mail().head(body, end)
    }

    fn draft(&self) -> BodyWriter {
        self.mail().draft()
    }

    fn deliver(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        arrival: Arrival,
    ) -> Pending<Option<Appended>> {
        self.mail().deliver(fence, account, mailbox, arrival)
    }

    fn append(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
    ) -> Pending<Vec<Appended>> {
        self.mail().append(fence, account, mailbox, messages)
    }

    fn append_next(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        next: Uid,
        messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
    ) -> Pending<Vec<Appended>> {
        self.mail()
            .append_next(fence, account, mailbox, next, messages)
    }

    fn flag(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Pending<(Vec<MessageFlags>, Vec<Uid>)> {
        let mail = self.mail();
        mail.flag(fence, account, mailbox, uids, change, unchanged_since)
    }

    fn copy(
        &self,
        fence: Fence,
        account: AccountId,
        from: MailboxId,
        uids: Vec<Uid>,
        to: MailboxId,
        moving: bool,
    ) -> Pending<Copied> {
        self.mail().copy(fence, account, from, uids, to, moving)
    }

    fn expunge(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        deleted_only: bool,
    ) -> Pending<Vec<Uid>> {
        let mail = self.mail();
        mail.expunge(fence, account, mailbox, uids, deleted_only)
    }

    fn create(&self, fence: Fence, account: AccountId, new: NewMailbox) -> Pending<MailboxRow> {
        self.mail().create(fence, account, new)
    }

    fn delete(&self, fence: Fence, account: AccountId, mailbox: MailboxId) -> Pending<()> {
        self.mail().delete(fence, account, mailbox)
    }

    fn rename(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        to: String,
    ) -> Pending<()> {
        self.mail().rename(fence, account, mailbox, to)
    }

    fn subscribe(&self, fence: Fence, account: AccountId, name: String, on: bool) -> Pending<()> {
        self.mail().subscribe(fence, account, name, on)
    }

    fn take_recent(&self, fence: Fence, account: AccountId, mailbox: MailboxId) -> Pending<Uid> {
        self.mail().take_recent(fence, account, mailbox)
    }
}
