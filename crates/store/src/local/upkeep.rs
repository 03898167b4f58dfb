//! What is done for the directory and the journal when nobody waits: rounds of the follower,
//! checkpoints, compaction, and segments given back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    compaction::{Compaction, Step},
    keeper::Shared,
    ledger::{Ledger, Sealed},
};
use crate::{
    StoreError,
    batch::Batch,
    desk::Store,
    directory::Follower,
    keys::{self, Class},
    port::{Pending, Promise},
};

/// What others want of it.
#[derive(Default)]
pub(super) struct Wishes {
    /// Whoever waits until all the room is given back that can be.
    room: Mutex<Vec<Promise<u64>>>,
    /// A checkpoint has rotted: another one is to take its place.
    checkpoint: AtomicBool,
}

/// All that one thread does in turn.
pub(super) struct Upkeep {
    pub(super) follower: Follower,
    pub(super) ledger: Ledger,
    pub(super) compaction: Compaction,
    /// Whether a removed mailbox has more to be purged.
    pub(super) purges: bool,
    /// When the segments are looked at again.
    look_at: Instant,
    /// When the next step of compaction is due.
    step_at: Instant,
    /// Since when no checkpoint was written.
    checkpoint_at: Instant,
    /// Octets given back since somebody wished for it.
    given: u64,
    /// All before it is said to be durable by the frame with this LSN, or was made so by opening.
    vouched: u64,
}

impl Store<super::Local> {
    /// Gives back all the room in the journal that can be given back, at once: segments that are
    /// mostly dead are moved, and checkpoints are written. Resolves with the octets that it was.
    /// It takes as long as the disk takes to move what is alive in them; others go on meanwhile.
    pub fn reclaim(&self) -> Pending<u64> {
        let shared = match self.keeper.shared() {
            Ok(shared) => shared,
            Err(error) => return Pending::ready(Err(error)),
        };
        let (promise, pending) = Pending::promise();
        shared.wishes.lock().push(promise);
        shared.follow.ring(true);
        pending
    }
}

impl Wishes {
    /// Wants another checkpoint, because one has rotted.
    pub(super) fn checkpoint(&self) {
        self.checkpoint.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Promise<u64>>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_there(&self) -> bool {
        !self.lock().is_empty()
    }

    fn end(&self, result: &Result<u64, StoreError>) {
        let wishes = std::mem::take(&mut *self.lock());
        for wish in wishes {
            wish.keep(result.clone());
        }
    }
}

impl Upkeep {
    pub(super) fn new(follower: Follower) -> Self {
        let now = Instant::now();
        let vouched = follower.applied;
        Self {
            follower,
            ledger: Ledger::default(),
            compaction: Compaction::default(),
            purges: false,
            look_at: now + LOOK,
            step_at: now,
            checkpoint_at: now,
            given: 0,
            vouched,
        }
    }

    /// One round of the follower, with what depends on it.
    pub(super) fn round(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let round = self.follower.round()?;
        shared
            .applied
            .store(self.follower.applied, Ordering::Relaxed);
        if round.checkpoint {
            self.checkpoint_at = Instant::now();
            self.drop_dead(shared)?;
        }
        Ok(())
    }

    /// Writes a frame when nobody else does any more. Each says of all before it that it is durable:
    /// after a kill, what is unreadable before it is damage, while at the very end of the journal
    /// it would pass for something that was never acknowledged.
    pub(super) fn vouch(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let written = shared.journal.lock().lsn;
        let is_quiet = written == shared.journal.durable() && written == self.follower.applied;
        if is_quiet && written > self.vouched {
            nudge(shared)?;
            self.vouched = written + 1;
        }
        Ok(())
    }

    /// Gives back what nothing needs any more.
    pub(super) fn drop_dead(&mut self, shared: &Shared) -> Result<u64, StoreError> {
        let octets = self.ledger.drop_dead(shared, self.follower.floor)?;
        if octets > 0 {
            self.given += octets;
            shared.look_at_free();
        }
        Ok(octets)
    }

    /// Does a little of what gives room back, if it is time for it. Yields when it is time again.
    pub(super) fn reclaim(&mut self, shared: &Arc<Shared>) -> Result<Instant, StoreError> {
        let wished = shared.wishes.are_there();
        let done = self.try_reclaim(shared, wished);
        if wished && let Err(error) = &done {
            shared.wishes.end(&Err(error.clone()));
        }
        done
    }

    fn try_reclaim(&mut self, shared: &Arc<Shared>, wished: bool) -> Result<Instant, StoreError> {
        let now = Instant::now();
        if now < self.step_at && !wished {
            return Ok(self.step_at);
        }
        // Whoever waits for an acknowledgement comes first.
        let queued = shared.journal.lock().queued();
        let has_no_room = self.has_no_room(shared);
        if wished && has_no_room {
            let reserve_octets = shared.config.reserve_octets / 2;
            return Err(StoreError::Full { reserve_octets });
        }
        if queued > YIELD_QUEUED_OCTETS || has_no_room {
            self.step_at = now + YIELD;
            return Ok(self.step_at);
        }
        if !self.compaction.is_busy() {
            if now < self.look_at && !wished {
                return Ok(self.look_at);
            }
            self.look_at = now + LOOK;
            self.follower.trim()?;
            if wished {
                self.round(shared)?;
            }
            self.look(shared, wished)?;
            if !self.compaction.is_busy() {
                return Ok(if wished { now + WAIT } else { self.look_at });
            }
        }
        let pace = match self.compaction.step(shared, &mut self.ledger) {
            Ok(Step::Did(_)) if wished || is_hurried(shared) => Duration::ZERO,
            Ok(Step::Did(octets)) => pace(shared, octets),
            Ok(Step::Waits) => WAIT,
            Ok(Step::Idle | Step::Done) => {
                self.look_at = now;
                Duration::ZERO
            }
            Err(error) => {
                self.step_at = now + LOOK;
                return Err(error);
            }
        };
        self.step_at = now + pace;
        Ok(self.step_at)
    }

