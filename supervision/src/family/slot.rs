//! One member's place: who is there, what waits for it, how often it failed.

use std::{
    sync::{
        Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ractor::{ActorRef, Message};
use tokio::{sync::oneshot, time::Instant};

use super::{
    clock::from_now,
    refused::{Reason, Refused},
    spec::FamilySpec,
    waiting::Waiting,
};
use crate::{
    cause::ExitCause,
    inbox::Inbox,
    presence::Presence,
    seat::send,
    spec::{Restart, Shutdown},
};

/// One member's place.
pub(super) struct Slot<M> {
    pub(super) life: Life<M>,
    pub(super) incarnation: u64,
    pub(super) actor: Option<ActorRef<M>>,
    /// What waits for it; of a live member.
    pub(super) inbox: Option<Inbox>,
    /// Whether the present incarnation has been started; its presence tells of its end.
    pub(super) is_launched: bool,
    pub(super) presence: Weak<Presence>,
    /// The shard's tick at which it was last sent anything.
    pub(super) used: AtomicU32,
    pub(super) since: Instant,
    pub(super) restarts: u32,
    pub(super) past: Option<Box<Past>>,
}

/// Where a member is in its life.
pub(super) enum Life<M> {
    /// It was passivated, and nobody is there until a message comes.
    Asleep,
    /// It is being started, or about to be; these wait for it.
    Coming(Waiting<M>),
    /// It is not there and may be forgotten at this time; until then it may be refused.
    Down { refused: bool, until: Instant },
    /// It is ending; these wait for the next incarnation.
    Leaving {
        asked: Option<Instant>,
        /// Whether it is passivated, and nobody else has asked it to end.
        passivated: bool,
        timed_out: bool,
        next: Waiting<M>,
        /// How many of the next, from the first on, were handed on by this incarnation.
        handed: usize,
        waiting: Vec<oneshot::Sender<()>>,
    },
    /// It hears messages.
    Live,
}

/// What went wrong before.
pub(super) struct Past {
    failures: Vec<Instant>,
    in_a_row: u32,
    pub(super) last_cause: ExitCause,
}

/// What has been done with a member that does not end.
pub(super) enum Patience {
    Killed,
    Lost(Weak<Presence>),
}

/// What follows from an end.
pub(super) enum Sequel<M> {
    /// Nobody is there any more; these waited for it, and it has no next incarnation.
    Absent(Vec<M>),
    /// It crashed and is not started again; these waited for it.
    GivenUp(Vec<M>),
    /// It is started again after this pause; for what waits for it, or because it crashed.
    Return { pause: Duration, is_restart: bool },
    /// It stays down until a message comes.
    Rest,
    /// The same, and it stays in the books.
    Sleep,
}

impl<M: Message> Slot<M> {
    /// A new member, with what waits for it.
    pub(super) fn new(waiting: Vec<M>, tick: u32) -> Self {
        Self {
            life: Life::Coming(Waiting::new(waiting)),
            incarnation: 0,
            actor: None,
            inbox: None,
            is_launched: false,
            presence: Weak::new(),
            used: AtomicU32::new(tick),
            since: Instant::now(),
            restarts: 0,
            past: None,
        }
    }

    /// Sends straight to a live member; gives the message back if there is none. Needs no
    /// exclusive access: this is the hot path.
    pub(super) fn send(&self, message: M, tick: u32) -> Result<(), M> {
        match (&self.life, &self.actor, &self.inbox) {
            (Life::Live, Some(actor), Some(inbox)) => {
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

    /// Takes a message in whatever state the member is.
    pub(super) fn admit<K>(
        &mut self,
        message: M,
        tick: u32,
        spec: &FamilySpec<K, M>,
    ) -> Result<(), Refused<M>> {
        let message = match self.send(message, tick) {
            Ok(()) => return Ok(()),
            Err(message) => message,
        };
        if let Life::Live = self.life {
            // It takes no messages any more, so it is ending: its presence will tell how.
            self.life = Life::leaving(None, Vec::new());
        }
        let waiting = match &mut self.life {
            Life::Coming(waiting) => waiting.as_mut(),
            Life::Leaving { next, .. } if spec.has_next() => next.as_mut(),
            Life::Leaving { .. } => return refused(message, Reason::Ending),
            Life::Asleep | Life::Down { .. } | Life::Live => {
                return refused(message, Reason::Absent);
            }
        };
        if waiting.len() >= spec.buffer_max {
            return refused(message, Reason::Busy);
        }
        waiting.push(message);
        Ok(())
    }

    /// Takes what a leaving member was sent before it was known to leave: it comes before what was
    /// sent later.
    pub(super) fn hand_on<K>(&mut self, message: M, spec: &FamilySpec<K, M>) -> Result<(), M> {
        let Life::Leaving { next, handed, .. } = &mut self.life else {
            return Err(message);
        };
        let next = next.as_mut();
        if !spec.has_next() || next.len() >= spec.buffer_max {
            return Err(message);
        }
        next.insert(*handed, message);
        *handed += 1;
        Ok(())
    }

    /// It is up: hands over what waited, in order, before anybody can send straight to it.
    pub(super) fn up(&mut self, actor: ActorRef<M>) {
        let Life::Coming(waiting) = &mut self.life else {
            return;
        };
        let mut waiting = waiting.take().into_iter();
        self.life = Life::Live;
        self.since = Instant::now();
        let presence = self.presence.upgrade(); // it is there: it tells us so itself
        let inbox = presence.map_or_else(Inbox::default, |there| there.flight().inbox().clone());
        while let Some(message) = waiting.next() {
            if let Err(message) = send(&actor, &inbox, message) {
                // It is ending already: this and the rest are for the next incarnation.
                self.life = Life::leaving(None, [message].into_iter().chain(waiting).collect());
                break;
            }
        }
        self.actor = Some(actor);
        self.inbox = Some(inbox);
    }

    /// Marks it as leaving because it is to be passivated; false if there is nothing to ask.
    pub(super) fn passivate(&mut self) -> bool {
        let leaves = self.leave();
        if let (true, Life::Leaving { passivated, .. }) = (leaves, &mut self.life) {
            *passivated = true;
        }
        leaves
    }

    /// Marks it as leaving because somebody asked; false if there is nothing to ask.
    pub(super) fn leave(&mut self) -> bool {
        if let Life::Leaving { passivated, .. } = &mut self.life {
            *passivated = false; // whatever it had in mind, it is not to come back
        }
        match &mut self.life {
            Life::Coming(waiting) => {
                let waiting = waiting.take();
                self.life = Life::leaving(Some(Instant::now()), waiting);
                true
            }
            Life::Live => {
                self.life = Life::leaving(Some(Instant::now()), Vec::new());
                true
            }
            Life::Asleep | Life::Down { .. } | Life::Leaving { asked: Some(_), .. } => false,
            Life::Leaving { asked, .. } => {
                *asked = Some(Instant::now());
                true
            }
        }
    }

    /// Asks whoever is there to end.
    pub(super) fn shut_down(&self, shutdown: Shutdown) {
        let Some(actor) = &self.actor else { return };
        match shutdown {
            Shutdown::Drain(_) if self.has_begun() => {
                let _ = actor.drain(); // who has ended needs no telling
            }
            Shutdown::Kill => actor.kill(),
            // A drain before it is linked would make its start fail.
            Shutdown::Drain(_) | Shutdown::Infinity | Shutdown::Stop(_) => actor.stop(None),
        }
    }

    fn has_begun(&self) -> bool {
        let presence = self.presence.upgrade();
        presence.is_some_and(|presence| presence.has_begun())
    }

    /// It was asked to end and is still there: kills it; the second time, counts it out.
    pub(super) fn lose_patience(&mut self) -> Option<Patience> {
        let Life::Leaving { timed_out, .. } = &mut self.life else {
            return None;
        };
        if *timed_out {
            return Some(Patience::Lost(Weak::clone(&self.presence)));
        }
        *timed_out = true;
        if let Some(actor) = &self.actor {
            actor.kill();
        }
        Some(Patience::Killed)
    }

    /// Whether it is live and nobody has sent it anything for a full idle time.
    pub(super) fn is_idle(&self, tick: u32) -> bool {
        let unused = tick.wrapping_sub(self.used.load(Ordering::Relaxed));
        matches!(self.life, Life::Live) && unused > IDLE_TICKS
    }

    /// Nothing of the incarnation is left: decides what follows.
    pub(super) fn gone<K>(
        &mut self,
        cause: &ExitCause,
        chance: f64,
        spec: &FamilySpec<K, M>,
    ) -> Sequel<M> {
        let lived = self.since.elapsed();
        self.actor = None;
        self.inbox = None;
        self.is_launched = false;
        self.presence = Weak::new();
        let (asked, passivated, waiting) = match &mut self.life {
            Life::Coming(waiting) => (false, false, waiting.take()),
            Life::Leaving {
                asked,
                passivated,
                next,
                ..
            } => (asked.is_some(), *passivated, next.take()),
            Life::Asleep | Life::Down { .. } | Life::Live => (false, false, Vec::new()),
        };
        let abnormal = cause.is_abnormal();
        if passivated && !abnormal && spec.sleeps && waiting.is_empty() {
            self.life = Life::Asleep;
            return Sequel::Sleep;
        }
        // Who crashes instead of going may have lost what it had been sent.
        let asked = asked && !(passivated && abnormal);
        if asked || !spec.restart.again(abnormal) {
            return match spec.restart {
                Restart::Temporary if abnormal && !asked => Sequel::GivenUp(waiting),
                _ if waiting.is_empty() || !spec.has_next() => Sequel::Absent(waiting),
                _ => self.comes(waiting, Duration::ZERO, false),
            };
        }
        let past = self.past.get_or_insert_with(|| {
            Box::new(Past {
                failures: Vec::new(),
                in_a_row: 0,
                last_cause: ExitCause::Normal,
            })
        });
        if past.is_too_much(cause, spec) {
            return self.give_up(waiting, spec);
        }
        self.restarts = self.restarts.saturating_add(1);
        let pause = past.pause(lived, chance, spec);
        if spec.revive == super::spec::Revive::OnMessage && waiting.is_empty() {
            self.life = Life::Down {
                refused: false,
                until: from_now(spec.intensity.window),
            };
            return Sequel::Rest;
        }
        self.comes(waiting, pause, true)
    }

    fn comes(&mut self, waiting: Vec<M>, pause: Duration, is_restart: bool) -> Sequel<M> {
        self.life = Life::Coming(Waiting::new(waiting));
        Sequel::Return { pause, is_restart }
    }

    fn give_up<K>(&mut self, waiting: Vec<M>, spec: &FamilySpec<K, M>) -> Sequel<M> {
        self.life = Life::Down {
            refused: true,
            until: from_now(spec.quarantine),
        };
        Sequel::GivenUp(waiting)
    }
}

impl<M> Life<M> {
    pub(super) fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }

    pub(super) fn is_asleep(&self) -> bool {
        matches!(self, Self::Asleep)
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self, Self::Leaving { .. })
    }

    /// Whether it was given up and its quarantine is not over.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Down { refused: true, until } if Instant::now() < *until)
    }

    fn leaving(asked: Option<Instant>, next: Vec<M>) -> Self {
        Self::Leaving {
            asked,
            passivated: false,
            timed_out: false,
            next: Waiting::new(next),
            handed: 0,
            waiting: Vec::new(),
        }
    }
}

impl Past {
    fn is_too_much<K, M>(&mut self, cause: &ExitCause, spec: &FamilySpec<K, M>) -> bool {
        let now = Instant::now();
        self.last_cause = cause.clone();
        self.failures
            .retain(|&at| now.duration_since(at) <= spec.intensity.window);
        self.failures.push(now);
        self.failures.len() > spec.intensity.restarts_max as usize
    }

    fn pause<K, M>(&mut self, lived: Duration, chance: f64, spec: &FamilySpec<K, M>) -> Duration {
        let Some(backoff) = spec.backoff else {
            return Duration::ZERO;
        };
        if lived >= backoff.reset_after {
            self.in_a_row = 0;
        }
        let pause = backoff.pause(self.in_a_row, chance);
        self.in_a_row = self.in_a_row.saturating_add(1);
        pause
    }
}

fn refused<M>(message: M, reason: Reason) -> Result<(), Refused<M>> {
    Err(Refused { message, reason })
}

/// Idling is measured in this many parts of the idle time.
pub(super) const IDLE_TICKS: u32 = 8;
