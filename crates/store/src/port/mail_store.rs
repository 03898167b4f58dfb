//! The mail store: mailboxes, their messages and flags, with the numbers IMAP needs.

use bytes::Bytes;
use mail::{AccountId, Flags, Keyword, MailboxId, MessageId, ModSeq, Time, Uid, UidValidity};

use super::{Body, BodyRef, BodyWriter, Draft, Fence, Held, Pending, Usage};
use crate::StoreError;

/// The port to the mail store.
///
/// An account's mailbox actor is the only writer, but for mail that is put into mailboxes as it is
/// accepted ([`Spool::accept_home`](super::Spool::accept_home)); anybody may read. UIDs and MODSEQs are given
/// out in the order of the calls and never go back, not even after a crash or a rebuild.
/// Every account has an `INBOX` from its first moment. The hierarchy separator is `/`; names are
/// UTF-8; `INBOX` is written so, whatever its case was.
pub trait MailStore: Send + Sync {
    /// All mailboxes of an account, ascending by name.
    ///
    /// # Errors
    /// When the directory cannot be read; so for every read below.
    fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxRow>, StoreError>;

    /// The mailbox of that name.
    ///
    /// # Errors
    /// As above.
    fn mailbox_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<MailboxRow>, StoreError>;

    /// The mailbox with that number.
    ///
    /// # Errors
    /// As above.
    fn mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<MailboxRow>, StoreError>;

    /// The names that the account is subscribed to, ascending; they need not exist (RFC 3501
    /// §6.3.6).
    ///
    /// # Errors
    /// As above.
    fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, StoreError>;

    /// Calls `each` for the messages of a mailbox whose UIDs lie in `range`, ascending, until it
    /// returns `false`.
    ///
    /// # Errors
    /// As above.
    fn messages(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        each: &mut dyn FnMut(&MessageRow) -> bool,
    ) -> Result<(), StoreError>;

