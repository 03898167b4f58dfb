//! A delivery, as an actor: one connection to another system, and what it carries.
//!
//! # Owns
//! The connection, and the message that is on it. Which messages there are, its queue decides: with
//! a connection that stands it asks for the next one, and waits a little if there is none.
//!
//! # Hears
//! [`DeliveryMsg`]: `Attempt` from a domain queue, `Step` from itself.
//!
//! # Says
//! [`ResolverMsg`](crate::contract::ResolverMsg) to the resolver; [`QueueMsg::Settle`],
//! [`QueueMsg::More`], [`QueueMsg::Leave`] and [`QueueMsg::Gone`] to the domain's queue. To the store,
//! as it ends, what the queue was told and has not recorded.
//!
//! # Supervised by
//! The delivery family, `Temporary`: whoever crashes is not started again; the family tells its
//! queue that it is gone.
//!
//! # When it crashes
//! Its connection is closed. What it carried waits in the queue and is tried again: at worst the
//! recipients of one message get it twice (RFC 5321 §6.1). When its queue crashes it tells the next
//! incarnation what the one before may not have recorded, and does not end before that is known. When
//! it is to stop, or has waited long enough, it records that itself: to do so twice changes nothing.
//!
//! # Metrics
//! `heronry_delivery_connections_total`, `heronry_delivery_left_total`,
//! `heronry_delivery_messages_total`, `heronry_delivery_reused_total`,
//! `heronry_delivery_unchunked_total`.

use std::{sync::Arc, time::Duration};

use mail::{Domain, Enhanced, MessageId, Outcome, Reply};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use smtp::client::{Report, Settled, Stage, Step};
use store::port::{Leases, Shard, Spool};
use supervision::{Family, Gate, Seat, in_hand, waits};
use tokio::sync::oneshot;
use world::{
    Random,
    outbound::{Dial, OutboundError},
    tls::{ClientTls, Trust},
};

use super::{
    cargo::{Again, Cargo, said_by},
    config::{Config, StaticRoute},
    line::{Asked, Line, lost},
    metrics::{CONNECTIONS, LEFT, MESSAGES, REUSED},
    told::Told,
    unchunked::UnchunkedHosts,
    way::{Guide, Stop, Way, blame},
};
use crate::contract::{Attempt, DeliveryMsg, DeliveryReport, MessageInHand, QueueMsg, ResolverMsg};

/// A delivery.
#[derive(Debug)]
pub struct Delivery;

/// What a delivery needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct DeliveryArgs {
    /// What the operator has set.
    pub config: Config,
    /// The way out of this machine.
    pub dial: Arc<dyn Dial>,
    /// Who is on the way to another system is inside. While the house closes, nobody is let in, and
    /// whoever is inside takes on nothing more.
    pub gate: Gate,
    /// Whether what the operator has set is still as it was when this was made: a connection that
    /// was made under other settings carries nothing more.
    pub is_current: Arc<dyn Fn() -> bool + Send + Sync>,
    /// The name by which we introduce ourselves, and by which we know ourselves among a domain's
    /// hosts.
    pub hostname: Domain,
    /// Who owns which shard.
    pub leases: Arc<dyn Leases>,
    /// Whose messages it carries.
    pub queues: Family<Domain, QueueMsg>,
    /// Chance, for a fair choice among equal hosts.
    pub random: Arc<dyn Random>,
    /// Who knows where a domain's mail goes.
    pub resolver: Seat<ResolverMsg>,
    /// Where the operator says it goes.
    pub routes: Vec<StaticRoute>,
    /// Where the messages are.
    pub spool: Arc<dyn Spool>,
    /// Encryption where it is offered.
    pub tls: ClientTls,
    /// Who offers chunks and gets none.
    pub unchunked: UnchunkedHosts,
}

