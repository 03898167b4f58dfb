//! The deliveries of a domain: what each carries, and which of them have nothing to do.

use std::collections::BTreeMap;

use mail::Time;

use super::Key;

/// The deliveries that are there, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    all: BTreeMap<u64, Carrier>,
    /// Those with nothing to do; who has waited least is last.
    idle: Vec<u64>,
    /// How many are leaving.
    leaving: usize,
}

#[derive(Debug)]
struct Carrier {
    begun: Time,
    carries: Vec<Key>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// It has not asked for anything: maybe it has no connection yet.
    New,
    /// It waits with its connection for something to carry.
    Idle,
    /// It takes its leave: the connection is there, but carries nothing more.
    Leaving,
    /// It has asked before, so it has a connection.
    Working,
}

impl Carriers {
    /// One more has been started.
    pub(super) fn begin(&mut self, attempt: u64, now: Time) {
        let carrier = Carrier {
            begun: now,
            carries: Vec::new(),
            stage: Stage::New,
        };
        self.all.insert(attempt, carrier);
    }

    /// How many there are, and thus connections at most.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many carry something, or soon will.
    pub(super) fn at_work(&self) -> usize {
        self.all.len() - self.idle.len() - self.leaving
    }

    /// How many wait for something to carry.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// It asks for something. Yields when it was begun, if it asks for the first time; `None` if
    /// it is not known, or has taken its leave.
    pub(super) fn ask(&mut self, attempt: u64) -> Option<Option<Time>> {
        let carrier = self.all.get_mut(&attempt)?;
        let first = match carrier.stage {
            Stage::Leaving => return None,
            Stage::New => Some(carrier.begun),
            Stage::Idle | Stage::Working => None,
        };
        carrier.stage = Stage::Working;
        self.idle.retain(|idle| *idle != attempt);
        Some(first)
    }

    /// It has nothing to do for now.
    pub(super) fn rest(&mut self, attempt: u64) {
        if let Some(carrier) = self.all.get_mut(&attempt)
            && carrier.stage == Stage::Working
        {
            carrier.stage = Stage::Idle;
            self.idle.push(attempt);
        }
    }

    /// Sets somebody to work who has nothing to do: who has waited least, so that those whom
    /// nobody needs any more leave.
    pub(super) fn rouse(&mut self) -> Option<u64> {
        let attempt = self.idle.pop()?;
        if let Some(carrier) = self.all.get_mut(&attempt) {
            carrier.stage = Stage::Working;
        }
        Some(attempt)
    }

    /// It carries that, too.
    pub(super) fn carry(&mut self, attempt: u64, key: Key) {
        if let Some(carrier) = self.all.get_mut(&attempt) {
            carrier.carries.push(key);
        }
    }

    /// It does not carry that any more.
    pub(super) fn put_down(&mut self, attempt: u64, key: Key) {
        if let Some(carrier) = self.all.get_mut(&attempt) {
            carrier.carries.retain(|carried| *carried != key);
        }
    }

    /// It takes its leave; yields what it had taken on.
    pub(super) fn leave(&mut self, attempt: u64) -> Vec<Key> {
        self.idle.retain(|idle| *idle != attempt);
        let Some(carrier) = self.all.get_mut(&attempt) else {
            return Vec::new();
        };
        if std::mem::replace(&mut carrier.stage, Stage::Leaving) != Stage::Leaving {
            self.leaving += 1;
        }
        std::mem::take(&mut carrier.carries)
    }

    /// It is gone; yields what it still carried, or `None` if it is not known.
    pub(super) fn remove(&mut self, attempt: u64) -> Option<Vec<Key>> {
        let carrier = self.all.remove(&attempt)?;
        self.idle.retain(|idle| *idle != attempt);
        self.leaving -= usize::from(carrier.stage == Stage::Leaving);
        Some(carrier.carries)
    }

    /// What each of them carries.
    #[cfg(test)]
    pub(super) fn loads(&self) -> impl Iterator<Item = (u64, &[Key])> {
        self.all
            .iter()
            .map(|(attempt, carrier)| (*attempt, carrier.carries.as_slice()))
    }
}
