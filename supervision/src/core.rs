//! What a supervisor decides: events in, commands out. No ractor, no tokio, no clock.
//!
//! ```text
//!            Begin                 all up
//!   New ───────────▶ Starting ─────────────▶ Up ◀──┐ one_for_one: each child by itself
//!                     ▲    │ a child fails    │     ┘
//!         pause over  │    ▼                  ▼ a child fails
//!                  Pausing ◀──── Stopping ◀───┘ the group, last first
//!                         none left
//!   any ──── Stop, too many failures, auto-shutdown ───▶ Ending ──▶ Over
//! ```
//!
//! The rules are OTP's: children start in order, each after the one before it is up; they stop in
//! the reverse order, each once the one after it is gone. Failures within a group that is being
//! stopped belong to the round that stops it. A failed start is a failure. Until all children have
//! been up once, a failed start is final. A child may be added behind the others and taken away
//! again; an added one that never comes up is taken away, and nobody else notices. It does not
//! know what a child is, nor what time it is.

use std::{collections::VecDeque, time::Duration};

use self::slot::{Life, Slot};
pub(crate) use self::words::{Command, Event, Finish, Rule};
use crate::{
    chance::Chance,
    spec::{AutoShutdown, Intensity, Restart, Shutdown, Strategy},
};

mod slot;
mod words;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

/// The decisions of one supervisor.
#[derive(Debug)]
pub(crate) struct Core {
    strategy: Strategy,
    intensity: Intensity,
    auto_shutdown: AutoShutdown,
    slots: Vec<Slot>,
    phase: Phase,
    /// Whether all children have been up.
    has_been_up: bool,
    /// When the failures within the window happened.
    failures: VecDeque<Duration>,
    /// The last incarnation and the last alarm that were given out.
    last_number: u64,
    chance: Chance,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Ending(Finish),
    New,
    Over,
    /// The group is down and waits before it starts again.
    Pausing {
        alarm: u64,
        until: Duration,
    },
    /// The wanted are started, one after the other.
    Starting,
    /// Everybody from this place on is stopped, last first.
    Stopping {
        from: usize,
        pause: Duration,
    },
    Up,
}

impl Core {
    /// A supervisor of children with these rules. `seed` feeds the jitter of pauses.
    pub(crate) fn new(
        strategy: Strategy,
        intensity: Intensity,
        auto_shutdown: AutoShutdown,
        rules: impl IntoIterator<Item = Rule>,
        seed: u64,
    ) -> Self {
        Self {
            strategy,
            intensity,
            auto_shutdown,
            slots: rules.into_iter().map(Slot::new).collect(),
            phase: Phase::New,
            has_been_up: false,
            failures: VecDeque::new(),
            last_number: 0,
            chance: Chance(seed),
        }
    }

    /// Takes one event at the time `now` (any epoch; it must not go back) and says what to do.
    pub(crate) fn step(&mut self, now: Duration, event: Event, commands: &mut Vec<Command>) {
        match event {
            Event::Alarm(alarm) => self.alarm(alarm, now, commands),
            Event::Begin if self.phase == Phase::New => {
                self.phase = Phase::Starting;
                self.start_next(commands);
            }
            Event::Begin => {}
            Event::Gone {
                child,
                incarnation,
                abnormal,
            } => {
                if self.is_present(child, incarnation) {
                    self.gone(child, abnormal, now, commands);
                }
            }
            Event::Remove { child } => self.remove(child, commands),
            Event::Stop => self.end(Finish::Stopped, now, commands),
            Event::Up { child, incarnation } => self.up(child, incarnation, now, commands),
        }
    }

    /// Adds a child behind all others and starts it, at once or in its turn; its place. None if
    /// the supervisor is ending.
    pub(crate) fn add(&mut self, rule: Rule, commands: &mut Vec<Command>) -> Option<usize> {
        if matches!(self.phase, Phase::Ending(_) | Phase::Over) {
            return None;
        }
        let child = self.slots.len();
        self.slots.push(Slot {
            is_joining: true,
            ..Slot::new(rule)
        });
        if self.phase == Phase::Up {
            self.start(child, commands);
        }
        Some(child)
    }

    /// Stops a child and takes it away for good. Who is ending takes everybody away anyhow.
    fn remove(&mut self, child: usize, commands: &mut Vec<Command>) {
        if matches!(self.phase, Phase::Ending(_) | Phase::Over) {
            return;
        }
        let Some(slot) = self.slots.get_mut(child).filter(|slot| !slot.is_leaving) else {
            return;
        };
        slot.leave();
        match slot.life {
            Life::Stopping { .. } => {} // its end is waited for already
            Life::Starting { .. } | Life::Up { .. } => self.stop(child, commands),
            Life::Done | Life::Pausing { .. } | Life::Wanted => {
                slot.life = Life::Done;
                commands.push(Command::Forget { child });
            }
        }
    }