    /// Calls `each` for the flags of the messages of a mailbox whose UIDs lie in `range`,
    /// ascending, until it returns `false`. Much cheaper than [`MailStore::messages`].
    ///
    /// # Errors
    /// As above.
    fn flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        each: &mut dyn FnMut(&MessageFlags) -> bool,
    ) -> Result<(), StoreError>;

    /// What has changed in a mailbox after `since`; `None` if so much was forgotten that the
    /// caller must look at everything (RFC 7162 §3.2.5.2).
    ///
    /// # Errors
    /// As above.
    fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Option<Changes>, StoreError>;

    /// What limits an account, and how far it is used; `None` if there is no such account.
    ///
    /// # Errors
    /// As above.
    fn usage(&self, account: AccountId) -> Result<Option<Usage>, StoreError>;

    /// Refuses what an account, or its domain, has no room for now. Nothing is kept for it: the
    /// write that brings it may still be refused. Where nothing is limited it costs next to nothing.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`]; else as above.
    fn has_room(&self, account: AccountId, more: Held) -> Result<(), StoreError>;

    /// A message's octets.
    ///
    /// # Errors
    /// [`StoreError::Damage`].
    fn read(&self, body: &BodyRef) -> Result<Body, StoreError>;

    /// A message's header, as far as `end` says that it goes. It is kept in memory for a while.
    ///
    /// # Errors
    /// [`StoreError::Damage`].
    fn head(&self, body: &BodyRef, end: HeadEnd) -> Result<Bytes, StoreError>;

    /// The BLAKE3 of a message's octets as they were received. Where it is kept beside them, none
    /// of them is read for it.
    ///
    /// # Errors
    /// [`StoreError::Damage`], [`StoreError::Missing`].
    fn digest(&self, body: &BodyRef) -> Result<[u8; 32], StoreError> {
        self.read(body)?.digest()
    }

    /// Begins a body for [`MailStore::append`].
    fn draft(&self) -> BodyWriter;

    /// Puts a spooled message into a mailbox and closes its recipient, in one durable step; the
    /// body is shared with the spool. Delivering a recipient that is not open (closed, failed, or
    /// its message forgotten) changes nothing and yields `None`.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the mailbox is not there, or the message has no such recipient.
    fn deliver(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        arrival: Arrival,
    ) -> Pending<Option<Appended>>;

    /// Adds messages, all or none (APPEND; RFC 3502 for several).
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Keywords`].
    fn append(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
    ) -> Pending<Vec<Appended>>;

    /// Adds messages, all or none, if `next` is still the next UID of the mailbox: nothing has come
    /// since the caller looked what is there.
    ///
    /// # Errors
    /// [`StoreError::Changed`]; as [`MailStore::append`].
    fn append_next(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        next: Uid,
        messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
    ) -> Pending<Vec<Appended>>;

    /// Changes flags of messages; UIDs that are not there are passed over. Yields those that
    /// really changed, as they are now. With `unchanged_since`, messages changed after it are left alone and
    /// their UIDs come back second (RFC 7162 §3.1.3).
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Keywords`].
    fn flag(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Pending<(Vec<MessageFlags>, Vec<Uid>)>;

    /// Copies messages to another mailbox of the account, all or none, sharing their bodies;
    /// with `moving` they leave the first one in the same step (RFC 6851 §3.3).
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Keywords`].
    fn copy(
        &self,
        fence: Fence,
        account: AccountId,
        from: MailboxId,
        uids: Vec<Uid>,
        to: MailboxId,
        moving: bool,
    ) -> Pending<Copied>;

    /// Removes messages; with `deleted_only` just those that carry `\Deleted` now. Yields the
    /// UIDs removed, ascending.
    ///
    /// # Errors
    /// [`StoreError::Missing`].
    fn expunge(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        deleted_only: bool,
    ) -> Pending<Vec<Uid>>;

    /// Creates a mailbox and the missing ones above it.
    ///
    /// # Errors
    /// [`StoreError::Exists`].
    fn create(&self, fence: Fence, account: AccountId, new: NewMailbox) -> Pending<MailboxRow>;

    /// Removes a mailbox and its messages; its UIDVALIDITY is never used again for its name.
    /// What lies below it stays.
    ///
    /// # Errors
    /// [`StoreError::Missing`]; [`StoreError::Exists`] for `INBOX`, which cannot go.
    fn delete(&self, fence: Fence, account: AccountId, mailbox: MailboxId) -> Pending<()>;

    /// Renames a mailbox and all below it; numbers and UIDs stay. Renaming `INBOX` moves its
    /// messages into a new mailbox of that name (RFC 3501 §6.3.5).
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Exists`].
    fn rename(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        to: String,
    ) -> Pending<()>;

    /// Subscribes to a name, or ends it.
    fn subscribe(&self, fence: Fence, account: AccountId, name: String, on: bool) -> Pending<()>;

    /// Says that everything up to now has been seen as `\Recent` by a session: yields the first
    /// UID that is recent for that session, once others can see that it was taken.
    fn take_recent(&self, fence: Fence, account: AccountId, mailbox: MailboxId) -> Pending<Uid>;
}

/// Says where the header of a message ends, from its first octets; `None` if it goes on behind
/// them. Everybody who asks a store for headers means the same.
pub type HeadEnd = fn(&[u8]) -> Option<usize>;

/// A mailbox as it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailboxRow {
    /// Its number; survives renaming.
    pub id: MailboxId,
    /// Its full name, UTF-8, levels separated by `/`.
    pub name: String,
    /// The generation of its UIDs.
    pub uid_validity: UidValidity,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// The MODSEQ of its latest change.
    pub highest_modseq: ModSeq,
    /// How many messages it holds.
    pub messages: u32,
    /// How many of them are not `\Seen`.
    pub unseen: u32,
    /// How many of them are `\Deleted`.
    pub deleted: u32,
    /// The sum of their sizes in octets.
    pub octets: u64,
    /// The first UID that no session has seen as `\Recent` yet.
    pub recent_from: Uid,
    /// Its role, if any.
    pub special_use: Option<SpecialUse>,
    /// The keywords in use; a message's bit *n* stands for number *n* here. At most 64.
    pub keywords: Vec<Keyword>,
    /// When it was created.
    pub created: Time,
}

