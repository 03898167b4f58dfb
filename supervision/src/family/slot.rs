//! One member's place: what is decided about it, and who is there.

use std::{
    sync::{
        Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ractor::{ActorCell, ActorRef, Message};
use tokio::sync::oneshot;

use super::{
    core::{Command, Core, Event, Rules},
    wheel::Spot,
};
use crate::{inbox::Inbox, presence::Presence, seat::send, spec::Shutdown, tree::Status};

/// One member's place.
pub(super) struct Slot<M> {
    pub(super) core: Core<M>,
    pub(super) actor: Option<ActorRef<M>>,
    /// What waits for it; of a member that is up.
    pub(super) inbox: Option<Inbox>,
    pub(super) presence: Weak<Presence>,
    /// The shard's tick at which it was last sent anything.
    pub(super) used: AtomicU32,
    /// Where on the shard's wheel it is; the shard's affair.
    spot: AtomicU32,
    /// Who waits for its end.
    waiters: Option<Box<Waiters>>,
}

/// Told once nothing of an incarnation is left. In a box: hardly any place has some.
#[derive(Default)]
struct Waiters(Vec<oneshot::Sender<()>>);

impl<M: Message> Slot<M> {
    /// A place where nobody is.
    pub(super) fn new(tick: u32) -> Self {
        Self {
            core: Core::new(),
            actor: None,
            inbox: None,
            presence: Weak::new(),
            used: AtomicU32::new(tick),
            spot: AtomicU32::new(Spot::NONE.0),
            waiters: None,
        }
    }

    /// Sends straight to a live member; gives the message back if there is none. Needs no
    /// exclusive access: this is the hot path.
    pub(super) fn send(&self, message: M, tick: u32) -> Result<(), M> {
        match (self.core.is_live(), &self.actor, &self.inbox) {
            (true, Some(actor), Some(inbox)) => {
                self.used.store(tick, Ordering::Relaxed);
                send(actor, inbox, message)
            }
            _ => Err(message),
        }
    }

    /// Where it is sent messages, if anybody is there.
    pub(super) fn address(&self) -> Option<(ActorRef<M>, Inbox)> {
        Some((self.actor.clone()?, self.inbox.clone()?))
    }

    /// Takes one event and does what concerns whoever is there; the rest is to be done once the
    /// floor is free.
    pub(super) fn step(
        &mut self,
        now: Duration,
        event: Event<M>,
        rules: &Rules,
        rest: &mut Vec<Command<M>>,
    ) {
        let mut commands = Vec::new();
        self.core.step(now, event, rules, &mut commands);
        for command in commands {
            match command {
                Command::Deliver { messages, waited } => {
                    if let Some(messages) = self.deliver(messages) {
                        let event = Event::Undelivered { messages, waited };
                        self.step(now, event, rules, rest);
                    }
                }
                Command::Drain => self.end(Shutdown::Drain(Duration::ZERO)),
                Command::Kill => {
                    self.end(Shutdown::Kill);
                    rest.push(Command::Kill); // it is counted
                }
                Command::ShutDown => self.end(rules.shutdown),
                Command::Ended { .. } => {
                    self.actor = None;
                    self.inbox = None;
                    rest.push(command);
                }
                command => rest.push(command),
            }
        }
    }

    /// Hands over messages, in order; gives back what is not taken.
    fn deliver(&self, messages: Vec<M>) -> Option<Vec<M>> {
        let (Some(actor), Some(inbox)) = (&self.actor, &self.inbox) else {
            return Some(messages);
        };
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            if let Err(message) = send(actor, inbox, message) {
                return Some([message].into_iter().chain(messages).collect());
            }
        }
        None
    }

    /// An incarnation is up, and this is where it hears messages.
    pub(super) fn seat(&mut self, cell: &ActorCell) {
        let presence = self.presence.upgrade(); // it is there: it tells us so itself
        let inbox = presence.map_or_else(Inbox::default, |there| there.flight().inbox().clone());
        self.actor = Some(cell.clone().into());
        self.inbox = Some(inbox);
    }

    /// Asks whoever is there to end.
    fn end(&self, how: Shutdown) {
        let Some(actor) = &self.actor else { return };
        match how {
            Shutdown::Drain(_) if self.has_begun() => {
                let _ = actor.drain(); // who has ended needs no telling
            }
            Shutdown::Kill => actor.kill(),
            // A drain before it has begun would make its start fail.
            Shutdown::Drain(_) | Shutdown::Infinity | Shutdown::Stop(_) => actor.stop(None),
        }
    }

    fn has_begun(&self) -> bool {
        let presence = self.presence.upgrade();
        presence.is_some_and(|presence| presence.has_begun())
    }

    /// Whether it is live and nobody has sent it anything for a full idle time.
    pub(super) fn is_idle(&self, tick: u32) -> bool {
        let unused = tick.wrapping_sub(self.used.load(Ordering::Relaxed));
        self.core.is_live() && unused > IDLE_TICKS
    }

    /// The tick at which it is to be looked at again, for who is there: an idle time after it was
    /// last sent anything. None: it is ending, or not there.
    pub(super) fn due(&self, tick: u32) -> Option<u32> {
        match self.core.status() {
            Status::Up => Some(
                self.used
                    .load(Ordering::Relaxed)
                    .wrapping_add(IDLE_TICKS + 1),
            ),
            Status::Starting if self.core.is_launched() => Some(tick.wrapping_add(IDLE_TICKS + 1)),
            _ => None,
        }
    }

    /// It is at this spot on the wheel now; tells where it was.
    pub(super) fn moves(&self, spot: Spot) -> Spot {
        Spot(self.spot.swap(spot.0, Ordering::Relaxed))
    }

    /// Whether it counts as a member.
    pub(super) fn counts(&self) -> bool {
        !self.core.is_down()
    }

    /// How many messages wait, for it to come up or in its inbox.
    pub(super) fn waiting(&self) -> usize {
        match (self.core.is_live(), &self.inbox) {
            (true, Some(inbox)) => inbox.depth(),
            _ => self.core.waiting(),
        }
    }

    /// Somebody waits for its end.
    pub(super) fn notes_waiter(&mut self, done: oneshot::Sender<()>) {
        self.waiters.get_or_insert_default().0.push(done);
    }

    /// Whom to tell that it is gone.
    pub(super) fn take_waiters(&mut self) -> Vec<oneshot::Sender<()>> {
        self.waiters
            .take()
            .map_or_else(Vec::new, |waiters| waiters.0)
    }
}

/// Idling is measured in this many parts of the idle time.
pub(super) const IDLE_TICKS: u32 = 8;
