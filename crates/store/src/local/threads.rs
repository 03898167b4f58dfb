//! Who works in the background: the journal's writer and the directory's follower, each on a
//! thread of its own.

use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
};

use super::{
    keeper::{Local, Shared},
    marks::{self, Clean},
    report::Stats,
};
use crate::{
    StoreError,
    desk::{Store, WeakStore},
    directory::Follower,
    journal::{self, Journal, SegmentHead, Writer, disk_error},
    keys::{self, Class},
    metrics, record,
};

/// The two of them: at work, or at hand.
pub(super) enum Workers {
    AtHand(Box<Writer>, Box<Follower>),
    AtWork(JoinHandle<Writer>, JoinHandle<Follower>),
    Gone,
}

impl Workers {
    /// Ends the threads: what was handed in is still written, but not put into the directory.
    pub(super) fn stop(&mut self, shared: &Shared) {
        shared.journal.stop();
        let (writer, follower) = match std::mem::replace(self, Self::Gone) {
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
        let failed = |error: io::Error| disk_error("start a thread", &error);
        let shared = self.keeper.shared.clone();
        let mut workers = self.workers();
        let Workers::AtHand(mut writer, mut follower) =
            std::mem::replace(&mut *workers, Workers::Gone)
        else {
            return Ok(());
        };
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let guard = Abandon(shared.journal.clone());
        // Nobody joins a writer that drops the store itself: the folder stays ours until it ends.
        let folder = shared.clone();
        let writing = named("store-journal")
            .spawn(move || {
                let (_folder, _guard) = (folder, guard);
                writer.run();
                *writer
            })
            .map_err(failed)?;
        let weak = self.downgrade();
        let guard = Abandon(shared.journal.clone());
        let following = named("store-directory")
            .spawn(move || {
                let _guard = guard;
                follow(&shared, &mut follower, &weak);
                *follower
            })
            .map_err(failed)?;
        *workers = Workers::AtWork(writing, following);
        // What the last process left to be purged.
        self.keeper.shared.follow.ring(false);
        Ok(())
    }

    /// Ends the store in good order: everything is in the directory and on stable storage, and
    /// the next start replays nothing. Writes are refused from now on; the folder is free when
    /// the last clone of the store is dropped.
    ///
    /// # Errors
    /// When the disk refuses; the next start then finds what a crash would have left.
    pub fn close(&self) -> Result<(), StoreError> {
        let shared = &self.keeper.shared;
        let mut workers = self.workers();
        workers.stop(shared);
        let Workers::AtHand(writer, follower) = &mut *workers else {
            return Err(StoreError::Lost);
        };
        let (segment, end) = writer.finish()?;
        follower.round()?;
        shared.applied.store(follower.applied, Ordering::Relaxed);
        shared.partitions.flush()?;
        shared.engines.persist()?;
        let lsn = shared.journal.durable();
        marks::write_clean(&*shared.disk, Clean { lsn, segment, end })?;
        *workers = Workers::Gone;
        Ok(())
    }

    /// Whether writes are taken: not after [`Store::close`], nor if one of its threads has died.
    /// Such a store is dropped and opened anew.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.keeper.shared.journal.is_running()
    }

    /// How the store stands.
    ///
    /// # Errors
    /// When the journal's folder cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let shared = &self.keeper.shared;
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
struct Abandon(Arc<Journal>);

impl Drop for Abandon {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abandon();
        }
    }
}

/// The follower's thread: a round whenever there is something to do, until it is stopped.
fn follow(shared: &Arc<Shared>, follower: &mut Follower, store: &WeakStore<Local>) {
    let mut busy = false;
    while shared.follow.wait(busy) {
        busy = false;
        if let Err(error) = round(shared, follower) {
            tracing::error!(%error, "the directory does not follow the journal");
            shared.follow.ring(false);
            continue;
        }
        shared.look_at_free();
        let Some(store) = store.upgrade() else {
            continue;
        };
        let (told, heard) = mpsc::channel();
        match store.purge_some() {
            Ok(Some(pending)) => {
                pending.then(move |result| {
                    let _ = told.send(result.is_ok()); // this thread waits for it
                });
                busy = heard.recv() == Ok(true);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a removed mailbox cannot be purged"),
        }
    }
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
    match shared.partitions.get(partition, &key)? {
        Some(octets) => Ok(record::read_count(&octets)? > 0),
        None => Ok(false),
    }
}
