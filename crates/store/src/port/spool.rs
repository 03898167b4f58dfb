//! The spool: messages that we have taken responsibility for and not yet passed on.

use mail::{AccountId, Domain, Envelope, MailboxId, MessageId, ModSeq, Outcome, Reply, Time, Uid};

use super::{Body, BodyRef, BodyWriter, Draft, Fence, Pending};
use crate::StoreError;

/// The port to the spool. See `docs/states.md` for the states of a message.
pub trait Spool: Send + Sync {
    /// Begins a body. Nothing is kept until the draft is accepted.
    fn draft(&self) -> BodyWriter;

    /// Takes responsibility for a message: body, envelope and all recipients as open (S2), in one
    /// durable step. With [`NewMail::answers`] the recipients that it answers for are closed in
    /// the same step.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Fenced`], [`StoreError::Lost`].
    fn accept(&self, fence: Fence, mail: NewMail) -> Pending<MessageId>;

    /// Takes responsibility for a message like [`Spool::accept`], and puts it into the mailboxes of
    /// its recipients in the same durable step, if all of them can take it now: each is a different
    /// account of ours, is there, and has room. Then nothing remains to be done (S4), and no list
    /// ever has it. Otherwise nobody has it yet, and all recipients are open (S2).
    ///
    /// A recipient's detail names the mailbox, if there is one of that name; else it is the INBOX.
    /// `owners` are the fences of the accounts' shards: whoever has them not all calls
    /// [`Spool::accept`].
    ///
    /// # Errors
    /// As [`Spool::accept`].
    fn accept_home(&self, fence: Fence, owners: &[Fence], mail: NewMail) -> Pending<Accepted>;

    /// The message with the state of each recipient; `None` once it is forgotten (S4), and while
    /// it is set aside (SX).
    ///
    /// # Errors
    /// [`StoreError::Damage`] for one that cannot be read.
    fn get(&self, id: MessageId) -> Result<Option<Spooled>, StoreError>;

    /// The ids of messages with recipients that are not closed, ascending, after `after`, at most
    /// `limit`: what a router reads again when it starts.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn open(&self, after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError>;

    /// Like [`Spool::open`], but only messages with an open local recipient: what the router must
    /// find quickly among a million remote ones.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn open_local(
        &self,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<MessageId>, StoreError>;

    /// The remote domains that open recipients wait for, with their number, ascending by name
    /// after `after`, at most `limit`.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn domains(
        &self,
        after: Option<&Domain>,
        limit: usize,
    ) -> Result<Vec<(Domain, u64)>, StoreError>;

    /// The open recipients of a remote domain in the order in which they are due, from `from`
    /// (inclusive), at most `limit`: the window of a domain queue.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn due(
        &self,
        domain: &Domain,
        from: Option<(Time, MessageId, u32)>,
        limit: usize,
    ) -> Result<Vec<DueRow>, StoreError>;

    /// Messages with recipients in [`State::Failed`], ascending after `after`, at most `limit`:
    /// what the bounce actor reads again when it starts.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn failed(&self, after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError>;

    /// Records what became of recipients. Settling a closed recipient again changes nothing, a
    /// failed one can only be closed, and a message that is not there (any more) is passed over.
    /// When the last one closes, the message is forgotten (S4).
    fn settle(&self, fence: Fence, id: MessageId, what: Vec<(u32, Settle)>) -> Pending<()>;

    /// Sets a message aside (SX): body, envelope and states stay, and no list but
    /// [`Spool::aside`] names it until it is released. At most [`REPORT_OCTETS_MAX`] of `report`
    /// are kept. A message that is aside already stays as it is, and one that is not there (any
    /// more) is passed over. What is settled meanwhile counts: with its last recipient it is
    /// forgotten (S4).
    fn set_aside(&self, fence: Fence, id: MessageId, report: String) -> Pending<()>;

    /// Ends [`Spool::set_aside`]: the message goes on where it was. One that is not aside is
    /// passed over.
    fn release(&self, fence: Fence, id: MessageId) -> Pending<()>;

    /// The messages that are set aside, ascending, after `after`, at most `limit`.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn aside(&self, after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError>;

    /// A message that is set aside; `None` for any other.
    ///
    /// # Errors
    /// [`StoreError::Damage`] for one that cannot be read.
    fn get_aside(&self, id: MessageId) -> Result<Option<Aside>, StoreError>;

    /// The message's octets, trace header included.
    ///
    /// # Errors
    /// [`StoreError::Damage`].
    fn read(&self, body: &BodyRef) -> Result<Body, StoreError>;
}