    /// Looks whether anything can be given back, or could be.
    fn look(&mut self, shared: &Arc<Shared>, wished: bool) -> Result<(), StoreError> {
        self.drop_dead(shared)?;
        self.replace_rotten(shared)?;
        let sealed = self.ledger.look(shared)?;
        let percent = shared.config.compact_below_percent;
        let floor = self.follower.floor;
        self.compaction.begin(&sealed, floor, percent);
        if !self.compaction.is_busy() {
            self.compaction.begin_cold(shared, &sealed, floor)?;
        }
        if self.compaction.is_busy() {
            return Ok(());
        }
        let waits = self.waiting_octets(&sealed, percent);
        if wished {
            if waits > 0 && self.advance(shared)? {
                return Ok(());
            }
            shared.wishes.end(&Ok(std::mem::take(&mut self.given)));
        }
        let since = self.checkpoint_at.elapsed();
        let due = since >= Duration::from_secs(shared.config.reclaim_seconds)
            || is_hurried(shared) && since >= LOOK;
        let worth = waits
            >= self
                .follower
                .rows_octets()
                .max(shared.config.segment_octets);
        if due && worth {
            self.advance(shared)?;
        }
        Ok(())
    }

    /// How many octets could be given back if only the checkpoints were younger.
    fn waiting_octets(&self, sealed: &[Sealed], below_percent: u8) -> u64 {
        let floor = self.follower.floor;
        let waits = |segment: &&Sealed| {
            let live = segment.live.unwrap_or(segment.octets);
            let few = live.saturating_mul(100) < segment.octets * u64::from(below_percent.max(1));
            few && (segment.last_lsn > floor || segment.moved_lsn > floor)
        };
        let dead =
            |segment: &Sealed| segment.octets - segment.live.unwrap_or(0).min(segment.octets);
        sealed.iter().filter(waits).map(dead).sum()
    }

    /// Writes a checkpoint if one has rotted: how long the other one is whole, nobody knows.
    pub(super) fn replace_rotten(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if !shared.wishes.checkpoint.load(Ordering::Relaxed) {
            return Ok(());
        }
        let waits = self.follower.is_at_checkpoint();
        if self.advance(shared)? && !waits {
            shared.wishes.checkpoint.store(false, Ordering::Relaxed);
            tracing::warn!("a checkpoint was written in the place of one that had rotted");
        }
        Ok(())
    }

    /// Writes a checkpoint, so that the older one that is kept is younger; `false` when there is
    /// no room for it.
    fn advance(&mut self, shared: &Shared) -> Result<bool, StoreError> {
        if self.follower.is_at_checkpoint() {
            // Two of the same moment would be one: first something has to happen.
            nudge(shared)?;
            self.look_at = Instant::now() + NUDGED;
            return Ok(true);
        }
        if !self.follower.has_room() {
            return Ok(false);
        }
        self.follower.checkpoint()?;
        self.checkpoint_at = Instant::now();
        self.drop_dead(shared)?;
        Ok(true)
    }

    /// What moves takes room before it gives any back; the last of the reserve is not for that.
    fn has_no_room(&self, shared: &Shared) -> bool {
        self.compaction.is_busy()
            && shared.free.load(Ordering::Relaxed) < shared.config.reserve_octets / 2
            && shared.look_at_free() < shared.config.reserve_octets / 2
    }
}

/// How long the disk is left alone after so much work.
fn pace(shared: &Shared, octets: u64) -> Duration {
    let budget = shared.config.compact_octets_per_second.max(1);
    Duration::from_micros(octets.saturating_mul(1_000_000) / budget)
}

/// Whether new mail is refused for want of room, or will be soon.
fn is_hurried(shared: &Shared) -> bool {
    shared.free.load(Ordering::Relaxed) < 2 * shared.config.reserve_octets
}

/// Commits a batch that changes nothing: it removes a body that no store ever had.
fn nudge(shared: &Shared) -> Result<(), StoreError> {
    let mut batch = Batch::new(shared.journal.generation());
    batch.remove(Class::Blobs, &keys::blob(0));
    let committed = shared.try_commit(batch, Box::new(|_| ()));
    committed.map_err(|(error, _)| error)
}

/// How often the segments are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What was committed is in the directory by then.
const NUDGED: Duration = Duration::from_millis(700);

/// How long the disk is left alone when much waits for it.
const YIELD: Duration = Duration::from_millis(100);
const YIELD_QUEUED_OCTETS: usize = 2 * 1024 * 1024;

/// About how long a group of the writer takes.
const WAIT: Duration = Duration::from_millis(3);
