//! What becomes of one member of a family: events in, commands out. No ractor, no tokio, no clock.
//!
//! ```text
//!          a message            Launch, Up              Passivate, Leave
//!   Down ────────────▶ Coming ────────────▶ Live ─────────────────────────▶ Leaving
//!    ▲ ▲                ▲  ▲  messages wait  │  messages go straight to it     │ messages wait
//!    │ │                │  │                 │                                 │
//!    │ │ too often      │  └──── crash ──────┤ at once, or after a pause       │
//!    │ └─── GivenUp ────│────────────────────┘                                 │
//!    │                  │  something waits, or it crashed                      │
//!    │                  ├──────────────────────────────────────────────────────┤
//!    │               Asleep ◀── it left something, or its family sleeps ───────┤
//!    └───────────────────────── nothing waits ─────────────────────────────────┘
//! ```
//!
//! One core stands for one key. Who sends and what is sent, what an incarnation is, and what time
//! it is, it does not know. A message that it takes is delivered, waits, or is dropped, and each of
//! these is said: nothing is taken and forgotten. What it is told of an incarnation that is not the
//! present one changes nothing.

use std::time::Duration;

pub(super) use self::words::{Alarm, Command, Event, Left, Room, Rules, Spread};
use self::{
    life::{Coming, End, Leaving, Life},
    past::Past,
};
use super::{refused::Reason, spec::Revive};
use crate::{cause::ExitCause, core::KILL_GRACE, spec::Restart};

mod life;
mod look;
mod past;
mod words;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

/// The decisions about one member.
#[derive(Debug)]
pub(super) struct Core<M> {
    life: Life<M>,
    /// The present incarnation, or the last one.
    incarnation: u64,
    restarts: u32,
    up_since: Option<Duration>,
    past: Option<Box<Past>>,
    /// For the next incarnation, or the present one if it has not taken it yet.
    left: Option<Left>,
}

impl<M> Core<M> {
    /// A member that is not there.
    pub(super) fn new() -> Self {
        Self {
            life: Life::Down {
                refused: false,
                until: Duration::ZERO,
            },
            incarnation: 0,
            restarts: 0,
            up_since: None,
            past: None,
            left: None,
        }
    }

    /// Takes one event at the time `now` (any epoch; it must not go back) and says what to do.
    pub(super) fn step(
        &mut self,
        now: Duration,
        event: Event<M>,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        match event {
            Event::Alarm(alarm) => self.alarm(alarm, now, rules, commands),
            Event::Cast { message, room } => self.cast(message, room, now, rules, commands),
            Event::Close => self.close(now, commands),
            Event::Gone {
                incarnation,
                cause,
                spread,
            } => {
                if self.is_present(incarnation) {
                    self.gone(cause, spread, now, rules, commands);
                }
            }
            Event::HandOn {
                incarnation,
                message,
            } => self.hand_on(incarnation, message, now, rules, commands),
            Event::Launch { incarnation } => self.launch(incarnation, commands),
            Event::Leave => self.leave(now, rules, commands),
            Event::Orphan { spread } => self.orphan(spread, now, rules, commands),
            Event::Passivate { incarnation, left } => {
                self.passivate(incarnation, left, now, rules, commands);
            }
            Event::Start { room } => self.start(room, now, commands),
            Event::Undelivered { messages, waited } => {
                self.undelivered(messages, waited, rules, commands);
            }
            Event::Up { incarnation } => self.up(incarnation, now, commands),
        }
    }

    /// What the incarnation before this one has left, once.
    pub(super) fn take_left(&mut self, incarnation: u64) -> Option<Left> {
        let is_its = self.is_present(incarnation) && !matches!(self.life, Life::Leaving(_));
        self.left.take_if(|_| is_its)
    }