    /// Whether this is the child's present incarnation; everything else is a stale event.
    fn is_present(&self, child: usize, incarnation: u64) -> bool {
        self.slots
            .get(child)
            .is_some_and(|slot| slot.life.incarnation() == Some(incarnation))
    }

    fn up(&mut self, child: usize, incarnation: u64, now: Duration, commands: &mut Vec<Command>) {
        let Some(slot) = self.slots.get_mut(child) else {
            return;
        };
        if slot.life != (Life::Starting { incarnation }) {
            return;
        }
        slot.life = Life::Up { incarnation };
        slot.is_joining = false;
        slot.up_since = Some(now);
        if self.phase == Phase::Starting {
            self.start_next(commands);
        }
    }

    fn gone(&mut self, child: usize, abnormal: bool, now: Duration, commands: &mut Vec<Command>) {
        let slot = &mut self.slots[child];
        let was = slot.life;
        let temporary = slot.rule.restart == Restart::Temporary;
        if slot.is_joining && (temporary || matches!(was, Life::Starting { .. })) {
            slot.leave();
        }
        let is_leaving = slot.is_leaving;
        if is_leaving {
            commands.push(Command::Forget { child });
        }
        let temporary = temporary || is_leaving;
        match self.phase {
            Phase::Ending(_) => {
                slot.life = Life::Done;
                self.stop_next(0, now, commands);
            }
            // A member of the group that is being stopped: its end belongs to this round.
            Phase::Stopping { from, .. } if child >= from => {
                slot.life = if temporary { Life::Done } else { Life::Wanted };
                self.stop_next(from, now, commands);
            }
            _ => match was {
                Life::Starting { .. } if !self.has_been_up && !is_leaving => {
                    slot.life = Life::Done;
                    self.end(Finish::StartFailed { child }, now, commands);
                }
                Life::Starting { .. } if !temporary => self.failed(child, now, commands),
                Life::Up { .. } if slot.rule.restart.again(abnormal) => {
                    self.failed(child, now, commands);
                }
                _ => {
                    slot.life = Life::Done;
                    self.ended_by_itself(child, now, commands);
                }
            },
        }
    }

    /// A child that is not started again has ended.
    fn ended_by_itself(&mut self, child: usize, now: Duration, commands: &mut Vec<Command>) {
        let enough = self.slots[child].rule.significant
            && match self.auto_shutdown {
                AutoShutdown::AllSignificant => {
                    let mut significant = self.slots.iter().filter(|slot| slot.rule.significant);
                    significant.all(|slot| slot.life == Life::Done)
                }
                AutoShutdown::AnySignificant => true,
                AutoShutdown::Never => false,
            };
        if enough {
            self.end(Finish::Auto, now, commands);
        } else if self.phase == Phase::Starting {
            self.start_next(commands);
        }
    }

    /// A child that is started again has ended: a round begins.
    fn failed(&mut self, child: usize, now: Duration, commands: &mut Vec<Command>) {
        self.slots[child].life = Life::Done;
        if self.is_too_much(now) {
            self.end(Finish::Escalate { child }, now, commands);
            return;
        }
        let pause = self.pause(child, now);
        let from = match self.strategy {
            Strategy::OneForAll => 0,
            Strategy::OneForOne => {
                self.restart_alone(child, pause, commands);
                return;
            }
            Strategy::RestForOne => child,
        };
        // A failure below a group that is already being stopped widens the group, and does not
        // shorten its pause.
        let (from, pause) = match self.phase {
            Phase::Pausing { until, .. } => (from, pause.max(until.saturating_sub(now))),
            Phase::Stopping {
                from: already,
                pause: longer,
            } => (from.min(already), pause.max(longer)),
            _ => (from, pause),
        };
        self.slots[child].life = Life::Wanted;
        for slot in &mut self.slots[from..] {
            // As in OTP, a transient child that had ended well starts again with its group.
            if slot.life == Life::Done && slot.rule.restart != Restart::Temporary {
                slot.life = Life::Wanted;
            }
        }
        self.phase = Phase::Stopping { from, pause };
        self.stop_next(from, now, commands);
    }

    fn restart_alone(&mut self, child: usize, pause: Duration, commands: &mut Vec<Command>) {
        if pause.is_zero() {
            self.start(child, commands);
        } else {
            let alarm = self.wake(pause, commands);
            self.slots[child].life = Life::Pausing { alarm };
        }
        if self.phase == Phase::Starting {
            self.start_next(commands);
        }
    }

    /// Counts a failure; true if there have been more than the intensity bears.
    fn is_too_much(&mut self, now: Duration) -> bool {
        let window = self.intensity.window;
        self.failures.retain(|&at| now.saturating_sub(at) <= window);
        self.failures.push_back(now);
        self.failures.len() > self.intensity.restarts_max as usize
    }

