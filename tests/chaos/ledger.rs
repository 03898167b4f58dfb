//! What clients were told, so that it can be held against what is there in the end.

use std::collections::{BTreeMap, BTreeSet};

/// What one client did and was told; those of many are added up.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Messages that were answered `250` or `OK`, by where they must be in the end.
    pub(crate) acknowledged: BTreeMap<String, BTreeSet<String>>,
    /// Messages whose client was told to come back, or nothing: they may have been taken.
    pub(crate) doubtful: BTreeSet<String>,
    /// Messages that an `EXPUNGE` has removed, or may have.
    pub(crate) removed: BTreeSet<String>,
    /// How often each answer came, by its first words.
    pub(crate) answers: BTreeMap<String, u64>,
    /// The last words of each connection that the server closed.
    pub(crate) closed: Vec<String>,
    /// What no server may do, in words.
    pub(crate) wrong: Vec<String>,
}

impl Ledger {
    /// `message` was acknowledged, and must be there.
    pub(crate) fn acknowledge(&mut self, place: &str, message: String) {
        let there = self.acknowledged.entry(place.to_owned()).or_default();
        there.insert(message);
    }

    /// Something was answered.
    pub(crate) fn answered(&mut self, answer: impl Into<String>) {
        *self.answers.entry(answer.into()).or_default() += 1;
    }

    /// Adds what another client was told.
    pub(crate) fn add(&mut self, other: Self) {
        for (place, messages) in other.acknowledged {
            self.acknowledged.entry(place).or_default().extend(messages);
        }
        for (answer, count) in other.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        self.doubtful.extend(other.doubtful);
        self.removed.extend(other.removed);
        self.closed.extend(other.closed);
        self.wrong.extend(other.wrong);
    }

    /// How many messages were acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.values().map(BTreeSet::len).sum()
    }
}

/// A message with that name: whoever finds it sees whether it is whole.
pub(crate) fn letter(name: &str) -> Vec<u8> {
    let line = format!("{name} 0123456789abcdefghijklmnopqrstuvwxyz\r\n");
    let body = line.repeat(name.len() * 3);
    format!("Subject: {name}\r\n\r\n{body}end of {name}\r\n").into_bytes()
}

/// The name of a message that came back.
pub(crate) fn name_of(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
    subject.map(|name| name.trim().to_owned())
}

/// What another system calls a message that came.
pub(crate) fn name_if_whole(message: &[u8]) -> String {
    let name = name_of(message).filter(|name| message.ends_with(&letter(name)));
    name.unwrap_or_else(|| "torn".to_owned())
}
