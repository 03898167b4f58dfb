//! An engine in memory for tests: it outlives a killed process, and loses its power with the rest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{Engine, Engines, Row};
use crate::StoreError;

/// Partitions in memory.
#[derive(Clone, Default)]
pub(crate) struct MemoryEngines(Arc<Mutex<BTreeMap<String, MemoryEngine>>>, Moments);

#[derive(Clone, Default)]
struct MemoryEngine(Arc<Mutex<Content>>, Moments);

/// What is to happen in the middle of something.
#[derive(Clone, Default)]
struct Moments(Arc<Mutex<Moment>>);

#[derive(Default)]
struct Moment {
    scan: Option<Box<dyn FnOnce() + Send>>,
    apply: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Default)]
struct Content {
    rows: BTreeMap<Bytes, Bytes>,
    applied: Option<u64>,
}

impl MemoryEngines {
    /// Does something when rows are read the next time.
    pub(crate) fn at_next_scan(&self, what: impl FnOnce() + Send + 'static) {
        lock(&self.1.0).scan = Some(Box::new(what));
    }

    /// Does something when rows are applied the next time.
    pub(crate) fn at_next_apply(&self, what: impl FnOnce() + Send + 'static) {
        lock(&self.1.0).apply = Some(Box::new(what));
    }

    /// The power is cut: what is left is not to be trusted.
    pub(crate) fn cut_power(&self) {
        for engine in lock(&self.0).values() {
            let mut content = lock(&engine.0);
            // Every third row is lost, and so is the knowledge of it.
            let mut number = 0;
            content.rows.retain(|_, _| {
                number += 1;
                number % 3 != 0
            });
        }
    }
}

impl Engines for MemoryEngines {
    fn open(&self, partition: &str) -> Result<Box<dyn Engine>, StoreError> {
        let mut all = lock(&self.0);
        let new = || MemoryEngine(Arc::default(), self.1.clone());
        Ok(Box::new(
            all.entry(partition.to_owned()).or_insert_with(new).clone(),
        ))
    }

    fn wipe(&self, partition: &str) -> Result<(), StoreError> {
        lock(&self.0).remove(partition);
        Ok(())
    }

    fn persist(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_suspect(&self, _: &str) -> bool {
        false
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(lock(&self.0).rows.get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        if from >= until {
            return Ok(());
        }
        let what = lock(&self.1.0).scan.take();
        if let Some(what) = what {
            what();
        }
        let range = Bytes::copy_from_slice(from)..Bytes::copy_from_slice(until);
        let rows: Vec<_> = lock(&self.0)
            .rows
            .range(range)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for (key, value) in rows {
            if !each(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, rows: Vec<Row>, applied: Option<u64>) -> Result<(), StoreError> {
        let what = lock(&self.1.0).apply.take();
        if let Some(what) = what {
            what();
        }
        let mut content = lock(&self.0);
        for (key, value) in rows {
            match value {
                Some(value) => content.rows.insert(key, value),
                None => content.rows.remove(&key),
            };
        }
        content.applied = applied.or(content.applied);
        Ok(())
    }

    fn applied(&self) -> Result<Option<u64>, StoreError> {
        Ok(lock(&self.0).applied)
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
