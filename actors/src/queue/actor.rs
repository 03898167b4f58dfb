//! The queue of one outbound domain, as an actor.
//!
//! # Owns
//! Which recipients wait for this domain and which are being tried. It decides nothing itself:
//! the decisions are [`DomainQueue`](super::DomainQueue)'s.
//!
//! # Hears
//! [`QueueMsg`]: `Enqueue` and `Look` from the router, `More`, `Settle`, `Leave` and
//! `Gone` from its deliveries, `Recorded` from the store by itself, `Wake` from its clock, `Flush` from operators.
//!
//! # Says
//! [`DeliveryMsg::Attempt`] to new deliveries, the next message to those that ask for more,
//! [`BounceMsg::Return`] and [`BounceMsg::Late`] to the
//! bounce actor.
//!
//! # Supervised by
//! The queue family, `Transient`: passivated when the domain has nothing left.
//!
//! # When it crashes
//! Nothing is lost: the spool holds every recipient with its due time, and the next incarnation
//! reads them. Deliveries of the old one are heard to their end, which comes soon: nobody hands them
//! anything more. What they have told it and it has not recorded, they tell the next one. Until they
//! are gone nothing is tried beside them, and then the spool is read again, so that nobody gets a
//! mail twice but over two crashes at once (RFC 5321 §6.1).
//!
//! # Metrics
//! `heronry_queue_messages`, `heronry_queue_settled_total`, `heronry_queue_attempts_total`.

use std::{collections::HashMap, sync::Arc};

use mail::{Domain, MessageId, Outcome, Time};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use store::port::{DueRow, Fence, Leases, Settle, Shard, Spool};
use supervision::{Alarm, Context, Family, Seat};
use world::{Clock, Random};

use super::{
    Config,
    core::{DomainQueue, Effect},
    metrics::{ATTEMPTS, MESSAGES, SETTLED},
};
use crate::contract::{Attempt, BounceMsg, DeliveryMsg, Load, QueueMsg, QueueReport};

/// The queue of one outbound domain.
#[derive(Debug)]
pub struct Queue;

/// What a queue needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct QueueArgs {
    /// Who tells senders of failures and delays.
    pub bounce: Seat<BounceMsg>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What the operator has set.
    pub config: Config,
    /// Its domain, and its place in the family.
    pub context: Context<Domain>,
    /// Who carries: a delivery per attempt.
    pub deliveries: Family<(Domain, u64), DeliveryMsg>,
    /// Who owns which shard.
    pub leases: Arc<dyn Leases>,
    /// Chance, to spread retries.
    pub random: Arc<dyn Random>,
    /// Where the messages are.
    pub spool: Arc<dyn Spool>,
}

/// What a queue has in memory.
pub struct QueueState {
    args: QueueArgs,
    fence: Fence,
    core: DomainQueue,
    /// Deliveries that have asked for more, and where they wait for it.
    asking: HashMap<u64, RpcReplyPort<Option<Load>>>,
    /// The one alarm, and when it rings. Dropping it silences it.
    alarm: Option<(Time, Alarm)>,
    /// Whether it has told itself to look at what was enqueued.
    nudged: bool,
    /// Where to say that what is recorded next is recorded.
    teller: Option<RpcReplyPort<()>>,
    /// What this queue has added to the gauge.
    counted: (usize, usize),
}

