//! The mailboxes of one account, as an actor.
//!
//! # Owns
//! The right to change the account's mailboxes, who watches them, and who has the maildrop.
//! The mailboxes themselves are the store's, which puts plain mail into them as it is accepted. Who
//! watches, it leaves to its successor when it sleeps.
//!
//! # Hears
//! [`MailboxMsg`]: `Deliver` from the router, `Arrived` from SMTP sessions, changes and watches from sessions, `Landed` from
//! itself when a write has become durable, `Full` when there was no room for one, `Missed` when that write was begun by the incarnation
//! before. What it hears after it has asked to be passivated goes to the next incarnation.
//!
//! # Says
//! Hints to the sessions that watch; [`BounceMsg::Return`] when a recipient cannot be delivered
//! for ever.
//!
//! # Supervised by
//! The mailbox family, `Transient`: passivated when nobody has the maildrop and nothing is pending.
//! If somebody watches, it stays in the books, asleep; else it is forgotten.
//!
//! # When it crashes
//! Nothing is lost: the store has the mail, and what was being delivered is still open in the
//! spool, where the router finds it again. Sessions that were waiting for an answer read the
//! store, and watch the next incarnation.
//!
//! # Metrics
//! `heronry_mailbox_deliveries_total`, `heronry_mailbox_writes_failed_total`.

use std::sync::Arc;

use mail::{AccountId, Enhanced, Flags, MailboxId, MessageId, ModSeq, Reply};
use policy::retry::Schedule;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use store::{
    StoreError,
    port::{
        Arrival, Fence, Leases, MailStore, MailboxRow, Pending, RecipientState, Settle, Shard,
        Spool, State,
    },
};
use supervision::{Context, Seat, in_hand};
use world::{Clock, Random};

use super::{
    metrics::{DELIVERED, WRITES_FAILED},
    watchers::Watchers,
};
use crate::contract::{
    AppendRequest, BounceMsg, CopyRequest, ExpungeRequest, FlagRequest, Flagged, Landed,
    MailboxFailure, MailboxMsg, MailboxReport, MessageInHand, Watcher,
};

/// The mailboxes of one account.
#[derive(Debug)]
pub struct Mailbox;

/// What a mailbox actor needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct MailboxArgs {
    /// Who tells the sender of what cannot be delivered.
    pub bounce: Seat<BounceMsg>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Whose mailboxes they are, and their place in the family.
    pub context: Context<AccountId>,
    /// Who owns which shard.
    pub leases: Arc<dyn Leases>,
    /// The mailboxes.
    pub mail: Arc<dyn MailStore>,
    /// Chance, to spread retries.
    pub random: Arc<dyn Random>,
    /// When what finds no room is tried again, and for how long.
    pub schedule: Schedule,
    /// Where deliveries come from.
    pub spool: Arc<dyn Spool>,
}

/// What a mailbox actor has in memory: nothing that its successor could not do without.
pub struct MailboxState {
    args: MailboxArgs,
    account: AccountId,
    fence: Fence,
    watchers: Watchers,
    inbox: Option<MailboxId>,
    /// Whether it has asked to be passivated.
    leaving: bool,
    writes_pending: usize,
    changed: u64,
}

impl Actor for Mailbox {
    type Msg = MailboxMsg;
    type State = MailboxState;
    type Arguments = MailboxArgs;