    fn cast(
        &mut self,
        message: M,
        room: Room,
        now: Duration,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        let refusal = match &mut self.life {
            Life::Asleep => {
                self.comes(vec![message], Duration::ZERO, commands);
                return;
            }
            Life::Coming(coming) => {
                let waiting = coming.waiting.as_mut();
                return wait(waiting, message, rules, commands);
            }
            Life::Leaving(leaving) if rules.has_next && !leaving.is_closing => {
                let waiting = leaving.next.as_mut();
                return wait(waiting, message, rules, commands);
            }
            Life::Live => {
                let messages = vec![message];
                commands.push(Command::Deliver {
                    messages,
                    waited: false,
                });
                return;
            }
            Life::Leaving(_) => Reason::Ending,
            Life::Down { .. } => match self.may_come(room, now) {
                Ok(()) => {
                    self.comes(vec![message], Duration::ZERO, commands);
                    return;
                }
                Err(reason) => reason,
            },
        };
        commands.push(Command::Refuse(refusal, Some(message)));
    }

    /// Somebody wants it to be there: nothing happens if it is.
    fn start(&mut self, room: Room, now: Duration, commands: &mut Vec<Command<M>>) {
        let may = match &self.life {
            Life::Coming(_) | Life::Live => return,
            Life::Asleep => Ok(()),
            Life::Down { .. } => self.may_come(room, now),
            Life::Leaving(_) => Err(Reason::Ending),
        };
        match may {
            Ok(()) => self.comes(Vec::new(), Duration::ZERO, commands),
            Err(reason) => commands.push(Command::Refuse(reason, None)),
        }
    }

    /// Whether a member that is down may come back.
    fn may_come(&self, room: Room, now: Duration) -> Result<(), Reason> {
        match room {
            _ if self.is_refused(now) => Err(Reason::GivenUp),
            Room::Kept => Ok(()),
            Room::Never => Err(Reason::Absent),
            Room::None => Err(Reason::Full),
        }
    }

    /// It is wanted: by these, or because it crashed.
    fn comes(&mut self, waiting: Vec<M>, pause: Duration, commands: &mut Vec<Command<M>>) {
        self.life = Life::Coming(Box::new(Coming::new(waiting, !pause.is_zero())));
        commands.push(if pause.is_zero() {
            Command::Want
        } else {
            Command::Wake {
                after: pause,
                alarm: Alarm::Return(self.incarnation),
            }
        });
    }

    fn launch(&mut self, incarnation: u64, commands: &mut Vec<Command<M>>) {
        if let Life::Coming(coming) = &mut self.life
            && coming.is_ready()
        {
            coming.is_launched = true;
            self.incarnation = incarnation;
            commands.push(Command::Start { incarnation });
        }
    }

    /// It is up: what waited goes to it, in order, before anybody can send straight to it.
    fn up(&mut self, incarnation: u64, now: Duration, commands: &mut Vec<Command<M>>) {
        if !self.is_present(incarnation) {
            return;
        }
        let Life::Coming(coming) = &mut self.life else {
            return; // it was asked to end meanwhile
        };
        let messages = coming.waiting.take();
        self.life = Life::Live;
        self.up_since = Some(now);
        if !messages.is_empty() {
            commands.push(Command::Deliver {
                messages,
                waited: true,
            });
        }
    }

    /// It takes no messages any more, so it is ending: we shall hear how.
    fn undelivered(
        &mut self,
        mut messages: Vec<M>,
        waited: bool,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        if !matches!(self.life, Life::Live) {
            commands.push(Command::Drop(messages));
            return;
        }
        if !waited && !rules.has_next {
            let message = messages.pop();
            commands.push(Command::Refuse(Reason::Ending, message));
        }
        self.life = Life::Leaving(Box::new(Leaving::new(None, messages)));
    }

    fn hand_on(
        &mut self,
        incarnation: u64,
        message: M,
        now: Duration,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        let is_present = self.is_present(incarnation);
        match &mut self.life {
            Life::Leaving(leaving) if is_present => {
                let may = rules.has_next && !leaving.is_closing;
                if let Some(message) = leaving.hand_on(message, may, rules.buffer_max) {
                    commands.push(Command::Refuse(Reason::Ending, Some(message)));
                }
            }
            _ => self.cast(message, Room::Never, now, rules, commands),
        }
    }

    fn passivate(
        &mut self,
        incarnation: u64,
        left: Option<Left>,
        now: Duration,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        if !self.is_present(incarnation) || !matches!(self.life, Life::Live) {
            commands.extend(left.map(Command::LetGo));
            return;
        }
        let older = match left {
            Some(left) => self.left.replace(left),
            None => self.left.take(),
        };
        commands.extend(older.map(Command::LetGo));
        let mut leaving = Leaving::new(Some(now), Vec::new());
        leaving.is_passivated = true;
        self.life = Life::Leaving(Box::new(leaving));
        commands.push(Command::Drain);
        self.expect_end(rules, commands);
    }

