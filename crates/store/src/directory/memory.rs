//! An engine in memory for tests: of what it did not flush a killed process may leave nothing, and
//! it loses its power with the rest.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;

use super::{Engine, Engines, Row};
use crate::StoreError;

/// Partitions in memory.
#[derive(Clone, Default)]
pub(crate) struct MemoryEngines(Arc<Mutex<BTreeMap<String, MemoryEngine>>>, Moments);

#[derive(Clone, Default)]
struct MemoryEngine(Arc<Mutex<Content>>, Moments, Dead);

/// Set when an operation has failed: this engine fails for ever, as sled does. One that is opened
/// anew does not.
type Dead = Arc<AtomicBool>;

/// What goes wrong with everything that is applied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum EngineFault {
    #[default]
    None,
    /// It fails, and the engine with it.
    Fails,
    /// It panics.
    Panics,
}

/// What is to happen in the middle of something.
#[derive(Clone, Default)]
struct Moments(Arc<Mutex<Moment>>);

#[derive(Default)]
struct Moment {
    scan: Option<Box<dyn FnOnce() + Send>>,
    apply: Option<Box<dyn FnOnce() + Send>>,
    flush: Option<Box<dyn FnOnce() + Send>>,
    fault: EngineFault,
}

#[derive(Default)]
struct Content {
    suspect: bool,
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

    /// Does something when an engine is flushed the next time.
    pub(crate) fn at_next_flush(&self, what: impl FnOnce() + Send + 'static) {
        lock(&self.1.0).flush = Some(Box::new(what));
    }

    /// What was opened fails from now on, and is not to be trusted.
    pub(crate) fn break_all(&self) {
        for engine in lock(&self.0).values() {
            lock(&engine.0).suspect = true;
            engine.2.store(true, Ordering::Relaxed);
        }
    }

    /// From now on, until another is set.
    pub(crate) fn set_fault(&self, fault: EngineFault) {
        lock(&self.1.0).fault = fault;
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
        let new = || MemoryEngine(Arc::default(), self.1.clone(), Dead::default());
        let found = all.entry(partition.to_owned()).or_insert_with(new);
        found.2 = Dead::default();
        Ok(Box::new(found.clone()))
    }

    fn wipe(&self, partition: &str) -> Result<(), StoreError> {
        lock(&self.0).remove(partition);
        Ok(())
    }

    fn persist(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_suspect(&self, partition: &str) -> bool {
        let all = lock(&self.0);
        let found = all.get(partition);
        found.is_some_and(|engine| lock(&engine.0).suspect)
    }
}

impl EngineFault {
    fn strike(self) {
        assert!(self != Self::Panics, "this panic is expected");
    }
}

impl MemoryEngine {
    fn alive(&self) -> Result<(), StoreError> {
        if self.2.load(Ordering::Relaxed) {
            return Err(StoreError::Damage {
                what: "a simulated partition".to_owned(),
            });
        }
        Ok(())
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.alive()?;
        Ok(lock(&self.0).now.rows.get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.alive()?;
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
        let fault = lock(&self.1.0).fault;
        fault.strike();
        let mut content = lock(&self.0);
        if fault == EngineFault::Fails {
            content.suspect = true;
            self.2.store(true, Ordering::Relaxed);
        }
        self.alive()?;
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
        self.alive()?;
        Ok(lock(&self.0).now.applied)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.alive()?;
        let what = lock(&self.1.0).flush.take();
        if let Some(what) = what {
            what();
        }
        let mut content = lock(&self.0);
        content.flushed = content.now.clone();
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
