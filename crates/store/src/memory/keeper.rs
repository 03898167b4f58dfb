//! Rows and bodies in maps; whatever is committed counts as durable at once.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use mail::Time;

use crate::{
    StoreError,
    batch::{Batch, Placed},
    desk::Store,
    keeper::{Ack, Clock, Keeper, Seen},
    keys::Class,
    port::{Body, BodyRef, BodyWriter, Chunk, Draft, Part, Pending, Sink},
};

/// A keeper of rows and bodies in memory.
pub struct Memory {
    clock: Clock,
    rows: RwLock<Rows>,
}

#[derive(Default)]
struct Rows {
    rows: BTreeMap<(Class, Bytes), Bytes>,
    bodies: HashMap<u64, Bytes>,
    next_body: u64,
}

impl Store<Memory> {
    /// An empty store with a clock of its own: it begins in 2026, and each look at it is a
    /// millisecond later.
    #[must_use]
    pub fn new() -> Self {
        let ticks = AtomicU64::new(BEGIN.0);
        Self::with_clock(Arc::new(move || {
            Time(ticks.fetch_add(1, Ordering::Relaxed))
        }))
    }

    /// An empty store.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        let memory = Memory {
            clock,
            rows: RwLock::default(),
        };
        Self::over(Arc::new(memory), HEADS_OCTETS)
    }
}

impl Default for Store<Memory> {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    fn with<T>(&self, look: impl FnOnce(&Rows) -> T) -> T {
        look(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn try_commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let rows = &mut *rows;
        let mut placed = Vec::with_capacity(batch.bodies().len());
        for draft in batch.bodies() {
            rows.next_body += 1;
            rows.bodies.insert(rows.next_body, joined(draft));
            placed.push(Placed {
                number: rows.next_body,
                spans: Vec::new(),
            });
        }
        let sealed = batch.seal(&placed, &|class, key| {
            let key = (class, Bytes::copy_from_slice(key));
            Ok(rows.rows.get(&key).cloned())
        })?;
        for op in sealed.iter() {
            match op.value {
                Some(value) => rows.rows.insert((op.class, op.key), value),
                None => rows.rows.remove(&(op.class, op.key)),
            };
        }
        for number in sealed.dead {
            rows.bodies.remove(&number);
        }
        Ok(())
    }
}

impl Keeper for Memory {
    fn get(&self, _: Seen, class: Class, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let key = (class, Bytes::copy_from_slice(key));
        Ok(self.with(|rows| rows.rows.get(&key).cloned()))
    }

    fn scan(
        &self,
        _: Seen,
        class: Class,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        // A few at a time: whoever looks may write in between.
        let mut from = Bound::Included((class, Bytes::copy_from_slice(from)));
        let until = Bound::Excluded((class, Bytes::copy_from_slice(until)));
        loop {
            let some: Vec<_> = self.with(|rows| {
                let range = rows.rows.range((from.clone(), until.clone()));
                let range = range
                    .take(SOME)
                    .map(|(key, value)| (key.clone(), value.clone()));
                range.collect()
            });
            for (key, value) in &some {
                if !each(&key.1, value) {
                    return Ok(());
                }
            }
            match some.last() {
                Some((key, _)) if some.len() == SOME => from = Bound::Excluded(key.clone()),
                _ => return Ok(()),
            }
        }
    }

    fn generation(&self) -> u64 {
        0
    }

    fn commit(&self, batch: Batch, ack: Ack) {
        ack(self.try_commit(batch));
    }

    fn is_alone(&self) -> bool {
        true
    }

    fn draft(&self) -> BodyWriter {
        BodyWriter::new(Arc::new(NoSink), false)
    }

    fn read(&self, body: &BodyRef) -> Result<Body, StoreError> {
        self.with(|rows| rows.bodies.get(&body.blob).cloned())
            .map(Body::whole)
            .ok_or_else(|| StoreError::Missing {
                what: format!("body {}", body.blob),
            })
    }

    fn epoch(&self) -> u64 {
        1
    }

    fn now(&self) -> Time {
        (self.clock)()
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// Large bodies stay in memory with everything else.
#[derive(Debug)]
struct NoSink;

impl Sink for NoSink {
    fn spill(&self, _: &mut Part) -> Option<(Result<Chunk, StoreError>, Pending<()>)> {
        None
    }

    fn release(&self, _: &[Chunk]) {}
}

fn joined(draft: &Draft) -> Bytes {
    let rest = &draft.rest;
    if let [whole] = &*rest.pieces {
        return whole.clone();
    }
    let mut octets = BytesMut::with_capacity(rest.octets);
    for piece in &rest.pieces {
        octets.extend_from_slice(piece);
    }
    octets.freeze()
}

const SOME: usize = 256;

/// Bodies are in memory in any case.
const HEADS_OCTETS: usize = 1024 * 1024;

/// 2026-11-22T00:00:00Z.
const BEGIN: Time = Time::from_seconds(1_795_305_600);
