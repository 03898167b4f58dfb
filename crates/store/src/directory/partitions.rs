//! Which rows lie in which partition: a broken one costs only itself.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::{Engine, Row};
use crate::{StoreError, keys::Class};

/// The partitions, all open.
pub(crate) struct Partitions {
    engines: Vec<Box<dyn Engine>>,
    /// One of them has failed somebody. An engine that has failed once fails for ever, until it
    /// is opened anew.
    broken: AtomicBool,
}

impl Partitions {
    pub(crate) fn new(engines: Vec<Box<dyn Engine>>) -> Self {
        Self {
            engines,
            broken: AtomicBool::new(false),
        }
    }

    /// Whether one of them has failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|_| self.broken.store(true, Ordering::Relaxed))
    }

    /// The names of the partitions, when mail is spread over that many.
    pub(crate) fn names(mail: usize) -> Vec<String> {
        let mut names = vec!["house".to_owned(), "queue".to_owned(), "blobs".to_owned()];
        names.extend((0..mail).map(|number| format!("mail-{number:02}")));
        names
    }

    /// Which of `count` partitions holds a key; `None` for the beginning of keys that may lie in
    /// any of mail's.
    pub(crate) fn of(count: usize, class: Class, key: &[u8]) -> Option<usize> {
        match class {
            Class::House => Some(0),
            Class::Queue => Some(1),
            Class::Blobs => Some(2),
            Class::Mail => {
                let account = key.get(1..9)?.first_chunk()?;
                let mail = (count - MAIL_FROM) as u64;
                let number = u64::from_be_bytes(*account) % mail;
                Some(MAIL_FROM + usize::try_from(number).unwrap_or(0))
            }
        }
    }

    /// The partitions of mail among `count`.
    pub(crate) const fn mail(count: usize) -> std::ops::Range<usize> {
        MAIL_FROM..count
    }

    /// The class of the rows in a partition.
    pub(crate) const fn class(partition: usize) -> Class {
        match partition {
            0 => Class::House,
            1 => Class::Queue,
            2 => Class::Blobs,
            _ => Class::Mail,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.engines.len()
    }

    pub(crate) fn get(&self, partition: usize, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.note(self.engines[partition].get(key))
    }

    pub(crate) fn scan(
        &self,
        partition: usize,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.note(self.engines[partition].scan(from, until, each))
    }

    pub(crate) fn apply(
        &self,
        partition: usize,
        rows: Vec<Row>,
        applied: Option<u64>,
    ) -> Result<(), StoreError> {
        self.note(self.engines[partition].apply(rows, applied))
    }

    /// Gives back memory: all that is held by those whom nobody uses any more, and of the others
    /// what they hold beyond their caches, one at a time, because it is some work. To be called every
    /// few seconds by the thread that applies.
    pub(crate) fn trim(&self) -> Result<(), StoreError> {
        let mut may_work = true;
        for engine in &self.engines {
            may_work &= !self.note(engine.trim(may_work))?;
        }
        Ok(())
    }

    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.note(self.engines.iter().try_for_each(|engine| engine.flush()))
    }
}

const MAIL_FROM: usize = 3;
