//! The follower: puts what is durable into the engine, in large batches, when nobody waits.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Overlay, Partitions, checkpoint};
use crate::{StoreError, disk::Disk, journal::Journal, metrics};

/// Applies rounds, and writes checkpoints.
pub(crate) struct Follower {
    journal: Arc<Journal>,
    overlay: Arc<Overlay>,
    partitions: Arc<Partitions>,
    disk: Arc<dyn Disk>,
    checkpoint_octets: u64,
    /// So many octets of rows may wait in memory while a checkpoint is written.
    hurry_octets: usize,
    format: checkpoint::Format,
    /// Octets applied since the latest checkpoint.
    since: u64,
    /// How large the latest checkpoint is, and its LSN.
    size: checkpoint::Size,
    latest: u64,
    /// All up to here is in the engine.
    pub(crate) applied: u64,
    /// Journal frames up to here are needed by no checkpoint that is kept.
    pub(crate) floor: u64,
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    pub(crate) rows: usize,
    pub(crate) checkpoint: bool,
}

/// What it is time for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    Round,
    OtherWork,
}

/// How the follower is woken.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    state: Mutex<Bell>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct Bell {
    /// Since when something waits to be applied.
    since: Option<Instant>,
    hurry: bool,
    /// What else the thread is to do, before it waits any longer.
    errand: Option<fn()>,
    stopped: bool,
}

impl Follow {
    /// Waits for as long as a row does; `false` when it is time to end.
    pub(crate) fn rest(&self) -> bool {
        let bell = self.lock();
        let rested = self
            .rung
            .wait_timeout_while(bell, LINGER, |bell| !bell.stopped);
        !rested.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    /// Something became durable; `hurry` when much of it waits.
    pub(crate) fn ring(&self, hurry: bool) {
        let mut bell = self.lock();
        let first = bell.since.is_none();
        bell.since.get_or_insert_with(Instant::now);
        let wake = first || (hurry && !bell.hurry);
        bell.hurry |= hurry;
        drop(bell);
        if wake {
            self.rung.notify_one();
        }
    }

    /// Has the thread do this before it waits any longer.
    pub(crate) fn send(&self, errand: fn()) {
        self.lock().errand = Some(errand);
        self.rung.notify_one();
    }

    /// Lets the follower end.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.rung.notify_one();
    }

