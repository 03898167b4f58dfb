//! What the mailbox actor of an account hears. It is the only writer of the account's mailboxes,
//! but for plain mail, which is put into them as it is accepted.

use std::fmt;

use mail::{Flags, Keyword, MailboxId, MessageId, ModSeq, Time, Uid};
use ractor::RpcReplyPort;
use serde::Serialize;
use store::{
    StoreError,
    port::{Appended, Copied, Draft, FlagChange, MailboxRow, MessageFlags, NewMailbox},
};

/// Everything an account's mailbox actor can be told.
///
/// Answers come when the fact is on stable storage; a session whose call ends without one (the
/// mailbox crashed) looks at the store, which has the truth.
#[derive(Debug)]
pub enum MailboxMsg {
    /// From an IMAP session or an operator: add messages (APPEND).
    Append(
        AppendRequest,
        RpcReplyPort<Result<Vec<Appended>, MailboxFailure>>,
    ),
    /// From an IMAP session: COPY or MOVE.
    Copy(CopyRequest, RpcReplyPort<Result<Copied, MailboxFailure>>),
    /// From an SMTP session: mail was put into a mailbox as it was accepted.
    Arrived(Landed),
    /// From a session: create a mailbox.
    Create(NewMailbox, RpcReplyPort<Result<MailboxRow, MailboxFailure>>),
    /// From a session: remove a mailbox.
    Delete(MailboxId, RpcReplyPort<Result<(), MailboxFailure>>),
    /// From the router: `recipient` of the spooled message `id` is this account.
    Deliver {
        /// The message in the spool.
        id: MessageId,
        /// The recipient's number in its envelope.
        recipient: u32,
        /// What stood after the `+`: a mailbox of that name is used if it exists.
        detail: Option<String>,
        /// When the message was accepted: its INTERNALDATE.
        arrived: Time,
    },
    /// From a session: remove messages for ever (EXPUNGE, POP3's QUIT).
    Expunge(
        ExpungeRequest,
        RpcReplyPort<Result<Vec<Uid>, MailboxFailure>>,
    ),
    /// From an IMAP session: change flags. Yields rows changed and UIDs refused by
    /// `unchanged_since`.
    Flag(FlagRequest, RpcReplyPort<Result<Flagged, MailboxFailure>>),
    /// From itself: the account had no room for what was to be delivered.
    Full {
        /// The message in the spool.
        id: MessageId,
        /// The recipient's number in its envelope.
        recipient: u32,
    },
    /// From its family: nobody has said anything for a while.
    Idle,
    /// From an operator: how are you?
    Inspect(RpcReplyPort<MailboxReport>),
    /// From itself: a write that was begun has become durable or has failed.
    Landed(Landed),
    /// From a POP3 session: take the maildrop for this session, or learn that it is taken
    /// (RFC 1939 §3). The lock ends with [`MailboxMsg::Unlock`] or when `watcher` is gone.
    Lock(Watcher, RpcReplyPort<bool>),
    /// From the incarnation before: a write that it had begun has become durable.
    Missed(Landed),
    /// From an IMAP session: which UIDs are `\Recent` in a mailbox for this session alone;
    /// yields the first such UID.
    Recent(MailboxId, RpcReplyPort<Result<Uid, MailboxFailure>>),
    /// From a session: rename a mailbox and what lies below it.
    Rename(MailboxId, String, RpcReplyPort<Result<(), MailboxFailure>>),
    /// From a session: subscribe to a name, or end it.
    Subscribe(String, bool, RpcReplyPort<Result<(), MailboxFailure>>),
    /// From a POP3 session: the maildrop is free again.
    Unlock(u64),
    /// From a session: it has left the mailbox or is closing.
    Unwatch(u64),
    /// From an IMAP session: tell me of changes in that mailbox from now on; replaces an earlier
    /// watch of the same session. Yields the mailbox as it stands.
    Watch(
        MailboxId,
        Watcher,
        RpcReplyPort<Result<MailboxRow, MailboxFailure>>,
    ),
}

/// The messages that changed, and the UIDs that were refused.
pub type Flagged = (Vec<MessageFlags>, Vec<Uid>);

/// Messages to be added to a mailbox.
#[derive(Debug)]
pub struct AppendRequest {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Only if this is still the mailbox's next UID: nothing has come since somebody looked.
    pub next: Option<Uid>,
    /// The messages, all or none.
    pub messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
}

/// Messages to be copied or moved.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// From where.
    pub from: MailboxId,
    /// Which.
    pub uids: Vec<Uid>,
    /// Where to.
    pub to: MailboxId,
    /// Whether they leave the first mailbox.
    pub moving: bool,
}

/// Messages to be removed.
#[derive(Clone, Debug)]
pub struct ExpungeRequest {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Which.
    pub uids: Vec<Uid>,
    /// Just those that carry `\Deleted` at that moment.
    pub deleted_only: bool,
}

/// Flags to be changed.
#[derive(Clone, Debug)]
pub struct FlagRequest {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Which messages.
    pub uids: Vec<Uid>,
    /// What to change.
    pub change: FlagChange,
    /// Leave alone what changed after this MODSEQ.
    pub unchanged_since: Option<ModSeq>,
}

/// Why a mailbox did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxFailure {
    /// A POP3 session has the maildrop, or too many wait. Nobody's fault.
    #[error("the mailbox is in use")]
    Busy,
    /// The store failed; the error says whose fault it is.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who is told of changes, and how.
///
/// The hint says only "this mailbox has changed up to that MODSEQ": what has changed is read
/// from the store. Hints are coalesced by the one who hears them.
pub struct Watcher {
    /// The session's number, unique in this process.
    pub session: u64,
    /// Tells the session; `false` says that the session is gone. Mailbox 0, which does not exist,
    /// only asks whether it is: the session takes it for no change.
    pub tell: Box<dyn Fn(MailboxId, ModSeq) -> bool + Send + Sync>,
}

/// How an account's mailbox actor is.
#[derive(Clone, Debug, Serialize)]
pub struct MailboxReport {
    /// The account's number.
    pub account: u64,
    /// Sessions that watch one of its mailboxes.
    pub watchers: usize,
    /// Whether a POP3 session has the maildrop.
    pub locked: bool,
    /// Writes that are on their way to the disk.
    pub writes_pending: usize,
    /// Changes made since this incarnation began.
    pub changed: u64,
}

/// A write that has ended: what the watchers of the mailbox must be told.
#[derive(Clone, Copy, Debug)]
pub struct Landed {
    /// The mailbox that changed, and up to where; nothing if the write failed.
    pub changed: Option<(MailboxId, ModSeq)>,
    /// The same for the other mailbox of a COPY or MOVE.
    pub also: Option<(MailboxId, ModSeq)>,
}

impl Landed {
    /// Nothing has changed.
    pub const NOTHING: Self = Self {
        changed: None,
        also: None,
    };

    /// That mailbox has changed up to that MODSEQ.
    #[must_use]
    pub const fn at(mailbox: MailboxId, modseq: ModSeq) -> Self {
        Self {
            changed: Some((mailbox, modseq)),
            also: None,
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
