//! Where a member is in its life.

use std::time::Duration;

use super::words::Rules;
use crate::{cause::ExitCause, family::waiting::Waiting, spec::Shutdown};

/// Where a member is in its life. What lasts takes little room: there may be a hundred thousand.
#[derive(Debug)]
pub(super) enum Life<M> {
    /// It was passivated, and nobody is there until a message comes.
    Asleep,
    /// It is being started, or about to be.
    Coming(Box<Coming<M>>),
    /// It is not there and may be forgotten at this time; until then it may be refused.
    Down { refused: bool, until: Duration },
    /// It is ending.
    Leaving(Box<Leaving<M>>),
    /// It hears messages.
    Live,
}

/// A member on its way.
#[derive(Debug)]
pub(super) struct Coming<M> {
    /// These wait for it.
    pub(super) waiting: Waiting<M>,
    /// Whether the incarnation has been started; we shall be told of its end.
    pub(super) is_launched: bool,
    /// Whether it is not to be started yet.
    pub(super) pauses: bool,
}

/// A member that is ending.
#[derive(Debug)]
pub(super) struct Leaving<M> {
    /// When it was asked to; it may end by itself.
    pub(super) asked: Option<Duration>,
    /// Whether nobody will come after it.
    pub(super) is_closing: bool,
    /// Whether it is passivated, and nobody else has asked it to end.
    pub(super) is_passivated: bool,
    pub(super) is_timed_out: bool,
    /// These wait for the next incarnation.
    pub(super) next: Waiting<M>,
    /// How many of the next, from the first on, were handed on by this incarnation.
    pub(super) handed: usize,
}

/// What is to be known of an incarnation that is gone.
#[derive(Debug)]
pub(super) struct End<M> {
    pub(super) asked: Option<Duration>,
    pub(super) is_closing: bool,
    pub(super) is_passivated: bool,
    is_timed_out: bool,
    pub(super) waiting: Vec<M>,
}

impl<M> Life<M> {
    /// Takes what waits.
    pub(super) fn take_waiting(&mut self) -> Vec<M> {
        match self {
            Self::Coming(coming) => coming.waiting.take(),
            Self::Leaving(leaving) => {
                leaving.handed = 0;
                leaving.next.take()
            }
            Self::Asleep | Self::Down { .. } | Self::Live => Vec::new(),
        }
    }
}

impl<M> Coming<M> {
    pub(super) fn new(waiting: Vec<M>, pauses: bool) -> Self {
        Self {
            waiting: Waiting::new(waiting),
            is_launched: false,
            pauses,
        }
    }

    /// Whether it is to be started now.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_launched && !self.pauses
    }
}

impl<M> Leaving<M> {
    pub(super) fn new(asked: Option<Duration>, next: Vec<M>) -> Self {
        Self {
            asked,
            is_closing: false,
            is_passivated: false,
            is_timed_out: false,
            next: Waiting::new(next),
            handed: 0,
        }
    }

    /// Takes what the incarnation was sent before it was known to leave: it comes before what was
    /// sent later. Gives it back if it may not, or if there is no room.
    pub(super) fn hand_on(&mut self, message: M, may: bool, buffer_max: usize) -> Option<M> {
        let next = self.next.as_mut();
        if !may || next.len() >= buffer_max {
            return Some(message);
        }
        next.insert(self.handed, message);
        self.handed += 1;
        None
    }
}

impl<M> End<M> {
    /// The end of whoever was there.
    pub(super) fn of(life: &mut Life<M>) -> Self {
        let waiting = life.take_waiting();
        match life {
            Life::Leaving(leaving) => Self {
                asked: leaving.asked,
                is_closing: leaving.is_closing,
                is_passivated: leaving.is_passivated,
                is_timed_out: leaving.is_timed_out,
                waiting,
            },
            _ => Self {
                asked: None,
                is_closing: false,
                is_passivated: false,
                is_timed_out: false,
                waiting,
            },
        }
    }

    /// Its cause, as we know it.
    pub(super) fn cause(&self, cause: ExitCause, rules: &Rules) -> ExitCause {
        if self.asked.is_none() {
            return cause;
        }
        match cause.when_asked(self.is_timed_out) {
            // As asked; who is passivated is drained.
            ExitCause::Killed if rules.shutdown == Shutdown::Kill && !self.is_passivated => {
                ExitCause::Normal
            }
            cause => cause,
        }
    }
}
