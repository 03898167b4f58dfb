//! Who works in the background: the journal's writer, and the upkeep of directory and journal, each
//! on a thread of its own.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, PoisonError, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    keeper::{Local, Shared},
    ledger::{Ledger, Sealed},
    report::{SegmentReport, Stats},
    upkeep::Upkeep,
};
use crate::{
    StoreError,
    desk::{Store, WeakStore},
    directory::{Due, checkpoint},
    journal::{self, Writer, disk_error},
};

/// The two of them: at work, or at hand.
pub(super) enum Workers {
    AtHand(Box<Writer>, Box<Upkeep>),
    AtWork(JoinHandle<Writer>, JoinHandle<Upkeep>),
    /// What they worked for may still be in somebody's hands.
    Gone(Option<Arc<Shared>>),
}

impl Workers {
    /// Ends the threads: what was handed in is still written, but not put into the directory.
    pub(super) fn stop(&mut self, shared: &Shared) {
        shared.journal.stop();
        let (writer, upkeep) = match std::mem::replace(self, Self::Gone(None)) {
            Self::AtWork(writer, upkeep) => (writer, upkeep),
            other => {
                *self = other;
                return;
            }
        };
        let own = thread::current().id();
        // Whoever drops the store last may be one of the two, in an acknowledgement.
        let writer = (writer.thread().id() != own).then(|| writer.join());
        shared.follow.stop();
        let upkeep = (upkeep.thread().id() != own).then(|| upkeep.join());
        if let (Some(Ok(writer)), Some(Ok(upkeep))) = (writer, upkeep) {
            *self = Self::AtHand(Box::new(writer), Box::new(upkeep));
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
        let (mut writer, mut upkeep) = match std::mem::replace(workers, Workers::Gone(None)) {
            Workers::AtHand(writer, upkeep) => (writer, upkeep),
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
                follow(&guard.0, &mut upkeep, &weak);
                *upkeep
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

    /// Has each thread of the store do this, soon: when it has nothing else to do. It has to be short, and must not
    /// panic. A store that has ended, or whose next life begins meanwhile, may leave it undone.
    ///
    /// The thread that writes zeros allocates nothing, and is left asleep.
    pub fn on_each_thread(&self, errand: fn()) {
        if let Ok(shared) = self.keeper.shared() {
            shared.journal.send(errand);
            shared.follow.send(errand);
        }
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

    /// All sealed segments of the journal, ascending.
    ///
    /// # Errors
    /// When the journal's folder cannot be read.
    pub fn segments(&self) -> Result<Vec<SegmentReport>, StoreError> {
        let shared = self.keeper.shared()?;
        let kept = checkpoint::list(&*shared.disk)?;
        let floor = kept.get(1).copied().unwrap_or(0);
        let report = |segment: Sealed| SegmentReport {
            number: segment.number,
            octets: segment.octets,
            live_octets: segment.live,
            needed: segment.last_lsn > floor,
        };
        let sealed = Ledger::default().look(&shared)?;
        Ok(sealed.into_iter().map(report).collect())
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

/// The thread of all upkeep: a round whenever there is something to apply, and in between what
/// gives room back, until it is stopped, or until the engine is broken and there is room to make
/// it anew.
fn follow(shared: &Arc<Shared>, upkeep: &mut Upkeep, store: &WeakStore<Local>) {
    let mut panics = 0;
    let mut next = Instant::now() + LONG;
    while let Some(due) = shared.follow.wait(next) {
        if shared.partitions.is_broken() {
            return end_when_there_is_room(shared);
        }
        // What was done before it failed is done again: every operation is absolute.
        match catch_unwind(AssertUnwindSafe(|| work(shared, upkeep, store, due))) {
            Ok(Ok(at)) => {
                panics = 0;
                next = at;
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the directory does not follow the journal");
                shared.follow.ring(false);
                next = Instant::now() + LONG;
            }
            Err(panic) => {
                panics += 1;
                if panics >= PANICS_MAX {
                    resume_unwind(panic);
                }
                tracing::error!(panics, "the directory's follower panicked and goes on");
                shared.follow.ring(false);
                next = Instant::now() + LONG;
            }
        }
    }
}

/// Does what is due, and yields when there is more to do.
fn work(
    shared: &Arc<Shared>,
    upkeep: &mut Upkeep,
    store: &WeakStore<Local>,
    due: Due,
) -> Result<Instant, StoreError> {
    if due == Due::Round {
        upkeep.round(shared)?;
        shared.look_at_free();
    }
    // On a disk that refuses it there is nothing to vouch for either.
    if due == Due::OtherWork
        && let Err(error) = upkeep.vouch(shared)
    {
        tracing::debug!(%error, "the end of the journal is not vouched for");
    }
    if due == Due::Round || upkeep.purges {
        upkeep.purges = purge(store);
    }
    let next = upkeep.reclaim(shared).unwrap_or_else(|error| {
        // It costs room and nothing else, and is tried again.
        if !matches!(error, StoreError::Busy | StoreError::Lost) {
            tracing::warn!(%error, "room in the journal is not given back yet");
        }
        Instant::now() + LONG
    });
    Ok(if upkeep.purges { Instant::now() } else { next })
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

/// When something else may be tried again: something else mostly rings before.
const LONG: Duration = Duration::from_secs(5);

/// Panics in a row after which the store is better opened anew.
const PANICS_MAX: u32 = 3;

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use mail::Time;

    use super::*;
    use crate::{Config, DiskStore};

    static TELL: OnceLock<mpsc::Sender<String>> = OnceLock::new();

    fn errand() {
        let name = thread::current().name().unwrap_or_default().to_owned();
        TELL.get().unwrap().send(name).unwrap();
    }

    #[test]
    fn threads_that_sleep_are_woken_for_an_errand() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(Config::new(folder.path()), Arc::new(|| Time(0))).unwrap();
        let (tell, told) = mpsc::channel();
        TELL.set(tell).unwrap();
        for _ in 0..2 {
            store.on_each_thread(errand);
            let mut names = [(); 2].map(|()| told.recv_timeout(Duration::from_secs(60)).unwrap());
            names.sort_unstable();
            assert_eq!(names, ["store-directory", "store-journal"]);
        }
    }
}