/// What a delivery has in memory.
pub struct DeliveryState {
    args: DeliveryArgs,
    guide: Guide,
    attempt: Option<Arc<Attempt>>,
    cargo: Option<Cargo>,
    way: Way,
    line: Option<Line>,
    /// Where the queue answers what is next.
    asked: Option<Asked>,
    /// How attempts ended that the queue has not recorded yet.
    told: Told,
    /// Whether it is about to end, and waits only for that to be recorded.
    is_over: bool,
    /// How often it looks yet whether it is.
    looks_left: u32,
    /// Why the last host was of no use.
    last: Option<Outcome>,
    /// Whether any host has let us begin.
    reached: bool,
    carried: u64,
}

/// What the delivery does after a step.
enum Next {
    End,
    Step,
}

impl Actor for Delivery {
    type Msg = DeliveryMsg;
    type State = DeliveryState;
    type Arguments = DeliveryArgs;

    async fn pre_start(
        &self,
        _: ActorRef<DeliveryMsg>,
        args: DeliveryArgs,
    ) -> Result<DeliveryState, ActorProcessingErr> {
        let guide = Guide {
            config: args.config.clone(),
            own: vec![args.hostname.clone()],
            random: args.random.clone(),
            resolver: args.resolver.clone(),
            routes: args.routes.clone(),
        };
        Ok(DeliveryState {
            told: Told::to(args.queues.clone()),
            args,
            guide,
            attempt: None,
            cargo: None,
            way: Way::default(),
            line: None,
            asked: None,
            is_over: false,
            looks_left: CONFIRM_LOOKS,
            last: None,
            reached: false,
            carried: 0,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<DeliveryMsg>,
        msg: DeliveryMsg,
        state: &mut DeliveryState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(cargo) = &state.cargo {
            in_hand(MessageInHand(cargo.id));
        }
        let next = match msg {
            DeliveryMsg::Attempt(attempt) => state.begin(attempt).await,
            DeliveryMsg::Inspect(reply) => {
                let _ = reply.send(state.report()); // whoever asked may have left
                return Ok(());
            }
            DeliveryMsg::Step => state.step().await,
        };
        match next {
            Next::End if state.may_end() => {
                state.end();
                myself.stop(None);
            }
            Next::End => {
                state.is_over = true;
                myself.cast(DeliveryMsg::Step)?;
            }
            Next::Step => myself.cast(DeliveryMsg::Step)?,
        }
        Ok(())
    }

    /// When all end together, its queue ends after it, and may hang then: nobody would be left who
    /// knows what the peer has taken.
    async fn post_stop(
        &self,
        _: ActorRef<DeliveryMsg>,
        state: &mut DeliveryState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(attempt) = &state.attempt {
            let fence = state.args.leases.fence(Shard::of_domain(&attempt.domain))?;
            state.told.record(&*state.args.spool, fence);
        }
        Ok(())
    }
}

impl DeliveryState {
    async fn begin(&mut self, attempt: Arc<Attempt>) -> Next {
        let (id, recipients) = attempt.first.clone();
        let domain = attempt.domain.clone();
        self.attempt = Some(attempt);
        if !self.load(id, &recipients) {
            self.reached = true; // nobody is to blame
            return Next::End;
        }
        match waits(self.guide.way(&domain)).await {
            Ok(way) => {
                self.way = way;
                Next::Step
            }
            Err(outcome) => self.give_up(outcome),
        }
    }

    /// Takes a message on; `false` if nothing of it is left to be carried.
    fn load(&mut self, id: MessageId, recipients: &[u32]) -> bool {
        in_hand(MessageInHand(id));
        let settled = match Cargo::load(&*self.args.spool, id, recipients) {
            Ok(Some(cargo)) => {
                self.cargo = Some(cargo);
                return true;
            }
            Ok(None) => match self.args.spool.get_aside(id) {
                // Closed in the meantime, or failed and not yet told: the store changes neither
                // by this, and the queue forgets it.
                Ok(None) => Outcome::Fail(Reply::new(550, Enhanced(5, 0, 0), "not open any more")),
                // Its recipients are open still: an operator may let it go on.
                Ok(Some(_)) => Outcome::Defer(Reply::new(451, Enhanced(4, 3, 0), "set aside")),
                Err(error) => Outcome::Defer(error.reply()),
            },
            Err(error) => {
                tracing::error!(%id, %error, "cannot read a message that is to be sent");
                Outcome::Defer(error.reply())
            }
        };
        self.settle(
            id,
            recipients
                .iter()
                .map(|&number| (number, settled.clone()))
                .collect(),
        );
        false
    }

    /// One step: a connection, or one answer of the peer and all that follows from it.
    async fn step(&mut self) -> Next {
        if self.is_over {
            self.looks_left -= 1;
            waits(self.told.wait(CONFIRM_PAUSE)).await;
            return Next::End;
        }
        let Some(mut line) = self.line.take() else {
            return self.connect().await;
        };
        match self.asked.take() {
            Some(asked) => self.wait(&mut line, asked).await,
            None => waits(line.hear()).await,
        }
        self.talk(line).await
    }

    async fn connect(&mut self) -> Next {
        let next = self.guide.next(&mut self.way, &mut self.last);
        let Some(stop) = waits(next).await else {
            let nothing = Reply::new(451, Enhanced(4, 4, 4), "no host takes mail for the domain");
            let last = self.last.take().unwrap_or(Outcome::Defer(nothing));
            return self.give_up(last);
        };
        let within = Duration::from_secs(self.args.config.connect_seconds);
        let (dial, source) = (&self.args.dial, self.args.config.source);
        match waits(dial.dial(stop.address, source, within)).await {
            Ok(outbound) => {
                CONNECTIONS.count(&["connected"]);
                let Some(pass) = self.args.gate.enter() else {
                    self.reached = true; // the house closes: nobody is to blame
                    return Next::End;
                };
                let chunking = self.args.config.chunking && !self.args.unchunked.has(stop.address);
                let we = (&self.args.hostname, chunking);
                let line = Line::new(we, stop, outbound, pass);
                self.talk(line).await
            }
            Err(error) => {
                CONNECTIONS.count(&["failed"]);
                let text = format!("cannot connect to {}: {error}", stop.name());
                // RFC 3463 §3.5: no answer from host
                let why = Outcome::Defer(Reply::new(451, Enhanced(4, 4, 1), text));
                blame(&mut self.last, why);
                Next::Step
            }
        }
    }

    /// Carries out what the machine wants until it waits for the peer.
    async fn talk(&mut self, mut line: Line) -> Next {
        loop {
            match line.client.step() {
                Step::Body => self.body(&mut line),
                Step::Close(why) => {
                    waits(line.outbound.close(CLOSE_LIMIT)).await;
                    return self.closed(line.stop, why);
                }
                // The peer has all of it: whoever is to stop must hear what it says to that.
                Step::Read if line.client.stage() == Stage::End => waits(line.hear()).await,
                Step::Read => {
                    self.line = Some(line);
                    return Next::Step;
                }
                Step::Ready => {
                    if !self.ready(&mut line) {
                        self.line = Some(line);
                        return Next::Step;
                    }
                }
                Step::Report(report) => self.settled(&mut line, report),
                Step::Send(octets) => {
                    let limit = line.client.stage().time_limit();
                    if let Err(error) = waits(line.outbound.write(&octets, limit)).await {
                        waits(line.hear_last_words()).await;
                        line.client.lost(lost(&error));
                    }
                }
                Step::StartTls => {
                    if self.start_tls(&mut line).await.is_err() {
                        self.way.again_in_the_clear(line.stop);
                        return Next::Step;
                    }
                }
            }
        }
    }

    /// Begins with what it carries, or takes leave, or asks for more; then `false`: the answer is to
    /// be waited for.
    fn ready(&mut self, line: &mut Line) -> bool {
        self.reached = true;
        if line.is_left {
            line.client.quit();
        } else if let Some(cargo) = &self.cargo {
            line.client.begin(cargo.mail.clone(), cargo.rcpts.clone());
        } else if let Some(why) = self.why_leave(line) {
            self.leave(line, why);
        } else {
            self.asked = self.ask();
            if self.asked.is_none() {
                self.leave(line, "nothing");
            }
            return self.asked.is_none();
        }
        true
    }

    /// Why this connection carries nothing more, if so.
    fn why_leave(&self, line: &Line) -> Option<&'static str> {
        if self.args.gate.limits().1 == 0 {
            Some("closing")
        } else if !(self.args.is_current)() {
            Some("settings")
        } else if line.carried >= self.args.config.messages_per_connection_max.max(1) {
            Some("limit")
        } else {
            None
        }
    }

    /// Asks the queue what is next. A queue that is not there has forgotten us: it gets what is left
    /// from the spool.
    fn ask(&mut self) -> Option<Asked> {
        let attempt = self.attempt.as_ref()?;
        self.told.look(attempt); // a successor of the queue is to know it before it is asked
        let (reply, answer) = oneshot::channel();
        let may_wait = self.args.config.linger_seconds > 0;
        let more = QueueMsg::More {
            attempt: attempt.attempt,
            may_wait,
            reply: reply.into(),
        };
        self.args.queues.cast(&attempt.domain, more).ok()?;
        let limit = if may_wait {
            Duration::from_secs(self.args.config.linger_seconds)
        } else {
            QUEUE_ANSWER
        };
        Some(Asked { answer, limit })
    }

    /// Waits for what is next, with an ear at the connection.
    async fn wait(&mut self, line: &mut Line, asked: Asked) {
        match waits(line.wait(asked, &self.args.gate)).await {
            Ok((id, recipients)) => {
                if let Some(why) = self.why_leave(line) {
                    self.leave(line, why);
                } else if self.load(id, &recipients) {
                    REUSED.count(&[]);
                }
            }
            Err(why) => self.leave(line, why),
        }
    }

    /// Tells the queue before the goodbyes, which take their time: whatever it has handed to us in
    /// the meantime, another one carries. A queue that has not recorded everything hears of the end
    /// alone: if it dies now, its successor is to wait for us and be told.
    fn leave(&mut self, line: &mut Line, why: &'static str) {
        LEFT.count(&[why]);
        if let Some(attempt) = &self.attempt
            && self.told.look(attempt)
        {
            let leave = QueueMsg::Leave(attempt.attempt);
            let _ = self.args.queues.cast(&attempt.domain, leave); // as in `ask`
        }
        line.client.quit();
    }

    fn body(&mut self, line: &mut Line) {
        let Some(cargo) = &mut self.cargo else {
            return line.client.end_body();
        };
        match cargo.piece() {
            Ok(piece) if piece.is_empty() => line.client.end_body(),
            Ok(piece) => line.client.body(piece),
            Err(error) => {
                tracing::error!(id = %cargo.id, %error, "cannot read a message on");
                line.client.give_up(error.reply());
            }
        }
    }

    fn settled(&mut self, line: &mut Line, report: Report) {
        let Some(mut cargo) = self.cargo.take() else {
            return;
        };
        self.carried += 1;
        MESSAGES.count(&[if line.outbound.tls().is_some() {
            "yes"
        } else {
            "no"
        }]);
        let (name, settled) = (line.stop.name(), report.recipients);
        if let Some(why) = report.unchunked {
            self.args.unchunked.note(line.stop.address, &name, why);
        }
        let again = Again::after(&settled, line.carried);
        match again {
            Again::Nobody => {}
            Again::Tired => self.way.again(line.stop.clone()), // of this connection, not of us
            Again::WithoutChunks => self.way.again_without_chunks(line.stop.clone()),
        }
        let outcomes = cargo.hear(settled, &name, (self.way.goes_on(), again));
        line.carried += 1;
        if !outcomes.is_empty() {
            self.settle(cargo.id, outcomes);
        }
        if !cargo.is_done() {
            line.is_left = true;
            self.cargo = Some(cargo);
        }
    }

    /// The connection is closed. What it had not carried goes to the next host.
    fn closed(&mut self, stop: Stop, why: Option<Settled>) -> Next {
        let Some(cargo) = &mut self.cargo else {
            return Next::End;
        };
        cargo.rewind();
        match why {
            // RFC 7435 §3: it offers what it cannot do.
            Some(settled) if settled.stage == Stage::StartTls && !stop.in_the_clear => {
                self.way.again_in_the_clear(stop);
            }
            Some(settled) if settled.stage == Stage::Chunk => {} // it is asked again in other words
            Some(settled) => blame(&mut self.last, said_by(settled, &stop.name())),
            None => {}
        }
        Next::Step
    }

    async fn start_tls(&self, line: &mut Line) -> Result<(), OutboundError> {
        let limit = line.client.stage().time_limit();
        let (tls, host) = (&self.args.tls, line.stop.host.clone());
        let trust = Trust::Opportunistic;
        waits(line.outbound.start_tls(tls, &host, trust, limit)).await?;
        line.received.clear(); // it was not protected (RFC 3207 §4.2)
        line.client.tls_started();
        Ok(())
    }

    fn give_up(&mut self, outcome: Outcome) -> Next {
        if let Some(cargo) = self.cargo.take() {
            // "Reached" is also who said no for ever: only a silent site is held.
            self.reached |= matches!(outcome, Outcome::Fail(_));
            self.settle(cargo.id, cargo.all(&outcome));
            self.last = Some(outcome);
        }
        Next::End
    }

    fn settle(&mut self, id: MessageId, outcomes: Vec<(u32, Outcome)>) {
        let Some(attempt) = &self.attempt else { return };
        for (recipient, outcome) in &outcomes {
            tracing::info!(%id, recipient, domain = %attempt.domain, ?outcome, "attempt ended");
        }
        self.told.tell(attempt, id, outcomes);
    }

    /// Whether everything that the queue was told is recorded, or has been waited for long enough.
    fn may_end(&mut self) -> bool {
        let Some(attempt) = &self.attempt else {
            return true;
        };
        let is_recorded = self.told.look(attempt);
        if !is_recorded && self.looks_left == 0 {
            let (domain, attempt) = (&attempt.domain, attempt.attempt);
            tracing::warn!(%domain, attempt, "the queue has not recorded what was carried");
        }
        is_recorded || self.looks_left == 0
    }

    fn end(&mut self) {
        let Some(attempt) = &self.attempt else { return };
        let unreachable = match self.last.take() {
            Some(outcome) if !self.reached => Some(outcome.reply().clone()),
            _ => None,
        };
        let gone = QueueMsg::Gone {
            attempt: attempt.attempt,
            unreachable,
        };
        let _ = self.args.queues.cast(&attempt.domain, gone); // as in `ask`
    }

    fn report(&self) -> DeliveryReport {
        let line = self.line.as_ref();
        DeliveryReport {
            domain: self.attempt.as_ref().map(|attempt| attempt.domain.clone()),
            phase: match line {
                Some(line) => line.client.stage().to_string(),
                None if self.is_over => "telling the queue".to_owned(),
                None => "connecting".to_owned(),
            },
            host: line.map(|line| line.stop.host.clone()),
            address: line.map(|line| line.stop.address),
            carried: self.carried,
        }
    }
}

/// How long to wait for a peer's own goodbye.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// How long, and how often, it is waited for that what was carried is recorded: a minute in all. By
/// then a queue that hung has been killed, and its successor does not wait for us any longer.
const CONFIRM_PAUSE: Duration = Duration::from_secs(1);
const CONFIRM_LOOKS: u32 = 60;

/// A queue answers within microseconds, unless its store is slow.
const QUEUE_ANSWER: Duration = Duration::from_secs(10);
