//! Who works in the background: the journal's writer and the directory's follower, each on a
//! thread of its own.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, PoisonError, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
};

use super::{
    keeper::{Local, Shared},
    report::Stats,
};
use crate::{
    StoreError,
    desk::{Store, WeakStore},
    directory::Follower,
    journal::{self, SegmentHead, Writer, disk_error},
    keys::{self, Class},
    metrics, record,
};

/// The two of them: at work, or at hand.
pub(super) enum Workers {
    AtHand(Box<Writer>, Box<Follower>),
    AtWork(JoinHandle<Writer>, JoinHandle<Follower>),
    /// What they worked for may still be in somebody's hands.
    Gone(Option<Arc<Shared>>),
}

impl Workers {
    /// Ends the threads: what was handed in is still written, but not put into the directory.
    pub(super) fn stop(&mut self, shared: &Shared) {
        shared.journal.stop();
        let (writer, follower) = match std::mem::replace(self, Self::Gone(None)) {
            Self::AtWork(writer, follower) => (writer, follower),
            other => {
                *self = other;
                return;
            }
        };
        let own = thread::current().id();
        // Whoever drops the store last may be one of the two, in an acknowledgement.
        let writer = (writer.thread().id() != own).then(|| writer.join());
        shared.follow.stop();
        let follower = (follower.thread().id() != own).then(|| follower.join());
        if let (Some(Ok(writer)), Some(Ok(follower))) = (writer, follower) {
            *self = Self::AtHand(Box::new(writer), Box::new(follower));
        }
    }
}

impl Store<Local> {
    /// Sets the threads to work.
    pub(super) fn start(&self) -> Result<(), StoreError> {
        let shared = self.keeper.shared()?;
        self.start_on(&shared, &mut self.workers())
    }

    /// The same for a life that nobody knows of yet.
    pub(super) fn start_on(
        &self,
        shared: &Arc<Shared>,
        workers: &mut Workers,
    ) -> Result<(), StoreError> {
        let failed = |error: io::Error| disk_error("start a thread", &error);
        let (mut writer, mut follower) = match std::mem::replace(workers, Workers::Gone(None)) {
            Workers::AtHand(writer, follower) => (writer, follower),
            other => {
                *workers = other;
                return Ok(());
            }
        };
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        // Nobody joins a writer that drops the store itself: the folder stays ours until it ends.
        let guard = Abandon(shared.clone());
        let writing = named("store-journal")
            .spawn(move || {
                let _guard = guard;
                writer.run();
                *writer
            })
            .map_err(failed)?;
        let guard = Abandon(shared.clone());
        let weak = self.downgrade();
        let following = named("store-directory")
            .spawn(move || {
                follow(&guard.0, &mut follower, &weak);
                *follower
            })
            .map_err(|error| {
                shared.journal.stop();
                failed(error)
            })?;
        *workers = Workers::AtWork(writing, following);
        // What the last process left to be purged.
        shared.follow.ring(false);
        Ok(())
    }

    /// How the store stands.
    ///
    /// # Errors
    /// When the journal's folder cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let shared = self.keeper.shared()?;
        let failed = |error: io::Error| disk_error("look at the journal", &error);
        let numbers = journal::list(&*shared.disk).map_err(failed)?;
        let mut journal_octets = 0;
        for &number in &numbers {
            if let Some(file) = shared.files.segment(number)? {
                journal_octets += file.length().map_err(failed)?;
            }
        }
        let (committed_lsn, queued_octets) = {
            let intake = shared.journal.lock();
            (intake.lsn, intake.queued())
        };
        Ok(Stats {
            segments: numbers.len(),
            journal_octets,
            committed_lsn,
            durable_lsn: shared.journal.durable(),
            applied_lsn: shared.applied.load(Ordering::Relaxed),
            overlay_octets: shared.overlay.octets(),
            queued_octets,
            free_octets: shared.look_at_free(),
            epoch: shared.epoch,
        })
    }

    pub(super) fn workers(&self) -> std::sync::MutexGuard<'_, Workers> {
        let workers = &self.keeper.workers;
        workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When one of the threads panics the store has ended: nobody waits for a writer that is no more,
/// and no row waits in memory for a follower that will not come.
struct Abandon(Arc<Shared>);

impl Drop for Abandon {
    fn drop(&mut self) {
        if thread::panicking() {
            abandon(&self.0);
        }
    }
}