impl Actor for Queue {
    type Msg = QueueMsg;
    type State = QueueState;
    type Arguments = QueueArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<QueueMsg>,
        args: QueueArgs,
    ) -> Result<QueueState, ActorProcessingErr> {
        let fence = args.leases.fence(Shard::of_domain(args.context.key()))?;
        // Milliseconds leave room for a million attempts a second between two incarnations.
        let attempt_last = args.clock.now().0 << 10;
        let mut core = DomainQueue::new(args.config.limits(), args.config.schedule(), attempt_last);
        let own = args.context.key();
        let left = args.deliveries.keys_if(|(domain, _)| domain == own);
        core.inherit(
            left.into_iter().map(|(_, attempt)| attempt),
            args.clock.now(),
        );
        myself.cast(QueueMsg::Wake)?;
        Ok(QueueState {
            args,
            fence,
            core,
            asking: HashMap::new(),
            alarm: None,
            nudged: false,
            teller: None,
            counted: (0, 0),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<QueueMsg>,
        msg: QueueMsg,
        state: &mut QueueState,
    ) -> Result<(), ActorProcessingErr> {
        let now = state.args.clock.now();
        let mut effects = Vec::new();
        state.core.crowd(state.args.deliveries.is_crowded());
        match msg {
            QueueMsg::Enqueue {
                id,
                recipient,
                arrived,
                due,
                attempts,
            } => {
                let row = DueRow {
                    due,
                    id,
                    recipient,
                    attempts,
                    arrived,
                };
                state.core.enqueue(row);
                // Behind those of the same message that are in the inbox already.
                if !std::mem::replace(&mut state.nudged, true) {
                    let _ = myself.cast(QueueMsg::Wake); // who is drained tries nothing more
                }
            }
            QueueMsg::Flush(only) => state.core.flush(only, now, &mut effects),
            QueueMsg::Gone {
                attempt,
                unreachable,
            } => {
                state.asking.remove(&attempt);
                state.core.gone(attempt, unreachable, now, &mut effects);
            }
            QueueMsg::Idle if state.core.is_empty() => state.args.context.passivate(),
            QueueMsg::Idle => {}
            QueueMsg::Inspect(reply) => {
                let _ = reply.send(state.report(now)); // whoever asked may have left
            }
            QueueMsg::Leave(attempt) => state.core.leave(attempt, now, &mut effects),
            QueueMsg::Look => state.core.look(now, &mut effects),
            QueueMsg::More {
                attempt,
                may_wait,
                reply,
            } => {
                state.asking.insert(attempt, reply);
                state.core.more(attempt, may_wait, now, &mut effects);
            }
            QueueMsg::Recorded {
                id,
                recipients,
                stored,
            } => {
                state
                    .core
                    .recorded(id, &recipients, stored, now, &mut effects);
            }
            QueueMsg::Settle {
                attempt,
                id,
                outcomes,
                recorded,
            } => {
                let labels: Vec<_> = outcomes.iter().map(|(_, outcome)| label(outcome)).collect();
                let jitter = state.args.random.unit();
                state
                    .core
                    .settle(attempt, id, outcomes, now, jitter, &mut effects);
                // What was heard before is not counted again.
                if matches!(&effects[..], [Effect::Record { id: of, .. }, ..] if *of == id) {
                    labels.iter().for_each(|label| SETTLED.count(&[label]));
                    state.teller = Some(recorded);
                } else {
                    let _ = recorded.send(()); // whoever told us may have left
                }
            }
            QueueMsg::Wake => {
                // It may have rung before its time, if somebody has set the clock back.
                state.alarm = None;
                state.nudged = false;
                state.core.wake(now, &mut effects);
            }
        }
        state.carry_out(effects, now, &myself)?;
        state.count();
        Ok(())
    }
}

impl QueueState {
    fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        now: Time,
        myself: &ActorRef<QueueMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let mut todo = effects;
        while !todo.is_empty() {
            for effect in std::mem::take(&mut todo) {
                match effect {
                    Effect::Attempt {
                        attempt,
                        id,
                        recipients,
                    } => self.attempt(attempt, id, recipients, myself),
                    Effect::Dismiss(attempt) => drop(self.answer(attempt, None)),
                    Effect::Hand {
                        attempt,
                        id,
                        recipients,
                    } => {
                        if !self.answer(attempt, Some((id, recipients))) {
                            self.core.leave(attempt, now, &mut todo);
                        }
                    }
                    // If nobody sits there now, the bounce actor finds it in the spool as it starts.
                    Effect::Late(id) => drop(self.args.bounce.cast(BounceMsg::Late(id))),
                    Effect::Record { id, what } => self.record(id, what, myself.clone()),
                    Effect::Refill(limit) => {
                        let rows = self.args.spool.due(self.args.context.key(), None, limit)?;
                        self.core.refill(rows, limit, now, &mut todo);
                    }
                    Effect::Return(id) => drop(self.args.bounce.cast(BounceMsg::Return(id))),
                    Effect::WakeAt(at) => self.wake_at(at, now, myself),
                }
            }
        }
        Ok(())
    }

    fn attempt(
        &self,
        attempt: u64,
        id: MessageId,
        recipients: Vec<u32>,
        myself: &ActorRef<QueueMsg>,
    ) {
        ATTEMPTS.count(&[]);
        let domain = self.args.context.key().clone();
        let what = Attempt {
            attempt,
            domain: domain.clone(),
            first: (id, recipients),
        };
        let said = self
            .args
            .deliveries
            .cast(&(domain, attempt), DeliveryMsg::Attempt(what.into()));
        if said.is_err() {
            // The deliveries are restarting: what it was to carry waits a little. Or they have ended,
            // and so do we, and what lies in our inbox is heard to its end.
            let _ = myself.cast(QueueMsg::Gone {
                attempt,
                unreachable: None,
            });
        }
    }

    /// Answers a delivery that has asked for more; false if it does not wait for that any more.
    fn answer(&mut self, attempt: u64, more: Option<Load>) -> bool {
        let asking = self.asking.remove(&attempt);
        asking.is_some_and(|reply| reply.send(more).is_ok())
    }

    fn record(&mut self, id: MessageId, what: Vec<(u32, Settle)>, myself: ActorRef<QueueMsg>) {
        let teller = self.teller.take();
        let recipients = what.iter().map(|(recipient, _)| *recipient).collect();
        self.args
            .spool
            .settle(self.fence, id, what)
            .then(move |result| {
                if let Err(error) = &result {
                    tracing::warn!(%id, %error, "cannot record how an attempt ended");
                }
                if let Some(teller) = teller {
                    let _ = teller.send(()); // if the store has not taken it, we tell it again
                }
                let recorded = QueueMsg::Recorded {
                    id,
                    recipients,
                    stored: result.is_ok(),
                };
                let _ = myself.cast(recorded); // the next incarnation reads the spool
            });
    }

    /// One alarm at a time: the earlier one stands.
    fn wake_at(&mut self, at: Time, now: Time, myself: &ActorRef<QueueMsg>) {
        if self.alarm.as_ref().is_some_and(|(set, _)| *set <= at) {
            return;
        }
        let alarm = supervision::alarm(at.since(now), myself, QueueMsg::Wake);
        self.alarm = Some((at, alarm));
    }

    fn count(&mut self) {
        let (waiting, in_flight, _) = self.core.counts();
        MESSAGES.shift(waiting as f64 - self.counted.0 as f64, &["waiting"]);
        MESSAGES.shift(in_flight as f64 - self.counted.1 as f64, &["in_flight"]);
        self.counted = (waiting, in_flight);
    }

    fn report(&self, now: Time) -> QueueReport {
        let (waiting, in_flight, deliveries) = self.core.counts();
        QueueReport {
            domain: self.args.context.key().clone(),
            waiting,
            in_flight,
            deliveries,
            idle: self.core.idle(),
            next_due: self.core.next_due(),
            last: self.core.last().map(str::to_owned),
            held: self.core.held(now),
        }
    }
}

/// However it ends, the gauge must not keep what a dead queue had counted.
impl Drop for QueueState {
    fn drop(&mut self) {
        MESSAGES.shift(-(self.counted.0 as f64), &["waiting"]);
        MESSAGES.shift(-(self.counted.1 as f64), &["in_flight"]);
    }
}

const fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Defer(_) => "defer",
        Outcome::Deliver(_) => "deliver",
        Outcome::Fail(_) => "fail",
    }
}