    /// Somebody outside wants it to end.
    fn leave(&mut self, now: Duration, rules: &Rules, commands: &mut Vec<Command<M>>) {
        match &mut self.life {
            Life::Asleep => self.departs(Vec::new(), now, commands),
            Life::Coming(coming) if !coming.is_launched => {
                // Nobody is there to be asked.
                let waiting = coming.waiting.take();
                commands.extend(self.left.take().map(Command::LetGo));
                self.follows(waiting, now, rules, commands);
            }
            Life::Coming(_) | Life::Live => {
                let waiting = self.life.take_waiting();
                self.life = Life::Leaving(Box::new(Leaving::new(Some(now), waiting)));
                commands.push(Command::ShutDown);
                self.expect_end(rules, commands);
            }
            Life::Down { .. } => {}
            Life::Leaving(leaving) => {
                leaving.is_passivated = false; // whatever it had in mind, it is not to come back
                if leaving.asked.is_none() {
                    leaving.asked = Some(now);
                    commands.push(Command::ShutDown);
                    self.expect_end(rules, commands);
                }
            }
        }
    }

    /// The family ends, and everybody with it; the shard keeps the time for all of them.
    fn close(&mut self, now: Duration, commands: &mut Vec<Command<M>>) {
        if !self.is_launched() {
            let waiting = self.life.take_waiting();
            self.departs(waiting, now, commands);
            return;
        }
        let waiting = self.life.take_waiting();
        let mut leaving = match std::mem::replace(&mut self.life, Life::Live) {
            Life::Leaving(leaving) => leaving,
            _ => Box::new(Leaving::new(None, Vec::new())),
        };
        leaving.is_closing = true;
        leaving.is_passivated = false;
        if leaving.asked.is_none() {
            leaving.asked = Some(now);
            commands.push(Command::ShutDown);
        }
        self.life = Life::Leaving(leaving);
        commands.push(Command::Drop(waiting));
    }

    fn orphan(
        &mut self,
        spread: Spread,
        now: Duration,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        match &mut self.life {
            Life::Asleep => {}
            Life::Down { until, .. } => commands.push(Command::Wake {
                after: until.saturating_sub(now),
                alarm: Alarm::Forget,
            }),
            Life::Coming(coming) if !coming.is_launched => {
                coming.pauses = false; // whoever kept the time is gone
                commands.push(Command::Want);
            }
            Life::Coming(_) | Life::Leaving(_) | Life::Live => {
                self.gone(ExitCause::Killed, spread, now, rules, commands);
            }
        }
    }

    fn expect_end(&self, rules: &Rules, commands: &mut Vec<Command<M>>) {
        if let Some(after) = rules.patience() {
            let alarm = Alarm::Left(self.incarnation);
            commands.push(Command::Wake { after, alarm });
        }
    }

    fn alarm(
        &mut self,
        alarm: Alarm,
        now: Duration,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        match (alarm, &mut self.life) {
            (Alarm::Forget, Life::Down { until, .. }) if *until <= now => {
                commands.push(Command::Forget);
            }
            (Alarm::Left(incarnation), Life::Leaving(_)) if incarnation == self.incarnation => {
                self.overdue(now, rules, commands);
            }
            (Alarm::Return(incarnation), Life::Coming(coming))
                if incarnation == self.incarnation && coming.pauses =>
            {
                coming.pauses = false;
                commands.push(Command::Want);
            }
            _ => {}
        }
    }

    /// It was asked to end and is still there: it is killed; the second time, it is counted out.
    fn overdue(&mut self, now: Duration, rules: &Rules, commands: &mut Vec<Command<M>>) {
        let Life::Leaving(leaving) = &mut self.life else {
            return;
        };
        if leaving.is_timed_out {
            commands.push(Command::Abandon);
            self.gone(
                ExitCause::ShutdownTimeout,
                Spread::default(),
                now,
                rules,
                commands,
            );
            return;
        }
        leaving.is_timed_out = true;
        commands.push(Command::Kill);
        if !leaving.is_closing {
            commands.push(Command::Wake {
                after: KILL_GRACE,
                alarm: Alarm::Left(self.incarnation),
            });
        }
    }

