//! One child's place in the core: its rule and where it is in its life.

use std::time::Duration;

use super::words::Rule;
use crate::spec::Restart;

/// One child's place.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) rule: Rule,
    pub(super) life: Life,
    /// It was added and has not been up: if its start fails, it is taken away.
    pub(super) is_joining: bool,
    /// It is being taken away. The slot stays, empty: places are never given twice, and children
    /// come and go as seldom as an operator changes his mind.
    pub(super) is_leaving: bool,
    pub(super) started: bool,
    pub(super) up_since: Option<Duration>,
    pub(super) failures_in_a_row: u32,
}

/// Where a child is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Life {
    /// It has ended and is not wanted; for a temporary child that is for good.
    Done,
    /// It is wanted, after a pause of its own.
    Pausing {
        alarm: u64,
    },
    Starting {
        incarnation: u64,
    },
    Stopping {
        incarnation: u64,
        alarm: Option<u64>,
        killed: bool,
    },
    Up {
        incarnation: u64,
    },
    /// It is wanted, as soon as its turn comes.
    Wanted,
}

impl Slot {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            life: Life::Wanted,
            is_joining: false,
            is_leaving: false,
            started: false,
            up_since: None,
            failures_in_a_row: 0,
        }
    }

    /// It is to go, and its end is nothing that anybody else must answer for.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.rule.restart = Restart::Temporary;
        self.rule.significant = false;
    }
}

impl Life {
    /// The incarnation that is there, if there is one.
    pub(super) fn incarnation(self) -> Option<u64> {
        match self {
            Self::Starting { incarnation }
            | Self::Stopping { incarnation, .. }
            | Self::Up { incarnation } => Some(incarnation),
            Self::Done | Self::Pausing { .. } | Self::Wanted => None,
        }
    }

    pub(super) fn alarm(self) -> Option<u64> {
        match self {
            Self::Pausing { alarm } => Some(alarm),
            Self::Stopping { alarm, .. } => alarm,
            _ => None,
        }
    }
}
