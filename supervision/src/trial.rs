//! A trial: actors are harmed on purpose, for as long as somebody holds it.
//!
//! All harm but a kill waits for the next message of whom it is meant for, which may come late or
//! never. So harm belongs to a trial, and ends with it: what has not struck by then never will, and
//! who was made to hang hangs no longer. However the holder ends, nothing is left behind.

use std::{
    panic::panic_any,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    cause::ExitCause,
    place::{Occupant, Place},
};

/// What is done to an actor to see what happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// The handler of the next message returns an error.
    Error,
    /// The handler is dropped at once.
    Kill,
    /// The handler of the next message panics.
    Panic,
    /// The handler of the next message does not return. If nobody kills it for that, it returns an
    /// error when the trial is over.
    Stuck,
}

/// What has become of a blow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It has not struck and never will: who it was meant for heard no message before it ended, or
    /// before the trial did, or another blow took its place.
    Lapsed,
    /// It has struck.
    Struck,
}

/// Harm under way. Dropping it is its end.
#[derive(Debug)]
pub struct Trial {
    /// Those whose fate has not been told, the oldest first.
    blows: Vec<(u64, Arc<Blow>)>,
    last: u64,
    over: watch::Sender<()>,
}

/// Harm to one incarnation.
#[derive(Debug)]
pub(crate) struct Blow {
    harm: Harm,
    fate: AtomicU8,
    /// Closed when the trial is over.
    trial: watch::Receiver<()>,
}

/// How whoever is struck fails.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("harmed on purpose")]
struct Harmed;

impl Trial {
    /// A trial in which nobody has been harmed.
    pub fn new() -> Self {
        Self {
            blows: Vec::new(),
            last: 0,
            over: watch::Sender::new(()),
        }
    }

    /// Harms whoever stands at this place; the number of the blow, by which its fate is told. None:
    /// nobody is there, or a supervisor, which can only be killed.
    pub fn harm(&mut self, place: &Place, harm: Harm) -> Option<u64> {
        self.aim(&place.occupant()?, harm)
    }

    /// Harms so many members of the family that stands at this place, all at once: in the order of
    /// their paths, from the one on whose number is the remainder of `nth`. Their paths, each with
    /// the number of its blow.
    pub fn harm_members(
        &mut self,
        family: &Place,
        nth: u64,
        count: usize,
        harm: Harm,
    ) -> Vec<(String, u64)> {
        let mut members = family.members();
        let first = nth.checked_rem(members.len() as u64).unwrap_or_default();
        members.rotate_left(first as usize);
        members.truncate(count);
        let aim = |(path, there)| Some((path, self.aim(&there, harm)?));
        members.into_iter().filter_map(aim).collect()
    }

    fn aim(&mut self, there: &Occupant, harm: Harm) -> Option<u64> {
        let blow = Arc::new(Blow {
            harm,
            fate: AtomicU8::new(PENDING),
            trial: self.over.subscribe(),
        });
        there.suffers(&blow).then(|| {
            self.last += 1;
            self.blows.push((self.last, blow));
            self.last
        })
    }

    /// The fates that were decided since this was last asked. The blows that are left wait for a
    /// message: one for each incarnation at most.
    pub fn fates(&mut self) -> Vec<(u64, Fate)> {
        let decided = self.blows.extract_if(.., |(_, blow)| {
            // Counted first: once nobody else has it, its fate changes no more.
            let is_forgotten = Arc::strong_count(blow) == 1;
            is_forgotten || blow.fate.load(Ordering::Acquire) != PENDING
        });
        decided.map(|(number, blow)| (number, blow.end())).collect()
    }

    /// Takes back what has not struck; the fates that have not been told yet.
    pub fn end(mut self) -> Vec<(u64, Fate)> {
        let rest = std::mem::take(&mut self.blows).into_iter();
        rest.map(|(number, blow)| (number, blow.end())).collect()
    }
}

impl Default for Trial {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        for (_, blow) in &self.blows {
            blow.end();
        }
    }
}

impl Blow {
    pub(crate) const fn harm(&self) -> Harm {
        self.harm
    }

    /// Notes that it strikes; false if it was taken back before.
    pub(crate) fn has_struck(&self) -> bool {
        self.becomes(STRUCK)
    }

    /// Strikes the handler that is running, unless it was taken back.
    pub(crate) async fn strike(&self) -> Result<(), ExitCause> {
        if !self.has_struck() {
            return Ok(());
        }
        match self.harm {
            Harm::Panic => panic_any(Harmed.to_string()),
            Harm::Stuck => {
                let _ = self.trial.clone().changed().await; // nothing is ever sent: it is closed
            }
            Harm::Error | Harm::Kill => {}
        }
        Err(ExitCause::from_error(Harmed.into()))
    }

    /// Its fate, which is decided now at the latest.
    fn end(&self) -> Fate {
        match self.becomes(LAPSED) || self.fate.load(Ordering::Acquire) == LAPSED {
            true => Fate::Lapsed,
            false => Fate::Struck,
        }
    }

    fn becomes(&self, fate: u8) -> bool {
        let (order, same) = (Ordering::AcqRel, Ordering::Acquire);
        let decided = self.fate.compare_exchange(PENDING, fate, order, same);
        decided.is_ok()
    }
}

const PENDING: u8 = 0;
const STRUCK: u8 = 1;
const LAPSED: u8 = 2;