    /// Nothing of the incarnation is left: decides what follows.
    fn gone(
        &mut self,
        cause: ExitCause,
        spread: Spread,
        now: Duration,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        let end = End::of(&mut self.life);
        let cause = end.cause(cause, rules);
        let abnormal = cause.is_abnormal();
        let lived = self.up_since.take().map(|up| now.saturating_sub(up));
        commands.push(Command::Ended {
            cause: cause.clone(),
            asked: end.asked.map(|asked| now.saturating_sub(asked)),
        });
        if end.is_closing {
            return self.departs(end.waiting, now, commands);
        }
        let sleeps = rules.sleeps || self.left.is_some();
        if end.is_passivated && !abnormal && sleeps && end.waiting.is_empty() {
            self.life = Life::Asleep;
            return;
        }
        // Who crashes instead of going may have lost what it had been sent: it looks for itself.
        let asked = end.asked.is_some() && !(end.is_passivated && abnormal);
        if asked || !rules.restart.again(abnormal) {
            if !end.is_passivated {
                commands.extend(self.left.take().map(Command::LetGo));
            }
            if rules.restart == Restart::Temporary && abnormal && !asked {
                let waiting = end.waiting;
                commands.push(Command::GivenUp { cause, waiting });
                return self.departs(Vec::new(), now, commands);
            }
            return self.follows(end.waiting, now, rules, commands);
        }
        self.crashed(cause, lived, spread, end.waiting, now, rules, commands);
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one half of a decision, which has as many sides"
    )]
    fn crashed(
        &mut self,
        cause: ExitCause,
        lived: Option<Duration>,
        spread: Spread,
        waiting: Vec<M>,
        now: Duration,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        let past = self.past.get_or_insert_with(|| Box::new(Past::new()));
        if past.is_too_much(cause.clone(), now, rules) {
            commands.push(Command::GivenUp { cause, waiting });
            return self.rests(true, rules.quarantine, now, commands);
        }
        self.restarts = self.restarts.saturating_add(1);
        let pause = past.pause(lived, spread.chance, rules).max(spread.turn);
        if rules.revive == Revive::OnMessage && waiting.is_empty() {
            return self.rests(false, rules.intensity.window, now, commands);
        }
        commands.push(Command::Restarts(cause));
        self.comes(waiting, pause, commands);
    }

    /// It ended as it was to; what waits is for its next incarnation, if it has one.
    fn follows(
        &mut self,
        waiting: Vec<M>,
        now: Duration,
        rules: &Rules,
        commands: &mut Vec<Command<M>>,
    ) {
        if waiting.is_empty() || !rules.has_next {
            self.departs(waiting, now, commands);
        } else {
            self.comes(waiting, Duration::ZERO, commands);
        }
    }

    /// It is down and is remembered for a while.
    fn rests(
        &mut self,
        refused: bool,
        memory: Duration,
        now: Duration,
        commands: &mut Vec<Command<M>>,
    ) {
        commands.extend(self.left.take().map(Command::LetGo));
        let until = now.saturating_add(memory);
        self.life = Life::Down { refused, until };
        commands.push(if memory.is_zero() {
            Command::Forget
        } else {
            let (after, alarm) = (memory, Alarm::Forget);
            Command::Wake { after, alarm }
        });
    }

    /// Nobody is there any more, and there is nothing to remember.
    fn departs(&mut self, waiting: Vec<M>, now: Duration, commands: &mut Vec<Command<M>>) {
        if !waiting.is_empty() {
            commands.push(Command::Drop(waiting));
        }
        self.rests(false, Duration::ZERO, now, commands);
    }
}

/// Lets a message wait, if there is room for it.
fn wait<M>(waiting: &mut Vec<M>, message: M, rules: &Rules, commands: &mut Vec<Command<M>>) {
    if waiting.len() < rules.buffer_max {
        waiting.push(message);
    } else {
        commands.push(Command::Refuse(Reason::Busy, Some(message)));
    }
}