    /// Waits until it is time for a round, or for other work; `None` when it is time to end.
    pub(crate) fn wait(&self, other_work: Instant) -> Option<Due> {
        let mut bell = self.lock();
        loop {
            if bell.stopped {
                return None;
            }
            let now = Instant::now();
            let round_at = bell.since.map(|since| since + LINGER);
            if bell.hurry || round_at.is_some_and(|at| at <= now) {
                bell.since = None;
                bell.hurry = false;
                return Some(Due::Round);
            }
            if other_work <= now {
                return Some(Due::OtherWork);
            }
            if let Some(errand) = bell.errand.take() {
                drop(bell);
                errand();
                bell = self.lock();
                continue;
            }
            let next = round_at.map_or(other_work, |at| at.min(other_work));
            let woken = self.rung.wait_timeout(bell, next - now);
            bell = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Bell> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// A follower whose engine has all that is durable. `since`: octets of changes that no
    /// checkpoint has, as far as is known. `format`: that of the checkpoints it writes.
    pub(crate) fn new(
        journal: Arc<Journal>,
        overlay: Arc<Overlay>,
        partitions: Arc<Partitions>,
        disk: Arc<dyn Disk>,
        (checkpoint_octets, hurry_octets): (u64, usize),
        (since, format): (u64, checkpoint::Format),
    ) -> Result<Self, StoreError> {
        checkpoint::forget_unfinished(&*disk);
        let kept = checkpoint::list(&*disk)?;
        let size = match kept.first() {
            Some(&lsn) => checkpoint::size(&*disk, lsn)?,
            None => checkpoint::Size::default(),
        };
        let applied = journal.durable();
        overlay.set_engine_has(applied);
        Ok(Self {
            journal,
            overlay,
            partitions,
            disk,
            checkpoint_octets,
            hurry_octets,
            format,
            since,
            size,
            latest: kept.first().copied().unwrap_or(0),
            applied,
            floor: kept.get(1).copied().unwrap_or(0),
        })
    }

    /// Applies all that is durable now.
    pub(crate) fn round(&mut self) -> Result<Round, StoreError> {
        let lsn = self.journal.durable();
        let mut round = Round::default();
        if lsn == self.applied {
            return Ok(round);
        }
        round.rows = self.apply_all(lsn)?;
        if self.since >= self.checkpoint_octets.max(self.size.rows) && self.has_room() {
            self.checkpoint()?;
            round.checkpoint = true;
        }
        Ok(round)
    }

    /// Applies all up to that LSN; yields how many rows that were.
    fn apply_all(&mut self, lsn: u64) -> Result<usize, StoreError> {
        let begun = Instant::now();
        let mut rows = 0;
        for partition in 0..self.partitions.count() {
            rows += self.apply(partition, lsn)?;
        }
        self.applied = lsn;
        self.overlay.set_engine_has(lsn);
        metrics::APPLIED.add(rows as u64, &[]);
        metrics::APPLY_SECONDS.observe(begun.elapsed().as_secs_f64(), &[]);
        metrics::LAG.set(self.overlay.octets() as f64, &[]);
        Ok(rows)
    }

    /// Whether a checkpoint as large as the latest would find room. On a full disk to begin
    /// one again and again would only be in the way.
    pub(crate) fn has_room(&self) -> bool {
        self.disk.free().is_ok_and(|free| free > self.size.file)
    }

    /// Gives back memory that the engine holds and nobody uses, or beyond its caches. To be called
    /// every few seconds.
    pub(crate) fn trim(&self) -> Result<(), StoreError> {
        // An engine may write as it is opened: on a full disk one that is well would be lost.
        if self.disk.free().is_ok_and(|free| free > TRIM_ROOM) {
            self.partitions.trim()?;
        }
        Ok(())
    }

    /// Octets of the rows in the latest checkpoint: so much is read for the next one, however short
    /// they become there.
    pub(crate) const fn rows_octets(&self) -> u64 {
        self.size.rows
    }

    /// Whether nothing was applied since the latest checkpoint.
    pub(crate) const fn is_at_checkpoint(&self) -> bool {
        self.latest == self.applied
    }

    /// Writes all rows to a checkpoint.
    pub(crate) fn checkpoint(&mut self) -> Result<(), StoreError> {
        let written = self.try_checkpoint();
        if written.is_err() {
            // On a full disk what was written of it is what everybody else lacks.
            checkpoint::forget_unfinished(&*self.disk);
        }
        written
    }

    fn try_checkpoint(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        // Two checkpoints later the journal up to here may be gone. A process that is killed then
        // must not leave a partition that never got so far, because its engine was slow to write.
        self.partitions.flush()?;
        let (lsn, since) = (self.applied, self.since);
        let disk = self.disk.clone();
        let mut writing = checkpoint::Writing::begin(&*disk, lsn, self.format)?;
        for partition in 0..self.partitions.count() {
            let mut from = Some(b"A".to_vec());
            while let Some(at) = from {
                from = self.write_some(&mut writing, partition, &at)?;
                // Whoever writes meanwhile must not wait for room in memory. That rows written
                // from here on are newer than the checkpoint says does no harm: every operation
                // is absolute, and all that came later is applied again.
                if self.overlay.octets() > self.hurry_octets {
                    self.apply_all(self.journal.durable())?;
                }
            }
        }
        let (size, floor) = writing.finish()?;
        self.size = size;
        self.latest = lsn;
        self.since -= since;
        self.floor = floor.unwrap_or(0);
        metrics::CHECKPOINT_SECONDS.observe(begun.elapsed().as_secs_f64(), &[]);
        Ok(())
    }

    /// Writes some rows of a partition to a checkpoint; yields where to go on.
    fn write_some(
        &self,
        writing: &mut checkpoint::Writing<'_>,
        partition: usize,
        from: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let class = Partitions::class(partition);
        let (mut rows, mut next, mut failed) = (0, None, None);
        self.partitions
            .scan(partition, from, b"~", &mut |key, value| {
                if rows == CHECKPOINT_ROWS {
                    next = Some(key.to_vec());
                    return false;
                }
                rows += 1;
                failed = writing.row(class, key, value).err();
                failed.is_none()
            })?;
        failed.map_or(Ok(next), Err)
    }

    fn apply(&mut self, partition: usize, lsn: u64) -> Result<usize, StoreError> {
        let mut from = Bytes::new();
        let mut count = 0;
        loop {
            let (rows, next) = self.overlay.due(partition, &from, lsn, ROWS);
            count += rows.len();
            let octets = |(key, value): &(Bytes, Option<Bytes>)| {
                (key.len() + value.as_ref().map_or(0, Bytes::len) + 8) as u64
            };
            self.since += rows.iter().map(octets).sum::<u64>();
            let last = next.is_none();
            self.partitions
                .apply(partition, rows, last.then_some(lsn))?;
            self.overlay.applied(partition, &from, next.as_ref(), lsn);
            match next {
                Some(next) => from = next,
                None => return Ok(count),
            }
        }
    }
}

/// How long a row may wait in memory before it goes to the engine: most of a queue's rows have come
/// and gone by then, counters of a mailbox have taken each other's place, and neighbours go into
/// one block together. Whoever writes so much that memory fills up does not wait so long.
const LINGER: Duration = Duration::from_secs(2);

/// Rows in one batch.
const ROWS: usize = 4096;

/// Much more than an engine writes as it is opened.
const TRIM_ROOM: u64 = 64 * 1024 * 1024;

/// Rows of a checkpoint that are written before it is looked whether much waits.
const CHECKPOINT_ROWS: usize = 8192;