/// The role of a mailbox (RFC 6154 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

/// A message in a mailbox. Small, of fixed size, and cheap to copy: a mailbox may have a million.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageRow {
    /// Its UID.
    pub uid: Uid,
    /// The MODSEQ of its latest change.
    pub modseq: ModSeq,
    /// Its system flags.
    pub flags: Flags,
    /// Its keywords, as bits of [`MailboxRow::keywords`].
    pub keywords: u64,
    /// `INTERNALDATE`.
    pub internal_date: Time,
    /// When it came into this mailbox (RFC 8514 `SAVEDATE`).
    pub save_date: Time,
    /// Where its octets are, and how many.
    pub body: BodyRef,
    /// The same for every copy of the message in this account (RFC 8474 `EMAILID`).
    pub email_id: u64,
    /// The same for every message of its thread (RFC 8474 `THREADID`); its own `email_id` until
    /// threads are computed.
    pub thread_id: u64,
}

/// What changes about a message in a mailbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageFlags {
    /// Its UID.
    pub uid: Uid,
    /// The MODSEQ of its latest change.
    pub modseq: ModSeq,
    /// Its system flags.
    pub flags: Flags,
    /// Its keywords, as bits of [`MailboxRow::keywords`].
    pub keywords: u64,
}

/// A span of UIDs, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UidRange {
    /// The lowest.
    pub first: Uid,
    /// The highest.
    pub last: Uid,
}

/// What happened in a mailbox after some MODSEQ.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// The mailbox's highest MODSEQ now: ask from here the next time.
    pub highest: ModSeq,
    /// New messages and those with changed flags, ascending by UID.
    pub changed: Vec<MessageFlags>,
    /// Messages that are gone, ascending.
    pub expunged: Vec<Uid>,
}

/// A recipient's copy of a spooled message that has reached its mailbox.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The message in the spool.
    pub id: MessageId,
    /// The recipient's number in its envelope.
    pub recipient: u32,
    /// `INTERNALDATE`.
    pub internal_date: Time,
    /// Flags it begins with; mostly none.
    pub flags: Flags,
    /// Keywords it begins with.
    pub keywords: Vec<Keyword>,
}

/// Where a new message stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// The mailbox's generation.
    pub uid_validity: UidValidity,
    /// The message's UID.
    pub uid: Uid,
    /// The mailbox's MODSEQ with it.
    pub modseq: ModSeq,
}

/// What COPY and MOVE did (RFC 4315 §3 `COPYUID`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Copied {
    /// The target's generation.
    pub uid_validity: UidValidity,
    /// Pairs of the UID here and the UID there, in the order of the copies.
    pub uids: Vec<(Uid, Uid)>,
    /// The source's MODSEQ afterwards; it changes only by moving.
    pub from_modseq: ModSeq,
    /// The target's MODSEQ afterwards.
    pub to_modseq: ModSeq,
}

/// A change of flags and keywords.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlagChange {
    /// What to do with them.
    pub how: FlagsHow,
    /// The system flags named.
    pub flags: Flags,
    /// The keywords named.
    pub keywords: Vec<Keyword>,
}

/// What STORE does with the flags named (RFC 3501 §6.4.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlagsHow {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// A mailbox to be created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewMailbox {
    /// Its full name.
    pub name: String,
    /// Its role.
    pub special_use: Option<SpecialUse>,
    /// Whether to subscribe to it in the same step.
    pub subscribe: bool,
}

impl MessageRow {
    /// The same message with other flags.
    #[must_use]
    pub const fn with(self, flags: &MessageFlags) -> Self {
        Self {
            modseq: flags.modseq,
            flags: flags.flags,
            keywords: flags.keywords,
            ..self
        }
    }

    /// What changes about it.
    #[must_use]
    pub const fn flags(&self) -> MessageFlags {
        MessageFlags {
            uid: self.uid,
            modseq: self.modseq,
            flags: self.flags,
            keywords: self.keywords,
        }
    }
}

impl UidRange {
    /// Every UID.
    pub const ALL: Self = Self {
        first: Uid::FIRST,
        last: Uid::LAST,
    };
}
