//! The messages of a session, and which of them are marked for removal.

use std::sync::Arc;

/// A message of the maildrop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its length in octets, as RETR will send it before dots are doubled.
    pub octets: u64,
    /// Its unique id: the same for ever, 1 to 70 octets from `!` to `~` (RFC 1939 §7).
    pub unique: Box<str>,
}

/// The maildrop as it was at the login; numbers are stable from then on (RFC 1939 §5).
#[derive(Clone, Debug, Default)]
pub(crate) struct Maildrop {
    entries: Arc<[Entry]>,
    /// Shared with checkpoints, which are made more often than marks.
    marked: Arc<Vec<bool>>,
    /// How many are not marked.
    pub(crate) count: usize,
    /// How many octets those have.
    pub(crate) octets: u64,
}

impl Maildrop {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        Self {
            marked: vec![false; entries.len()].into(),
            count: entries.len(),
            octets: entries.iter().map(|entry| entry.octets).sum(),
            entries: entries.into(),
        }
    }

    /// The message of that number, from one, unless it is marked.
    pub(crate) fn find(&self, number: usize) -> Option<(usize, &Entry)> {
        let index = number.checked_sub(1)?;
        let entry = self.entries.get(index)?;
        (!self.marked[index]).then_some((index, entry))
    }

    /// Marks a message that [`Maildrop::find`] has found.
    pub(crate) fn mark(&mut self, index: usize) {
        if !std::mem::replace(&mut Arc::make_mut(&mut self.marked)[index], true) {
            self.count -= 1;
            self.octets -= self.entries[index].octets;
        }
    }

    pub(crate) fn unmark_all(&mut self) {
        self.marked = vec![false; self.entries.len()].into();
        self.count = self.entries.len();
        self.octets = self.entries.iter().map(|entry| entry.octets).sum();
    }

    pub(crate) fn marked(&self) -> Vec<usize> {
        let indices = 0..self.marked.len();
        indices.filter(|&index| self.marked[index]).collect()
    }

    /// The first message that is not marked, from that place on.
    pub(crate) fn next(&self, index: usize) -> Option<(usize, &Entry)> {
        let rest = self.marked.get(index..)?;
        let index = index + rest.iter().position(|marked| !marked)?;
        Some((index, &self.entries[index]))
    }
}
