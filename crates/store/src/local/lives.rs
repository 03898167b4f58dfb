//! From one life of the store to the next: what it stands on may fail and be opened anew, while
//! everybody keeps the handle that they have.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    config::Config,
    keeper::{Local, Shared},
    marks::{self, Clean, Formats},
    progress,
    report::Opened,
    threads::Workers,
};
use crate::{
    StoreError,
    batch::Batch,
    desk::Store,
    directory::Engines,
    disk::{Disk, Lock},
    keeper::{Clock, Keeper},
    port::Pending,
};

/// What all lives of a store have in common.
pub(super) struct Ground {
    pub(super) clock: Clock,
    pub(super) config: Config,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) engines: Arc<dyn Engines>,
    /// The folder stays ours from one life to the next.
    pub(super) lock: Arc<Lock>,
}

/// What the next life must not repeat.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// The epoch of the latest life: owners of that time are refused.
    pub(super) epoch: u64,
    /// A generation that no batch of an earlier life has.
    pub(super) generation: u64,
}

impl Store<Local> {
    /// Resolves when the store has ended and should be opened anew with [`Store::reopen`]: one of
    /// its threads has died, or its directory is broken. It does not resolve for a store that is
    /// closed or dropped, but fails with [`StoreError::Lost`].
    pub fn ended(&self) -> Pending<()> {
        match self.keeper.shared() {
            Ok(shared) => shared.ended.wait(),
            // The last attempt to open it anew has failed.
            Err(_) => Pending::ready(Ok(())),
        }
    }

    /// Resolves when nothing that was handed in before is on its way any more: it is durable and
    /// whoever reads sees it. When it fails, what was on its way is lost and will never be seen. Whoever
    /// follows somebody who wrote waits for this before it reads.
    pub fn settled(&self) -> Pending<()> {
        let (promise, pending) = Pending::promise();
        let empty = Batch::new(self.keeper.generation());
        self.keeper
            .commit(empty, Box::new(|result| promise.keep(result)));
        pending
    }

    /// Opens the store anew, as after a crash: what was acknowledged is there, the owners of
    /// before are refused ([`StoreError::Fenced`]), and all handles stay good. Until it returns,
    /// and after it failed, every call on the store fails with [`StoreError::Lost`]. It takes as
    /// long as opening: call it from a thread that may wait. May be called again.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StoreError::Busy`] when somebody reads from the old store for longer
    /// than a minute.
    pub fn reopen(&self) -> Result<Opened, StoreError> {
        let mut workers = self.workers();
        self.renew(&mut workers, |shared, workers| {
            self.start_on(shared, workers)
        })
    }

    /// Opens the store anew; `start` sets the threads to work before anybody knows of it.
    pub(super) fn renew(
        &self,
        workers: &mut Workers,
        start: impl FnOnce(&Arc<Shared>, &mut Workers) -> Result<(), StoreError>,
    ) -> Result<Opened, StoreError> {
        let keeper = &self.keeper;
        self.retire(workers)?;
        let before = Before {
            epoch: keeper.epoch.load(Ordering::Acquire),
            generation: keeper.generation.load(Ordering::Acquire),
        };
        let (shared, at_hand, opened) = keeper.ground.open(true, before, progress::nobody())?;
        let shared = Arc::new(shared);
        *workers = at_hand;
        start(&shared, workers)?;
        keeper.epoch.store(shared.epoch, Ordering::Release);
        *keeper.life.write().unwrap_or_else(PoisonError::into_inner) = Some(shared);
        keeper.awaited.tell();
        Ok(opened)
    }

    /// Ends the store in good order: everything is in the directory and on stable storage, and
    /// the next start replays nothing. Nothing is written or read from now on; the folder is free
    /// when the last clone of the store is dropped.
    ///
    /// # Errors
    /// When the disk refuses; the next start then finds what a crash would have left.
    pub fn close(&self) -> Result<(), StoreError> {
        let shared = self.keeper.shared()?;
        let mut workers = self.workers();
        workers.stop(&shared);
        let Workers::AtHand(writer, upkeep) = &mut *workers else {
            return Err(StoreError::Lost);
        };
        let (segment, end) = writer.finish()?;
        upkeep.follower.round()?;
        let applied = upkeep.follower.applied;
        shared.applied.store(applied, Ordering::Relaxed);
        shared.partitions.flush()?;
        let lsn = shared.journal.durable();
        drop(shared);
        // An engine may write until it is dropped: only then what it wrote is made durable, and
        // only then it is said to be whole.
        self.retire(&mut workers)?;
        let ground = &self.keeper.ground;
        ground.engines.persist()?;
        marks::write_clean(&*ground.disk, Clean { lsn, segment, end })
    }

    /// Which formats the data folder has.
    ///
    /// # Errors
    /// When the disk refuses to be read.
    pub fn formats(&self) -> Result<Formats, StoreError> {
        marks::check_format(&*self.keeper.ground.disk, marks::FORMAT)
    }

    /// Agrees to the newest format: from now on it is written, and no older Heronry opens the
    /// folder any more. What was written before stays as it is and is read for ever.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn commit_format(&self) -> Result<Formats, StoreError> {
        marks::write_format(&*self.keeper.ground.disk, marks::FORMAT)
    }

    /// Whether writes are taken: not after [`Store::close`], nor if one of its threads has died.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let shared = self.keeper.shared();
        shared.is_ok_and(|shared| shared.journal.is_running())
    }

    /// Resolves when writes are taken: at once, or as soon as [`Store::reopen`] has succeeded. It
    /// fails with [`StoreError::Lost`] when the store is dropped before that.
    pub fn running(&self) -> Pending<()> {
        self.keeper.awaited.wait(|| self.is_running())
    }

    /// What the first opening came upon; [`Store::reopen`] tells of its own.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.keeper.opened
    }

    /// Ends the present life, if there is one, and waits until nobody has anything of it any
    /// more: its engine must be dropped before another one is opened in its place.
    fn retire(&self, workers: &mut Workers) -> Result<(), StoreError> {
        let keeper = &self.keeper;
        let life = {
            let mut life = keeper.life.write().unwrap_or_else(PoisonError::into_inner);
            life.take()
        };
        let old = match (life, std::mem::replace(workers, Workers::Gone(None))) {
            (Some(shared), mut at_work) => {
                at_work.stop(&shared);
                if let Workers::AtHand(mut writer, _) = at_work
                    && let Err(error) = writer.finish()
                {
                    tracing::warn!(%error, "the journal's last segment was not ended in order");
                }
                shared
            }
            (None, Workers::Gone(Some(shared))) => shared,
            (None, _) => return Ok(()),
        };
        let next = old.journal.generation() + 1;
        keeper.generation.store(next, Ordering::Release);
        let begun = Instant::now();
        while Arc::strong_count(&old) > 1 {
            if begun.elapsed() > LEAVE_WAIT {
                *workers = Workers::Gone(Some(old));
                return Err(StoreError::Busy);
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Nobody reads for so long, but a check of the whole store.
const LEAVE_WAIT: Duration = Duration::from_secs(60);