fn abandon(shared: &Shared) {
    shared.journal.abandon();
    shared.ended.tell();
}

/// The follower's thread: a round whenever there is something to do, until it is stopped, or
/// until the engine is broken and there is room to make it anew.
fn follow(shared: &Arc<Shared>, follower: &mut Follower, store: &WeakStore<Local>) {
    let mut busy = false;
    let mut panics = 0;
    while shared.follow.wait(busy) {
        busy = false;
        if shared.partitions.is_broken() {
            return end_when_there_is_room(shared);
        }
        // What a round has done before it failed is done again: every operation is absolute.
        match catch_unwind(AssertUnwindSafe(|| round(shared, follower))) {
            Ok(Ok(())) => panics = 0,
            Ok(Err(error)) => {
                tracing::error!(%error, "the directory does not follow the journal");
                shared.follow.ring(false);
                continue;
            }
            Err(panic) => {
                panics += 1;
                if panics >= PANICS_MAX {
                    resume_unwind(panic);
                }
                tracing::error!(panics, "the directory's follower panicked and goes on");
                shared.follow.ring(false);
                continue;
            }
        }
        shared.look_at_free();
        busy = purge(store);
    }
}

/// Purges some of what is to be purged; whether there may be more.
fn purge(store: &WeakStore<Local>) -> bool {
    let Some(store) = store.upgrade() else {
        return false;
    };
    let (told, heard) = mpsc::channel();
    match store.purge_some() {
        Ok(Some(pending)) => {
            pending.then(move |result| {
                let _ = told.send(result.is_ok()); // this thread waits for it
            });
            heard.recv() == Ok(true)
        }
        Ok(None) => false,
        Err(error) => {
            tracing::error!(%error, "a removed mailbox cannot be purged");
            false
        }
    }
}

/// A broken engine is made anew, which takes a new segment and as much room as it has now. On a
/// full disk the store stays as it is until then: other partitions can still be read, and what is
/// written is kept in memory and in the journal, as far as they have room for it.
fn end_when_there_is_room(shared: &Shared) {
    tracing::error!("the directory is broken and will be opened anew when the disk has room");
    while shared.look_at_free() < 2 * shared.config.segment_octets {
        if !shared.follow.rest() {
            return;
        }
    }
    abandon(shared);
}

/// One round of the follower, with what depends on it.
pub(super) fn round(shared: &Shared, follower: &mut Follower) -> Result<(), StoreError> {
    let round = follower.round()?;
    shared.applied.store(follower.applied, Ordering::Relaxed);
    if round.checkpoint {
        drop_dead_segments(shared, follower.floor)?;
    }
    Ok(())
}

/// Removes segments of which nothing is needed any more: no body, and no operation that a
/// checkpoint would have to be followed by.
pub(super) fn drop_dead_segments(shared: &Shared, floor: u64) -> Result<(), StoreError> {
    let failed = |error: io::Error| disk_error("look at the journal", &error);
    let numbers = journal::list(&*shared.disk).map_err(failed)?;
    metrics::SEGMENTS.set(numbers.len() as f64, &[]);
    let open = shared.journal.lock().tail.segment;
    for pair in numbers.windows(2) {
        let (number, next) = (pair[0], pair[1]);
        if next > open {
            break;
        }
        let Some(file) = shared.files.segment(next)? else {
            continue;
        };
        let Ok(SegmentHead { first_lsn, .. }) = SegmentHead::read(&*file).map_err(failed)? else {
            continue;
        };
        if first_lsn > floor + 1 || shared.journal.lock().is_pinned(number) {
            continue;
        }
        if !is_live(shared, number)? {
            shared.files.remove(number)?;
            tracing::debug!(number, "a journal segment was given back");
        }
    }
    Ok(())
}

/// Whether a body needs the segment, or may: a batch that turns the pins of its chunks into
/// references is not durable for a moment, and neither is one that ends them. While anything
/// about the segment is on its way, it stays.
fn is_live(shared: &Shared, number: u32) -> Result<bool, StoreError> {
    let key = keys::live(number);
    let partition = shared.partition(Class::Blobs, &key)?;
    if shared.overlay.get(partition, &key, u64::MAX).is_some() {
        return Ok(true);
    }
    match shared.look(|partitions| partitions.get(partition, &key))? {
        Some(octets) => Ok(record::read_count(&octets)? > 0),
        None => Ok(false),
    }
}

/// Panics in a row after which the store is better opened anew.
const PANICS_MAX: u32 = 3;