    /// How long to wait before `child` is started again.
    fn pause(&mut self, child: usize, now: Duration) -> Duration {
        let slot = &mut self.slots[child];
        let Some(backoff) = slot.rule.backoff else {
            return Duration::ZERO;
        };
        if slot
            .up_since
            .take()
            .is_some_and(|up| now.saturating_sub(up) >= backoff.reset_after)
        {
            slot.failures_in_a_row = 0;
        }
        let pause = backoff.pause(slot.failures_in_a_row, self.chance.next());
        slot.failures_in_a_row = slot.failures_in_a_row.saturating_add(1);
        pause
    }

    /// Stops everything, last first, and ends. The first reason to end stays.
    fn end(&mut self, finish: Finish, now: Duration, commands: &mut Vec<Command>) {
        if matches!(self.phase, Phase::Ending(_) | Phase::Over) {
            return;
        }
        self.phase = Phase::Ending(finish);
        for slot in &mut self.slots {
            if slot.life.incarnation().is_none() {
                slot.life = Life::Done;
            }
        }
        self.stop_next(0, now, commands);
    }

    /// Stops the last child from this place on; when none is left, goes on.
    fn stop_next(&mut self, from: usize, now: Duration, commands: &mut Vec<Command>) {
        let stopping = |slot: &Slot| matches!(slot.life, Life::Stopping { .. });
        if self.slots[from..].iter().any(stopping) {
            return; // its end brings us back here
        }
        let is_there = |slot: &Slot| slot.life.incarnation().is_some();
        if let Some(last) = self.slots[from..].iter().rposition(is_there) {
            self.stop(from + last, commands);
            return;
        }
        match self.phase {
            Phase::Ending(finish) => {
                self.phase = Phase::Over;
                commands.push(Command::Finish(finish));
            }
            Phase::Stopping { pause, .. } if pause.is_zero() => {
                self.phase = Phase::Starting;
                self.start_next(commands);
            }
            Phase::Stopping { pause, .. } => {
                let alarm = self.wake(pause, commands);
                let until = now.saturating_add(pause);
                self.phase = Phase::Pausing { alarm, until };
            }
            _ => {}
        }
    }

    fn stop(&mut self, child: usize, commands: &mut Vec<Command>) {
        let slot = &self.slots[child];
        let Some(incarnation) = slot.life.incarnation() else {
            return;
        };
        let killed = slot.rule.shutdown == Shutdown::Kill;
        let limit = if killed {
            Some(KILL_GRACE)
        } else {
            slot.rule.shutdown.limit()
        };
        commands.push(match killed {
            true => Command::Kill { child, incarnation },
            false => Command::Stop { child, incarnation },
        });
        let alarm = limit.map(|limit| self.wake(limit, commands));
        self.slots[child].life = Life::Stopping {
            incarnation,
            alarm,
            killed,
        };
    }

    /// Starts the first of the wanted, unless one is starting already; when none is left, is up.
    fn start_next(&mut self, commands: &mut Vec<Command>) {
        if self
            .slots
            .iter()
            .any(|slot| matches!(slot.life, Life::Starting { .. }))
        {
            return; // its coming up, or its end, brings us back here
        }
        if let Some(child) = self.slots.iter().position(|slot| slot.life == Life::Wanted) {
            self.start(child, commands);
            return;
        }
        self.phase = Phase::Up;
        if !self.has_been_up {
            self.has_been_up = true;
            commands.push(Command::Up);
        }
    }

    fn start(&mut self, child: usize, commands: &mut Vec<Command>) {
        let incarnation = self.number();
        let slot = &mut self.slots[child];
        let restart = slot.started;
        slot.started = true;
        slot.life = Life::Starting { incarnation };
        commands.push(Command::Start {
            child,
            incarnation,
            restart,
        });
    }

    fn alarm(&mut self, alarm: u64, now: Duration, commands: &mut Vec<Command>) {
        if matches!(self.phase, Phase::Pausing { alarm: set, .. } if set == alarm) {
            self.phase = Phase::Starting;
            self.start_next(commands);
            return;
        }
        let Some(child) = self
            .slots
            .iter()
            .position(|slot| slot.life.alarm() == Some(alarm))
        else {
            return; // of a time that has passed
        };
        match self.slots[child].life {
            Life::Pausing { .. } => self.start(child, commands),
            Life::Stopping {
                incarnation,
                killed: false,
                ..
            } => {
                commands.push(Command::Kill { child, incarnation });
                let alarm = Some(self.wake(KILL_GRACE, commands));
                self.slots[child].life = Life::Stopping {
                    incarnation,
                    alarm,
                    killed: true,
                };
            }
            Life::Stopping { incarnation, .. } => {
                commands.push(Command::Abandon { child, incarnation });
                self.gone(child, true, now, commands);
            }
            _ => {}
        }
    }

    fn wake(&mut self, after: Duration, commands: &mut Vec<Command>) -> u64 {
        let alarm = self.number();
        commands.push(Command::Wake { alarm, after });
        alarm
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

/// How long a killed child has to disappear: it ends at its next await point, if it has one.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(5);
