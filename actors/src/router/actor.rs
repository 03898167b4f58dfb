//! The router, as an actor: it tells mailboxes and domain queues what has come for them.
//!
//! # Owns
//! Nothing that counts: where a message goes stands in its envelope, what is open stands in the spool.
//! Which messages wait for room, and need not be read before they are due, it finds again.
//!
//! # Hears
//! [`RouterMsg`]: `Accepted` and `Route` from sessions, `Route` from the bounce and poison actors,
//! `Look` from its own clock.
//!
//! # Says
//! [`MailboxMsg::Deliver`] to mailboxes, [`QueueMsg::Enqueue`] to domain queues,
//! [`BounceMsg::Return`] to the bounce actor. All of them are hints.
//!
//! # Supervised by
//! The trunk, `Permanent`, after everybody whom it tells.
//!
//! # When it crashes
//! Nothing is lost: its successor looks at the spool and tells everybody again. Mail that was
//! being routed is late by the time of a restart.
//!
//! # Metrics
//! `heronry_router_messages_total`, `heronry_router_found_total`.

use std::{sync::Arc, time::Duration};

use mail::{AccountId, Domain, MessageId, Target, Time};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use store::{StoreError, port::Spool};
use supervision::{Family, Seat, in_hand};
use world::Clock;

use super::{
    core::{Hint, Resting, first_hints, hints, rests_until},
    metrics::{FOUND, ROUTED},
};
use crate::contract::{BounceMsg, MailboxMsg, MessageInHand, QueueMsg, RouterMsg, RouterReport};

/// The router.
#[derive(Debug)]
pub struct Router;

/// What a router needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct RouterArgs {
    /// Who tells senders of failures.
    pub bounce: Seat<BounceMsg>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where local mail goes.
    pub mailboxes: Family<AccountId, MailboxMsg>,
    /// Where remote mail goes.
    pub queues: Family<Domain, QueueMsg>,
    /// Where mail comes from.
    pub spool: Arc<dyn Spool>,
}

/// What a router has in memory.
pub struct RouterState {
    args: RouterArgs,
    routed: u64,
    found: u64,
    look: Look,
    resting: Resting,
}

/// How far a look at the spool has come. It goes page by page, so that hints are not kept
/// waiting.
#[derive(Debug, Default)]
struct Look {
    local_after: Option<MessageId>,
    local_done: bool,
    domains_after: Option<Domain>,
    domains_done: bool,
}

impl Actor for Router {
    type Msg = RouterMsg;
    type State = RouterState;
    type Arguments = RouterArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<RouterMsg>,
        args: RouterArgs,
    ) -> Result<RouterState, ActorProcessingErr> {
        myself.cast(RouterMsg::Look)?;
        Ok(RouterState {
            args,
            routed: 0,
            found: 0,
            look: Look::default(),
            resting: Resting::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<RouterMsg>,
        msg: RouterMsg,
        state: &mut RouterState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            RouterMsg::Accepted {
                id,
                arrived,
                targets,
            } => state.accepted(id, arrived, &targets),
            RouterMsg::Inspect(reply) => {
                let report = RouterReport {
                    routed: state.routed,
                    found: state.found,
                };
                let _ = reply.send(report); // whoever asked may have left
            }
            RouterMsg::Look => match state.look() {
                Ok(true) => myself.cast(RouterMsg::Look)?,
                Ok(false) => drop(myself.send_after(LOOK_PAUSE, || RouterMsg::Look)),
                Err(error) => {
                    tracing::error!(%error, "cannot look at the spool");
                    drop(myself.send_after(LOOK_PAUSE, || RouterMsg::Look));
                }
            },
            RouterMsg::Route(id) => state.route(id),
        }
        Ok(())
    }
}

impl RouterState {
    fn accepted(&mut self, id: MessageId, arrived: Time, targets: &[Target]) {
        in_hand(MessageInHand(id));
        self.routed += 1;
        ROUTED.count(&[]);
        self.tell(id, arrived, first_hints(targets, arrived));
    }

    fn route(&mut self, id: MessageId) {
        in_hand(MessageInHand(id));
        self.resting.forget(id);
        match self.args.spool.get(id) {
            Ok(Some(message)) => {
                self.routed += 1;
                ROUTED.count(&[]);
                let now = self.args.clock.now();
                self.tell(id, message.arrived, hints(&message, now));
                if let Some(due) = rests_until(&message, now) {
                    self.resting.note(id, due);
                }
            }
            Ok(None) => {} // closed in the meantime
            // Set aside by the store, which has counted and named it; the rest goes on.
            Err(error) => tracing::error!(%id, %error, "cannot route"),
        }
    }

    /// A hint that reaches nobody is lost: the next look tells it again.
    fn tell(&self, id: MessageId, arrived: Time, hints: impl Iterator<Item = Hint>) {
        for hint in hints {
            match hint {
                Hint::Bounce => drop(self.args.bounce.cast(BounceMsg::Return(id))),
                Hint::Mailbox {
                    account,
                    recipient,
                    detail,
                } => {
                    let deliver = MailboxMsg::Deliver {
                        id,
                        recipient,
                        detail,
                        arrived,
                    };
                    drop(self.args.mailboxes.cast(&account, deliver));
                }
                Hint::Queue {
                    domain,
                    recipient,
                    due,
                    attempts,
                } => {
                    let enqueue = QueueMsg::Enqueue {
                        id,
                        recipient,
                        arrived,
                        due,
                        attempts,
                    };
                    drop(self.args.queues.cast(&domain, enqueue));
                }
            }
        }
    }

    /// Looks at one page of what is open; says whether there is more to look at now.
    ///
    /// Local mail is told again message by message; a domain's queue is only told to look, because
    /// it reads its own part of the spool.
    fn look(&mut self) -> Result<bool, StoreError> {
        if !self.look.local_done {
            let page = self.args.spool.open_local(self.look.local_after, PAGE)?;
            self.look.local_done = page.len() < PAGE;
            self.look.local_after = page.last().copied();
            let now = self.args.clock.now();
            for &id in &page {
                if self.resting.rests(id, now) {
                    continue; // for want of room; nobody needs to be told of it yet
                }
                self.found += 1;
                FOUND.count(&[]);
                self.route(id);
            }
        }
        if !self.look.domains_done {
            let after = self.look.domains_after.as_ref();
            let domains = self.args.spool.domains(after, PAGE)?;
            for (domain, _) in &domains {
                drop(self.args.queues.cast(domain, QueueMsg::Look));
            }
            self.look.domains_done = domains.len() < PAGE;
            self.look.domains_after = domains.into_iter().next_back().map(|(domain, _)| domain);
        }
        if self.look.local_done && self.look.domains_done {
            self.look = Look::default();
            self.resting.turn();
            return Ok(false);
        }
        Ok(true)
    }
}

/// How many messages or domains a look reads before it lets hints through.
const PAGE: usize = 256;

/// How long after a look the next one begins. Hints get lost only in crashes, and a restart
/// looks at once; this is the net below.
const LOOK_PAUSE: Duration = Duration::from_secs(60);
