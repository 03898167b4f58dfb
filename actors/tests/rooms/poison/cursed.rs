//! A store that brings down whoever takes one certain message into its hands.
#![expect(
    clippy::disallowed_types,
    reason = "which message it is, is decided outside of the store"
)]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mail::{AccountId, Domain, Flags, Keyword, MailboxId, MessageId, ModSeq, Time, Uid};
use store::{
    MemoryStore, StoreError,
    port::{
        Accepted, Appended, Arrival, Aside, Body, BodyRef, BodyWriter, Changes, Copied, Draft,
        DueRow, Fence, FlagChange, HeadEnd, Held, MailStore, MailboxRow, MessageFlags, MessageRow,
        NewMail, NewMailbox, Pending, Settle, Spool, Spooled, UidRange, Usage,
    },
};

/// A store, and the message that brings its reader down.
#[derive(Clone)]
pub(crate) struct Cursed(pub(crate) MemoryStore, pub(crate) Curse);

/// Which message it is, if any.
pub(crate) type Curse = Arc<Mutex<Option<MessageId>>>;

impl Cursed {
    fn touch(&self, id: MessageId) {
        let cursed = *self.1.lock().unwrap();
        assert_ne!(cursed, Some(id), "this message is cursed");
    }
}

type Read<T> = Result<T, StoreError>;
type New = (Draft, Flags, Vec<Keyword>, Time);
type From = (Time, MessageId, u32);

impl Spool for Cursed {
    fn get(&self, id: MessageId) -> Read<Option<Spooled>> {
        self.touch(id);
        Spool::get(&self.0, id)
    }

    pass! { Spool, 0:
        fn draft() -> BodyWriter;
        fn accept(fence: Fence, mail: NewMail) -> Pending<MessageId>;
        fn accept_home(fence: Fence, owners: &[Fence], mail: NewMail) -> Pending<Accepted>;
        fn open(after: Option<MessageId>, limit: usize) -> Read<Vec<MessageId>>;
        fn open_local(after: Option<MessageId>, limit: usize) -> Read<Vec<MessageId>>;
        fn domains(after: Option<&Domain>, limit: usize) -> Read<Vec<(Domain, u64)>>;
        fn due(domain: &Domain, from: Option<From>, limit: usize) -> Read<Vec<DueRow>>;
        fn failed(after: Option<MessageId>, limit: usize) -> Read<Vec<MessageId>>;
        fn settle(fence: Fence, id: MessageId, what: Vec<(u32, Settle)>) -> Pending<()>;
        fn set_aside(fence: Fence, id: MessageId, report: String) -> Pending<()>;
        fn release(fence: Fence, id: MessageId) -> Pending<()>;
        fn aside(after: Option<MessageId>, limit: usize) -> Read<Vec<MessageId>>;
        fn get_aside(id: MessageId) -> Read<Option<Aside>>;
        fn read(body: &BodyRef) -> Read<Body>;
    }
}

impl MailStore for Cursed {
    fn deliver(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        arrival: Arrival,
    ) -> Pending<Option<Appended>> {
        self.touch(arrival.id);
        MailStore::deliver(&self.0, fence, account, mailbox, arrival)
    }

    pass! { MailStore, 0:
        fn mailboxes(account: AccountId) -> Read<Vec<MailboxRow>>;
        fn mailbox_named(account: AccountId, name: &str) -> Read<Option<MailboxRow>>;
        fn mailbox(account: AccountId, mailbox: MailboxId) -> Read<Option<MailboxRow>>;
        fn subscriptions(account: AccountId) -> Read<Vec<String>>;
        fn messages(
            account: AccountId,
            mailbox: MailboxId,
            range: UidRange,
            each: &mut dyn FnMut(&MessageRow) -> bool
        ) -> Read<()>;
        fn flags(
            account: AccountId,
            mailbox: MailboxId,
            range: UidRange,
            each: &mut dyn FnMut(&MessageFlags) -> bool
        ) -> Read<()>;
        fn changes(account: AccountId, mailbox: MailboxId, since: ModSeq) -> Read<Option<Changes>>;
        fn usage(account: AccountId) -> Read<Option<Usage>>;
        fn has_room(account: AccountId, more: Held) -> Read<()>;
        fn read(body: &BodyRef) -> Read<Body>;
        fn head(body: &BodyRef, end: HeadEnd) -> Read<Bytes>;
        fn draft() -> BodyWriter;
        fn append(
            fence: Fence,
            account: AccountId,
            mailbox: MailboxId,
            messages: Vec<New>
        ) -> Pending<Vec<Appended>>;
        fn append_next(
            fence: Fence,
            account: AccountId,
            mailbox: MailboxId,
            next: Uid,
            messages: Vec<New>
        ) -> Pending<Vec<Appended>>;
        fn flag(
            fence: Fence,
            account: AccountId,
            mailbox: MailboxId,
            uids: Vec<Uid>,
            change: FlagChange,
            unchanged_since: Option<ModSeq>
        ) -> Pending<(Vec<MessageFlags>, Vec<Uid>)>;
        fn copy(
            fence: Fence,
            account: AccountId,
            from: MailboxId,
            uids: Vec<Uid>,
            to: MailboxId,
            moving: bool
        ) -> Pending<Copied>;
        fn expunge(
            fence: Fence,
            account: AccountId,
            mailbox: MailboxId,
            uids: Vec<Uid>,
            deleted_only: bool
        ) -> Pending<Vec<Uid>>;
        fn create(fence: Fence, account: AccountId, new: NewMailbox) -> Pending<MailboxRow>;
        fn delete(fence: Fence, account: AccountId, mailbox: MailboxId) -> Pending<()>;
        fn rename(
            fence: Fence,
            account: AccountId,
            mailbox: MailboxId,
            to: String
        ) -> Pending<()>;
        fn subscribe(fence: Fence, account: AccountId, name: String, on: bool) -> Pending<()>;
        fn take_recent(fence: Fence, account: AccountId, mailbox: MailboxId) -> Pending<Uid>;
    }
}
