//! The bounce actor: it tells senders what could not be delivered, or is late.
//!
//! # Owns
//! Which reports are on their way to the disk. What has failed stands in the spool.
//!
//! # Hears
//! [`BounceMsg`]: `Return` from domain queues, mailboxes and the router, `Late` from domain
//! queues, `Look` from its clock, `Written` from itself.
//!
//! # Says
//! [`RouterMsg::Route`] to the router: a report is mail like any other.
//!
//! # Supervised by
//! The trunk, `Permanent`.
//!
//! # When it crashes
//! Nothing is lost: a report and the closing of the recipients that it tells of are one step in
//! the store. Its successor looks at the spool for what is still to be told. A warning that a
//! message is late may be lost.
//!
//! # Metrics
//! `heronry_bounce_reports_total`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use mail::{Domain, Enhanced, Envelope, MessageId, Recipient, Reply};
use mime::dsn::{News, Report, Told};
use policy::{
    retry::Schedule,
    route::{self, Route, Rules},
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use store::{
    StoreError,
    port::{Answer, Leases, NewMail, Settle, Shard, Spool, Spooled, State},
};
use supervision::{Seat, in_hand};
use world::{Clock, Random};

use super::metrics::REPORTS;
use crate::{
    contract::{BounceMsg, BounceReport, MessageInHand, RouterMsg},
    facts::AccountFacts,
};

/// The bounce actor.
#[derive(Debug)]
pub struct Bounce;

/// What the bounce actor needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct BounceArgs {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who is known here.
    pub facts: AccountFacts,
    /// This system's name.
    pub hostname: Domain,
    /// Who owns which shard.
    pub leases: Arc<dyn Leases>,
    /// Chance, for message ids.
    pub random: Arc<dyn Random>,
    /// Who sends reports on their way.
    pub router: Seat<RouterMsg>,
    /// How addresses are followed.
    pub rules: Rules,
    /// Until when a message is tried.
    pub schedule: Schedule,
    /// Where everything stands.
    pub spool: Arc<dyn Spool>,
}

/// What the bounce actor has in memory.
pub struct BounceState {
    args: BounceArgs,
    writing: HashSet<MessageId>,
    looked_after: Option<MessageId>,
    written: u64,
    untold: u64,
}

impl Actor for Bounce {
    type Msg = BounceMsg;
    type State = BounceState;
    type Arguments = BounceArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<BounceMsg>,
        args: BounceArgs,
    ) -> Result<BounceState, ActorProcessingErr> {
        myself.cast(BounceMsg::Look)?;
        Ok(BounceState {
            args,
            writing: HashSet::new(),
            looked_after: None,
            written: 0,
            untold: 0,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<BounceMsg>,
        msg: BounceMsg,
        state: &mut BounceState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            BounceMsg::Inspect(reply) => {
                let _ = reply.send(state.report()); // whoever asked may have left
            }
            BounceMsg::Late(id) => tell_trouble(id, state.late(id, &myself)),
            BounceMsg::Look => match state.look(&myself) {
                Ok(true) => myself.cast(BounceMsg::Look)?,
                Ok(false) => drop(myself.send_after(LOOK_PAUSE, || BounceMsg::Look)),
                Err(error) => {
                    tracing::error!(%error, "cannot look for failures in the spool");
                    drop(myself.send_after(LOOK_PAUSE, || BounceMsg::Look));
                }
            },
            BounceMsg::Return(id) => tell_trouble(id, state.return_to_sender(id, &myself)),
            BounceMsg::Written(id) => {
                state.writing.remove(&id);
                state.written += 1;
            }
        }
        Ok(())
    }
}

impl BounceState {
    /// Reports the failed recipients of a message and closes them, in one step of the store.
    fn return_to_sender(
        &mut self,
        id: MessageId,
        myself: &ActorRef<BounceMsg>,
    ) -> Result<(), StoreError> {
        in_hand(MessageInHand(id));
        if self.writing.contains(&id) {
            return Ok(());
        }
        let Some(message) = self.args.spool.get(id)? else {
            return Ok(());
        };
        let failed = in_state(&message, State::Failed);
        if failed.is_empty() {
            return Ok(());
        }
        let Some((envelope, octets)) = self.compose(&message, &failed, News::Failed)? else {
            return self.close_untold(&message, failed);
        };
        REPORTS.count(&["failure"]);
        let answers = Some(Answer {
            id,
            recipients: failed,
        });
        self.spool(id, envelope, octets, answers, myself)
    }

    /// Tells the sender that recipients are late. It is marked as told first: once too few is
    /// better than again and again.
    fn late(&mut self, id: MessageId, myself: &ActorRef<BounceMsg>) -> Result<(), StoreError> {
        in_hand(MessageInHand(id));
        let Some(message) = self.args.spool.get(id)? else {
            return Ok(());
        };
        let mut late = in_state(&message, State::Open);
        late.retain(|&number| {
            let state = &message.states[number as usize];
            state.attempts > 0 && !state.delay_told
        });
        if late.is_empty() || self.writing.contains(&id) {
            return Ok(());
        }
        let until = self.args.schedule.expires(message.arrived);
        let composed = self.compose(&message, &late, News::Delayed(until))?;
        let fence = self.args.leases.fence(shard(id))?;
        let told = late
            .into_iter()
            .map(|number| (number, Settle::DelayTold))
            .collect();
        self.args.spool.settle(fence, id, told).then(move |result| {
            if let Err(error) = result {
                tracing::warn!(%id, %error, "cannot record that a delay was told");
            }
        });
        let Some((envelope, octets)) = composed else {
            return Ok(());
        };
        REPORTS.count(&["delay"]);
        self.spool(id, envelope, octets, None, myself)
    }