/// A message that has been accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// Its id.
    pub id: MessageId,
    /// The mailboxes that have it. With none, it waits in the spool.
    pub delivered: Vec<Delivered>,
}

/// Where a message was put as it was accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delivered {
    /// Whose mailbox.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The message's UID there.
    pub uid: Uid,
    /// The mailbox's MODSEQ with it.
    pub modseq: ModSeq,
}

impl Accepted {
    /// One that waits in the spool.
    #[must_use]
    pub const fn in_spool(id: MessageId) -> Self {
        let delivered = Vec::new();
        Self { id, delivered }
    }
}

/// A message that is set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Aside {
    /// The message, as it stands.
    pub message: Spooled,
    /// When it was set aside.
    pub since: Time,
    /// Why: the report of a crash.
    pub report: String,
}

/// Octets of a report that are kept with a message that is set aside.
pub const REPORT_OCTETS_MAX: usize = 64 * 1024;

/// A message that is about to be accepted.
#[derive(Debug)]
pub struct NewMail {
    /// Who it is from and for.
    pub envelope: Envelope,
    /// Its octets, trace header included.
    pub draft: Draft,
    /// When the peer finished sending it.
    pub arrived: Time,
    /// For a bounce: the message whose failed recipients it reports.
    pub answers: Option<Answer>,
    /// Where it came from, for the operator: client address, HELO name, account, protocol.
    pub origin: String,
}

/// The recipients that a bounce reports, closed with its acceptance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The message that could not be delivered.
    pub id: MessageId,
    /// The numbers of the recipients reported.
    pub recipients: Vec<u32>,
}

/// A message in the spool.
#[derive(Clone, Debug, PartialEq)]
pub struct Spooled {
    /// Its id.
    pub id: MessageId,
    /// Who it is from and for.
    pub envelope: Envelope,
    /// Its octets.
    pub body: BodyRef,
    /// When it was accepted.
    pub arrived: Time,
    /// Where it came from.
    pub origin: String,
    /// A state per recipient, in the envelope's order.
    pub states: Vec<RecipientState>,
}

/// What is known about one recipient.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipientState {
    /// Whether something remains to be done.
    pub state: State,
    /// How many attempts have ended.
    pub attempts: u32,
    /// When the next attempt is due; the arrival, before the first.
    pub due: Time,
    /// How the last attempt ended.
    pub last: Option<Reply>,
    /// Whether the sender has been told that it is late.
    pub delay_told: bool,
}

/// Whether something remains to be done for a recipient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Delivered, returned, or dropped by an operator: nothing remains.
    Closed,
    /// For ever undeliverable; the sender is still to be told.
    Failed,
    /// To be delivered.
    Open,
}

/// What became of a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Settle {
    /// An attempt failed for now: try again at `due`.
    Again {
        /// When.
        due: Time,
        /// What the peer said.
        reply: Reply,
    },
    /// Nothing remains to be done (delivered, or dropped by an operator).
    Close(Reply),
    /// The sender has been told that it is late.
    DelayTold,
    /// An attempt failed for ever: the sender must be told.
    Fail(Reply),
    /// An operator wants it tried now: due at that time, nothing else changes.
    Hasten(Time),
}

/// One open recipient of a remote domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DueRow {
    /// When the next attempt is due.
    pub due: Time,
    /// The message.
    pub id: MessageId,
    /// The recipient's number in its envelope.
    pub recipient: u32,
    /// How many attempts have ended.
    pub attempts: u32,
    /// When the message was accepted: its age decides when it expires.
    pub arrived: Time,
}

impl Settle {
    /// What an attempt's outcome means for the recipient, if a deferral is tried again at `due`.
    #[must_use]
    pub fn from_outcome(outcome: Outcome, due: Time) -> Self {
        match outcome {
            Outcome::Defer(reply) => Self::Again { due, reply },
            Outcome::Deliver(reply) => Self::Close(reply),
            Outcome::Fail(reply) => Self::Fail(reply),
        }
    }
}
