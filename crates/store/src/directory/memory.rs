//! An engine in memory for tests: of what it did not flush a killed process may leave nothing, and
//! it loses its power with the rest.

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
    now: Rows,
    flushed: Rows,
}

#[derive(Clone, Default)]
struct Rows {
    rows: BTreeMap<Bytes, Bytes>,
    applied: Option<u64>,
}

/// What all partitions held at some time.
pub(crate) struct Held(Vec<(String, Rows)>);

impl MemoryEngines {
    /// Does something when rows are read the next time.
    pub(crate) fn at_next_scan(&self, what: impl FnOnce() + Send + 'static) {
        lock(&self.1.0).scan = Some(Box::new(what));
    }

    /// Does something when rows are applied the next time.
    pub(crate) fn at_next_apply(&self, what: impl FnOnce() + Send + 'static) {
        lock(&self.1.0).apply = Some(Box::new(what));
    }

    /// The process is killed: each partition in turn is asked whether it still has more than it
    /// has flushed.
    pub(crate) fn kill_process(&self, mut has: impl FnMut() -> bool) {
        for engine in lock(&self.0).values() {
            let mut content = lock(&engine.0);
            if !has() {
                content.now = content.flushed.clone();
            }
        }
    }

    /// What all partitions hold.
    pub(crate) fn hold(&self) -> Held {
        let all = lock(&self.0);
        let one =
            |(name, engine): (&String, &MemoryEngine)| (name.clone(), lock(&engine.0).now.clone());
        Held(all.iter().map(one).collect())
    }

    /// Puts back what they held.
    pub(crate) fn put_back(&self, held: Held) {
        let all = lock(&self.0);
        for (name, rows) in held.0 {
            lock(&all[&name].0).now = rows;
        }
    }

    /// The power is cut: what is left is not to be trusted.
    pub(crate) fn cut_power(&self) {
        for engine in lock(&self.0).values() {
            let mut content = lock(&engine.0);
            let content = &mut content.now;
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
        Ok(lock(&self.0).now.rows.get(key).cloned())
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
            .now
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
        let content = &mut content.now;
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
        Ok(lock(&self.0).now.applied)
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut content = lock(&self.0);
        content.flushed = content.now.clone();
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