    async fn pre_start(
        &self,
        _: ActorRef<MailboxMsg>,
        args: MailboxArgs,
    ) -> Result<MailboxState, ActorProcessingErr> {
        let fence = args.leases.fence(Shard::of_account(*args.context.key()))?;
        Ok(MailboxState {
            fence,
            account: *args.context.key(),
            watchers: args.context.left().unwrap_or_default(),
            args,
            inbox: None,
            leaving: false,
            writes_pending: 0,
            changed: 0,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<MailboxMsg>,
        msg: MailboxMsg,
        state: &mut MailboxState,
    ) -> Result<(), ActorProcessingErr> {
        let Some(msg) = state.hear(msg) else {
            return Ok(());
        };
        match msg {
            MailboxMsg::Append(request, reply) => state.append(request, reply, myself),
            MailboxMsg::Arrived(landed) => state.tell(landed),
            MailboxMsg::Copy(request, reply) => state.copy(request, reply, myself),
            MailboxMsg::Create(new, reply) => {
                let write = state.args.mail.create(state.fence, state.account, new);
                state.land(write, reply, myself, |_| Landed::NOTHING);
            }
            MailboxMsg::Delete(id, reply) => {
                let write = state.args.mail.delete(state.fence, state.account, id);
                // Whoever has it selected must learn that it is gone.
                state.land(write, reply, myself, move |()| {
                    Landed::at(id, ModSeq(u64::MAX))
                });
            }
            MailboxMsg::Deliver {
                id,
                recipient,
                detail,
                arrived,
            } => {
                in_hand(MessageInHand(id));
                let arrival = Arrival {
                    id,
                    recipient,
                    internal_date: arrived,
                    flags: Flags::NONE,
                    keywords: Vec::new(),
                };
                state.deliver(arrival, detail.as_deref(), myself);
            }
            MailboxMsg::Expunge(request, reply) => state.expunge(request, reply, myself),
            MailboxMsg::Flag(request, reply) => state.flag(request, reply, myself),
            MailboxMsg::Full { id, recipient } => {
                in_hand(MessageInHand(id));
                if let Err(error) = state.put_off(id, recipient) {
                    tracing::warn!(%id, recipient, %error, "cannot put off a delivery");
                }
            }
            MailboxMsg::Idle => state.idle(),
            MailboxMsg::Inspect(reply) => answer(reply, state.report()),
            MailboxMsg::Landed(landed) => state.landed(landed),
            MailboxMsg::Lock(watcher, reply) => answer(reply, state.watchers.lock(watcher)),
            MailboxMsg::Missed(landed) => state.tell(landed),
            MailboxMsg::Recent(id, reply) => {
                let write = state.args.mail.take_recent(state.fence, state.account, id);
                state.land(write, reply, myself, |_| Landed::NOTHING);
            }
            MailboxMsg::Rename(id, to, reply) => {
                let write = state.args.mail.rename(state.fence, state.account, id, to);
                state.land(write, reply, myself, move |()| {
                    Landed::at(id, ModSeq(u64::MAX))
                });
            }
            MailboxMsg::Subscribe(name, on, reply) => {
                let write = state
                    .args
                    .mail
                    .subscribe(state.fence, state.account, name, on);
                state.land(write, reply, myself, |()| Landed::NOTHING);
            }
            MailboxMsg::Unlock(session) => state.watchers.unlock(session),
            MailboxMsg::Unwatch(session) => state.watchers.unwatch(session),
            MailboxMsg::Watch(id, watcher, reply) => answer(reply, state.watch(id, watcher)),
        }
        Ok(())
    }
}

impl MailboxState {
    /// What is to be heard here: a mailbox that is leaving would forget a watch or a lock at once.
    fn hear(&self, msg: MailboxMsg) -> Option<MailboxMsg> {
        match msg {
            MailboxMsg::Landed(_) => Some(msg),
            msg if self.leaving => self.args.context.hand_on(msg).err(),
            msg => Some(msg),
        }
    }

    fn append(
        &mut self,
        request: AppendRequest,
        reply: RpcReplyPort<Result<Vec<store::port::Appended>, MailboxFailure>>,
        myself: ActorRef<MailboxMsg>,
    ) {
        let AppendRequest {
            mailbox,
            next,
            messages,
        } = request;
        let (mail, account) = (&self.args.mail, self.account);
        let write = match next {
            Some(next) => mail.append_next(self.fence, account, mailbox, next, messages),
            None => mail.append(self.fence, account, mailbox, messages),
        };
        self.land(write, reply, myself, move |appended| {
            appended
                .last()
                .map_or(Landed::NOTHING, |last| Landed::at(mailbox, last.modseq))
        });
    }

    fn copy(
        &mut self,
        request: CopyRequest,
        reply: RpcReplyPort<Result<store::port::Copied, MailboxFailure>>,
        myself: ActorRef<MailboxMsg>,
    ) {
        let CopyRequest {
            from,
            uids,
            to,
            moving,
        } = request;
        let write = self
            .args
            .mail
            .copy(self.fence, self.account, from, uids, to, moving);
        self.land(write, reply, myself, move |copied| Landed {
            changed: Some((to, copied.to_modseq)),
            also: moving.then_some((from, copied.from_modseq)),
        });
    }

    fn expunge(
        &mut self,
        request: ExpungeRequest,
        reply: RpcReplyPort<Result<Vec<mail::Uid>, MailboxFailure>>,
        myself: ActorRef<MailboxMsg>,
    ) {
        let ExpungeRequest {
            mailbox,
            uids,
            deleted_only,
        } = request;
        let (mail, account) = (self.args.mail.clone(), self.account);
        let write = mail.expunge(self.fence, account, mailbox, uids, deleted_only);
        self.land(write, reply, myself, move |expunged| {
            if expunged.is_empty() {
                Landed::NOTHING
            } else {
                Landed::at(mailbox, NEWEST)
            }
        });
    }

    fn flag(
        &mut self,
        request: FlagRequest,
        reply: RpcReplyPort<Result<Flagged, MailboxFailure>>,
        myself: ActorRef<MailboxMsg>,
    ) {
        let FlagRequest {
            mailbox,
            uids,
            change,
            unchanged_since,
        } = request;
        let (mail, account) = (self.args.mail.clone(), self.account);
        let write = mail.flag(self.fence, account, mailbox, uids, change, unchanged_since);
        self.land(write, reply, myself, move |(rows, _)| {
            let newest = rows.iter().map(|row| row.modseq).max();
            newest.map_or(Landed::NOTHING, |modseq| Landed::at(mailbox, modseq))
        });
    }

    /// Begins to put a spooled message into the mailbox that its detail names, or the INBOX.
    fn deliver(&mut self, arrival: Arrival, detail: Option<&str>, myself: ActorRef<MailboxMsg>) {
        let mailbox = match self.folder(detail) {
            Ok(Some(mailbox)) => mailbox,
            Ok(None) => return self.refuse(&arrival),
            Err(error) => return trouble(&arrival, &error),
        };
        let write = self
            .args
            .mail
            .deliver(self.fence, self.account, mailbox, arrival.clone());
        let context = self.args.context.clone();
        self.writes_pending += 1;
        write.then(move |result| {
            let landed = match result {
                Ok(Some(appended)) => {
                    DELIVERED.count(&["delivered"]);
                    Landed::at(mailbox, appended.modseq)
                }
                Ok(None) => {
                    DELIVERED.count(&["repeated"]);
                    Landed::NOTHING
                }
                Err(StoreError::OverQuota { .. }) => {
                    DELIVERED.count(&["over_quota"]);
                    let (id, recipient) = (arrival.id, arrival.recipient);
                    // Whoever is gone leaves it open: the router brings it again.
                    let _ = myself.cast(MailboxMsg::Full { id, recipient });
                    Landed::NOTHING
                }
                Err(error) => {
                    trouble(&arrival, &error);
                    Landed::NOTHING
                }
            };
            say(&myself, &context, landed);
        });
    }

    /// Where a message goes: `None` when the account is gone.
    fn folder(&mut self, detail: Option<&str>) -> Result<Option<MailboxId>, StoreError> {
        let (mail, account) = (&self.args.mail, self.account);
        if let Some(detail) = detail
            && let Some(row) = mail.mailbox_named(account, detail)?
        {
            return Ok(Some(row.id));
        }
        if self.inbox.is_none() {
            self.inbox = mail.mailbox_named(account, "INBOX")?.map(|row| row.id);
        }
        Ok(self.inbox)
    }

    /// The account was removed after the message had been accepted for it: its sender is told.
    fn refuse(&self, arrival: &Arrival) {
        DELIVERED.count(&["refused"]);
        let reply = Reply::new(550, Enhanced(5, 2, 1), "the mailbox has been removed");
        let (id, bounce) = (arrival.id, self.args.bounce.clone());
        self.args
            .spool
            .settle(
                self.fence,
                id,
                vec![(arrival.recipient, Settle::Fail(reply))],
            )
            .then(move |result| match result {
                // A vacant seat does no harm: the bounce actor looks at the spool as it starts.
                Ok(()) => drop(bounce.cast(BounceMsg::Return(id))),
                Err(error) => tracing::warn!(%id, %error, "cannot record a failed delivery"),
            });
    }

    /// There was no room: the recipient waits until it is due again, or goes back when it has
    /// waited too long, as if another system had said so.
    fn put_off(&self, id: MessageId, recipient: u32) -> Result<(), StoreError> {
        let Some(message) = self.args.spool.get(id)? else {
            return Ok(());
        };
        let state = message.states.get(recipient as usize);
        let now = self.args.clock.now();
        // Said twice it is put off once.
        let is_news = |state: &&RecipientState| {
            state.state == State::Open && (state.attempts == 0 || state.due <= now)
        };
        let Some(state) = state.filter(is_news) else {
            return Ok(());
        };
        let (schedule, chance) = (&self.args.schedule, self.args.random.unit());
        let due = schedule.next(state.attempts + 1, message.arrived, now, chance);
        let hint = match due {
            None => Some(BounceMsg::Return(id)),
            Some(_) if schedule.is_late(message.arrived, now) && !state.delay_told => {
                Some(BounceMsg::Late(id))
            }
            Some(_) => None,
        };
        let what = match due {
            Some(due) => Settle::Again {
                due,
                reply: Reply::new(452, Enhanced(4, 2, 2), "the mailbox is full"),
            },
            None => Settle::Fail(Reply::new(552, Enhanced(5, 2, 2), "the mailbox is full")),
        };
        let bounce = self.args.bounce.clone();
        let write = self
            .args
            .spool
            .settle(self.fence, id, vec![(recipient, what)]);
        write.then(move |result| match (result, hint) {
            // A vacant seat does no harm: the bounce actor looks at the spool as it starts.
            (Ok(()), Some(hint)) => drop(bounce.cast(hint)),
            (Ok(()), None) => {}
            (Err(error), _) => tracing::warn!(%id, %error, "cannot put off a delivery"),
        });
        Ok(())
    }

    fn watch(&mut self, id: MailboxId, watcher: Watcher) -> Result<MailboxRow, MailboxFailure> {
        let row = self.args.mail.mailbox(self.account, id)?;
        let row = row.ok_or_else(|| StoreError::Missing {
            what: format!("mailbox {id}"),
        })?;
        self.watchers.watch(id, watcher);
        Ok(row)
    }

    fn landed(&mut self, landed: Landed) {
        self.writes_pending -= 1;
        self.changed += u64::from(landed.changed.is_some());
        self.tell(landed);
    }

    fn tell(&mut self, landed: Landed) {
        for (mailbox, modseq) in [landed.changed, landed.also].into_iter().flatten() {
            self.watchers.tell(mailbox, modseq);
        }
    }

    /// Answers `reply` once the write is durable, then says [`MailboxMsg::Landed`].
    ///
    /// Nothing waits here: the next write joins the same group on its way to the disk.
    fn land<T: Send + 'static>(
        &mut self,
        write: Pending<T>,
        reply: RpcReplyPort<Result<T, MailboxFailure>>,
        myself: ActorRef<MailboxMsg>,
        what: impl FnOnce(&T) -> Landed + Send + 'static,
    ) {
        let context = self.args.context.clone();
        self.writes_pending += 1;
        write.then(move |result| {
            let landed = match &result {
                Ok(done) => what(done),
                // Who looks again has not been failed.
                Err(StoreError::Changed { .. }) => Landed::NOTHING,
                Err(_) => {
                    WRITES_FAILED.count(&[]);
                    Landed::NOTHING
                }
            };
            answer(reply, result.map_err(MailboxFailure::from));
            say(&myself, &context, landed);
        });
    }

    /// Nobody has said anything for a while.
    fn idle(&mut self) {
        self.watchers.forget_gone();
        if !self.may_go() {
            return;
        }
        self.leaving = true; // and hears no more, but for what it hands on
        match self.watchers.len() {
            0 => self.args.context.passivate(),
            _ => {
                let watchers = std::mem::take(&mut self.watchers);
                self.args.context.passivate_leaving(watchers);
            }
        }
    }

    /// Whether its end would be noticed by nobody.
    const fn may_go(&self) -> bool {
        !self.leaving && !self.watchers.is_locked() && self.writes_pending == 0
    }

    fn report(&self) -> MailboxReport {
        MailboxReport {
            account: self.account.0,
            watchers: self.watchers.len(),
            locked: self.watchers.is_locked(),
            writes_pending: self.writes_pending,
            changed: self.changed,
        }
    }
}

/// A write has ended: says so to the mailbox that began it or, if it has crashed meanwhile, to the
/// next one. Who watches that one may have read the store before this was in it.
pub(super) fn say(myself: &ActorRef<MailboxMsg>, context: &Context<AccountId>, landed: Landed) {
    if myself.cast(MailboxMsg::Landed(landed)).is_err() {
        let _ = context.hand_on(MailboxMsg::Missed(landed)); // nobody there: nobody watches
    }
}

/// Whoever asked may have left.
fn answer<T: Send + 'static>(reply: RpcReplyPort<T>, value: T) {
    let _ = reply.send(value);
}

/// The recipient stays open in the spool; the router's next look brings it again.
fn trouble(arrival: &Arrival, error: &StoreError) {
    DELIVERED.count(&["failed"]);
    tracing::warn!(id = %arrival.id, recipient = arrival.recipient, %error, "cannot deliver now");
}

/// Stands for "the newest there is" in a hint: the reader asks the store for the number.
const NEWEST: ModSeq = ModSeq(u64::MAX);