    /// The report and its envelope; `None` if there is nobody to tell.
    fn compose(
        &self,
        message: &Spooled,
        numbers: &[u32],
        news: News,
    ) -> Result<Option<(Envelope, Vec<u8>)>, StoreError> {
        let unknown = Reply::new(550, Enhanced(5, 0, 0), "no reason is known");
        let told: Vec<Told<'_>> = numbers
            .iter()
            .filter_map(|&number| {
                let state = message.states.get(number as usize)?;
                Some(Told {
                    recipient: message.envelope.recipients.get(number as usize)?,
                    reply: state.last.as_ref().unwrap_or(&unknown),
                    remote: None, // the reply names its host
                    last_attempt: None,
                })
            })
            .collect();
        let body = self.args.spool.read(&message.body)?;
        let original = body.read_at(0, RETURNED_OCTETS_MAX)?;
        let message_id = format!(
            "{}@{}",
            MessageId(self.args.random.wide()),
            self.args.hostname
        );
        let report = Report {
            news,
            by: &self.args.hostname,
            message_id: &message_id,
            at: self.args.clock.now(),
            envelope: &message.envelope,
            arrived: message.arrived,
            told: &told,
            original: &original,
            is_whole: original.len() as u64 == body.octets(),
        };
        let Some(composed) = report.compose() else {
            return Ok(None);
        };
        let recipients = match route::route(&self.args.rules, &self.args.facts, &composed.to, true)?
        {
            Route::Accept { recipients, .. } => recipients,
            Route::Refuse(_) => return Ok(None),
        };
        let quietly = |recipient| Recipient {
            notify: mail::Notify::NEVER,
            ..recipient
        };
        let envelope = Envelope {
            from: None,
            recipients: recipients.into_iter().map(quietly).collect(),
            body: composed.body,
            ..Envelope::default()
        };
        let mut octets = mime::return_path(None);
        octets.extend_from_slice(&composed.octets);
        Ok(Some((envelope, octets)))
    }

    fn spool(
        &mut self,
        about: MessageId,
        envelope: Envelope,
        octets: Vec<u8>,
        answers: Option<Answer>,
        myself: &ActorRef<BounceMsg>,
    ) -> Result<(), StoreError> {
        let mut writer = self.args.spool.draft();
        if let Some(spilled) = writer.write(Bytes::from(octets)) {
            // Accepting it comes after this in the journal: nothing to wait for.
            spilled.then(drop);
        }
        let mail = NewMail {
            envelope,
            draft: writer.finish(),
            arrived: self.args.clock.now(),
            answers,
            origin: format!("report on {about}"),
        };
        let fence = self.args.leases.fence(shard(about))?;
        self.writing.insert(about);
        let (router, myself) = (self.args.router.clone(), myself.clone());
        self.args.spool.accept(fence, mail).then(move |result| {
            match result {
                // Nobody there: the router looks at the spool as it starts.
                Ok(id) => drop(router.cast(RouterMsg::Route(id))),
                Err(error) => {
                    REPORTS.count(&["not_stored"]);
                    tracing::warn!(%about, %error, "cannot store a report; it is tried again");
                }
            }
            let _ = myself.cast(BounceMsg::Written(about)); // the next incarnation begins anew
        });
        Ok(())
    }

    /// A bounce that bounces, or a sender that does not exist, ends here (RFC 5321 §6.1).
    fn close_untold(&mut self, message: &Spooled, failed: Vec<u32>) -> Result<(), StoreError> {
        let id = message.id;
        for &number in &failed {
            REPORTS.count(&["untold"]);
            self.untold += 1;
            let recipient = message.envelope.recipients.get(number as usize);
            let address = recipient.map(|recipient| &recipient.address);
            tracing::warn!(%id, recipient = ?address, "could not be delivered; nobody is told");
        }
        let fence = self.args.leases.fence(shard(id))?;
        let untold = Reply::new(250, Enhanced(2, 0, 0), "closed without a report");
        let what = failed
            .into_iter()
            .map(|number| (number, Settle::Close(untold.clone())))
            .collect();
        self.args.spool.settle(fence, id, what).then(move |result| {
            if let Err(error) = result {
                tracing::warn!(%id, %error, "cannot close a failed recipient");
            }
        });
        Ok(())
    }

    /// Looks at one page of what has failed; says whether there is more to look at now.
    fn look(&mut self, myself: &ActorRef<BounceMsg>) -> Result<bool, StoreError> {
        let page = self.args.spool.failed(self.looked_after, PAGE)?;
        for &id in &page {
            tell_trouble(id, self.return_to_sender(id, myself));
        }
        self.looked_after = page.last().copied().filter(|_| page.len() == PAGE);
        Ok(self.looked_after.is_some())
    }

    fn report(&self) -> BounceReport {
        BounceReport {
            writing: self.writing.len(),
            written: self.written,
            untold: self.untold,
        }
    }
}

fn in_state(message: &Spooled, state: State) -> Vec<u32> {
    let states = (0..).zip(&message.states);
    states
        .filter(|(_, known)| known.state == state)
        .map(|(number, _)| number)
        .collect()
}

/// A report belongs to whoever owns what it reports on.
fn shard(id: MessageId) -> Shard {
    Shard::nth((id.0 >> 64) as u64)
}

fn tell_trouble(id: MessageId, result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::error!(%id, %error, "cannot write a report");
    }
}

/// How much of a message comes back with a report at most.
const RETURNED_OCTETS_MAX: usize = 128 * 1024;

/// How many messages a look reads before it lets hints through.
const PAGE: usize = 256;

/// How long after a look the next one begins.
const LOOK_PAUSE: Duration = Duration::from_secs(60);
