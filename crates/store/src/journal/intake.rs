//! Where frames get their place: LSN, segment, offset; all under one short lock.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    frame::{FrameHead, FrameKind, padded, place},
    segment::FRAMES_FROM,
};
use crate::{StoreError, keeper::Ack};

/// What waits for the writer, and where the next frame goes.
#[derive(Debug)]
pub(crate) struct Journal {
    intake: Mutex<Intake>,
    wake: Condvar,
    durable: AtomicU64,
    generation: AtomicU64,
    segment_octets: u64,
    queue_octets: usize,
}

/// The state under the lock.
#[derive(Debug)]
pub(crate) struct Intake {
    /// The latest LSN given out.
    pub(crate) lsn: u64,
    pub(crate) tail: Tail,
    pub(super) queue: VecDeque<Entry>,
    queued: usize,
    asleep: bool,
    /// The writer waits for so many entries, for a moment; zero when it does not.
    enough: usize,
    /// What the writer is to do when nothing waits for it.
    errand: Option<fn()>,
    stopped: bool,
    /// Chunks of bodies that are not accepted yet, by segment.
    pins: BTreeMap<u32, usize>,
}

/// Where the next frame goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Tail {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    /// How long the segment is to be.
    pub(crate) limit: u64,
}

/// The operations of a frame, as they are written.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    pub(crate) octets: Bytes,
    pub(crate) dense: bool,
}

/// What waits for the writer.
pub(crate) enum Entry {
    Frame {
        tail: Tail,
        head: FrameHead,
        /// Everything behind the head.
        pieces: Vec<Bytes>,
        octets: usize,
        ack: Ack,
    },
    /// Acknowledged when all before it is durable.
    Barrier(Ack),
}

impl Journal {
    /// A journal that goes on after `lsn`, at `tail`. Its first generation must be none that a
    /// batch may still have from before.
    pub(crate) fn new(
        lsn: u64,
        tail: Tail,
        generation: u64,
        (segment_octets, queue_octets): (u64, usize),
    ) -> Self {
        Self {
            intake: Mutex::new(Intake {
                lsn,
                tail,
                queue: VecDeque::new(),
                queued: 0,
                asleep: false,
                enough: 0,
                errand: None,
                stopped: false,
                pins: BTreeMap::new(),
            }),
            wake: Condvar::new(),
            durable: AtomicU64::new(lsn),
            generation: AtomicU64::new(generation),
            segment_octets,
            queue_octets,
        }
    }

    /// All up to here is on stable storage.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn set_durable(&self, lsn: u64) {
        self.durable.store(lsn, Ordering::Release);
    }

    /// Rises with each failure that lost what was committed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a frame may be handed in now, for a decision of that generation.
    pub(crate) fn admit(&self, intake: &Intake, generation: u64) -> Result<(), StoreError> {
        if intake.stopped || generation != self.generation() {
            return Err(StoreError::Lost);
        }
        if intake.queued > self.queue_octets {
            return Err(StoreError::Busy);
        }
        Ok(())
    }

    /// Where a frame of at most that length would go.
    pub(crate) fn place(&self, intake: &Intake, octets: u64) -> Tail {
        let tail = intake.tail;
        if tail.offset + octets <= tail.limit || tail.offset == FRAMES_FROM {
            return Tail {
                limit: tail.limit.max(tail.offset + octets),
                ..tail
            };
        }
        Tail {
            segment: tail.segment + 1,
            offset: FRAMES_FROM,
            limit: self.segment_octets.max(FRAMES_FROM + octets),
        }
    }

    /// Where the writer goes on, and with which LSN: at the first frame that waits, else where
    /// the next one will go.
    pub(super) fn ahead(&self) -> (Tail, u64) {
        let intake = self.lock();
        let first = intake.queue.iter().find_map(|entry| match entry {
            Entry::Frame { tail, head, .. } => Some((*tail, head.lsn)),
            Entry::Barrier(_) => None,
        });
        first.unwrap_or((intake.tail, intake.lsn + 1))
    }

    /// Hands in a frame at its place; yields its LSN.
    pub(crate) fn push(
        &self,
        intake: &mut Intake,
        tail: Tail,
        kind: FrameKind,
        (bodies, Operations { octets: ops, dense }): (Vec<Bytes>, Operations),
        ack: Ack,
    ) -> u64 {
        let body_octets: usize = bodies.iter().map(Bytes::len).sum();
        intake.lsn += 1;
        let head = FrameHead {
            kind,
            lsn: intake.lsn,
            synced: 0,
            bodies: small(body_octets),
            ops: small(ops.len()),
            ops_crc: crc32c::crc32c(&ops),
            dense,
            chance: 0, // the writer knows it
        };
        let octets = usize::try_from(head.octets()).unwrap_or(usize::MAX);
        let mut pieces = bodies;
        let behind = super::frame::FRAME_HEAD + body_octets + ops.len();
        if !ops.is_empty() {
            pieces.push(ops);
        }
        pieces.extend(padding(behind));
        intake.tail = Tail {
            offset: tail.offset + head.octets(),
            ..tail
        };
        intake.queued += octets;
        intake.queue.push_back(Entry::Frame {
            tail,
            head,
            pieces,
            octets,
            ack,
        });
        intake.lsn
    }

    /// Acknowledges when all before it is durable.
    pub(crate) fn barrier(&self, generation: u64, ack: Ack) {
        let mut intake = self.lock();
        if intake.stopped || generation != self.generation() {
            drop(intake);
            return ack(Err(StoreError::Lost));
        }
        if intake.lsn == self.durable() && intake.queue.is_empty() {
            drop(intake);
            return ack(Ok(()));
        }
        intake.queue.push_back(Entry::Barrier(ack));
        self.ring(intake);
    }

    /// Lets go of the lock and wakes the writer if it sleeps.
    pub(crate) fn ring(&self, mut intake: MutexGuard<'_, Intake>) {
        let is_enough = intake.enough > 0 && intake.queue.len() >= intake.enough;
        let wakes = std::mem::take(&mut intake.asleep) || is_enough;
        drop(intake);
        if wakes {
            self.wake.notify_one();
        }
    }

    /// Waits until there is something to write; then for so many entries, if they come within
    /// `moment`. `None` when there is nothing and never will be.
    pub(super) fn wait(&self, enough: usize, moment: Duration) -> Option<MutexGuard<'_, Intake>> {
        let mut intake = self.lock();
        while intake.queue.is_empty() {
            if intake.stopped {
                return None;
            }
            if let Some(errand) = intake.errand.take() {
                drop(intake);
                errand();
                intake = self.lock();
                continue;
            }
            intake.asleep = true;
            intake = self
                .wake
                .wait(intake)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if intake.queue.len() < enough {
            intake.enough = enough;
            let is_less = |intake: &mut Intake| intake.queue.len() < enough && !intake.stopped;
            let waited = self.wake.wait_timeout_while(intake, moment, is_less);
            intake = waited.unwrap_or_else(PoisonError::into_inner).0;
            intake.enough = 0;
        }
        // It may have been abandoned meanwhile.
        (!intake.queue.is_empty() || !intake.stopped).then_some(intake)
    }

    /// Has the writer do this when nothing waits for it.
    pub(crate) fn send(&self, errand: fn()) {
        let mut intake = self.lock();
        intake.errand = Some(errand);
        self.ring(intake);
    }

    /// Takes nothing more; the writer ends when the queue is empty.
    pub(crate) fn stop(&self) {
        let mut intake = self.lock();
        intake.stopped = true;
        intake.asleep = true;
        self.ring(intake);
    }

    /// Nobody writes any more: whoever waits, and whoever comes, is told so.
    pub(crate) fn abandon(&self) {
        let waiting = {
            let mut intake = self.lock();
            intake.stopped = true;
            std::mem::take(&mut intake.queue)
        };
        // An acknowledgement that is dropped says that the write is lost.
        drop(waiting);
    }

    /// Whether writes are taken.
    pub(crate) fn is_running(&self) -> bool {
        !self.lock().stopped
    }

    /// Takes the next group, all of it in one segment. A thousand who wait share one sync: their frames
    /// are more pieces than one `writev` holds, and a few calls cost less than a sync does.
    pub(super) fn take(&self, intake: &mut Intake) -> Vec<Entry> {
        let mut group = Vec::new();
        let (mut octets, mut pieces) = (0, 0);
        let mut segment = None;
        while let Some(entry) = intake.queue.front() {
            if let Entry::Frame {
                tail,
                pieces: some,
                octets: more,
                ..
            } = entry
            {
                let full = octets + more > GROUP_OCTETS_MAX || pieces + some.len() + 1 > PIECES_MAX;
                let elsewhere = segment.is_some_and(|segment| segment != tail.segment);
                if elsewhere || (full && octets > 0) {
                    break;
                }
                segment = Some(tail.segment);
                octets += more;
                pieces += some.len() + 1;
            }
            group.extend(intake.queue.pop_front());
        }
        intake.queued = intake.queued.saturating_sub(octets);
        group
    }

    /// Everything that was committed and is not durable is lost: yields it, and begins anew in
    /// the next segment. `rollback` is called before anybody can commit again.
    pub(super) fn poison(&self, rollback: impl FnOnce(u64)) -> Vec<Entry> {
        let mut intake = self.lock();
        // First undone, then said: who reads by the new generation reads nothing of what is lost.
        rollback(self.durable());
        self.generation.fetch_add(1, Ordering::AcqRel);
        intake.queued = 0;
        // The LSNs of what is lost are not used again.
        intake.tail = Tail {
            segment: intake.tail.segment + 1,
            offset: FRAMES_FROM,
            limit: self.segment_octets,
        };
        intake.queue.drain(..).collect()
    }
}

impl Intake {
    /// How many octets wait to be written.
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn pin(&mut self, segment: u32) {
        *self.pins.entry(segment).or_default() += 1;
    }

    pub(crate) fn unpin(&mut self, segment: u32) {
        if let Some(count) = self.pins.get_mut(&segment) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&segment);
            }
        }
    }

    /// Whether a body that is not accepted yet has chunks there.
    pub(crate) fn is_pinned(&self, segment: u32) -> bool {
        self.pins.contains_key(&segment)
    }
}

impl Tail {
    /// The place of something in a frame that goes here, as one number.
    pub(crate) const fn at(&self, behind: u64) -> u64 {
        place(self.segment, self.offset + behind)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Frame { head, .. } => f.debug_tuple("Frame").field(head).finish(),
            Self::Barrier(_) => f.write_str("Barrier"),
        }
    }
}

/// Zeros up to the next multiple of eight.
pub(super) fn padding(octets: usize) -> Option<Bytes> {
    let wanted = padded(octets as u64) as usize - octets;
    (wanted > 0).then(|| Bytes::from_static(&[0; 8]).slice(..wanted))
}

fn small(octets: usize) -> u32 {
    u32::try_from(octets).expect("the caller bounds the length of a frame")
}

/// A group larger than this makes those that wait for it wait longer than it saves.
const GROUP_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// A frame of a small message has five.
const PIECES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn journal() -> Journal {
        let tail = Tail {
            segment: 1,
            offset: FRAMES_FROM,
            limit: 1 << 20,
        };
        Journal::new(0, tail, 0, (1 << 20, 1 << 20))
    }

    fn push(journal: &Journal) {
        let mut intake = journal.lock();
        let tail = journal.place(&intake, 64);
        let ops = Operations {
            octets: Bytes::from_static(b"x"),
            dense: false,
        };
        let nothing = (Vec::new(), ops);
        journal.push(
            &mut intake,
            tail,
            FrameKind::Batch,
            nothing,
            Box::new(|_| ()),
        );
        journal.ring(intake);
    }

    #[test]
    fn a_group_is_waited_for_until_enough_have_come() {
        let journal = journal();
        thread::scope(|scope| {
            let group = scope.spawn(|| journal.wait(3, Duration::MAX).map(|i| i.queue.len()));
            for _ in 0..3 {
                push(&journal);
            }
            assert_eq!(group.join().unwrap(), Some(3));
        });
    }

    #[test]
    fn a_group_is_not_waited_for_when_the_moment_is_over_or_the_journal_stops() {
        let journal = journal();
        push(&journal);
        let group = journal.wait(3, Duration::from_micros(1));
        assert_eq!(group.map(|intake| intake.queue.len()), Some(1));
        journal.stop();
        let group = journal.wait(3, Duration::MAX);
        assert_eq!(group.map(|intake| intake.queue.len()), Some(1));
        drop(journal.take(&mut journal.lock()));
        assert!(journal.wait(3, Duration::MAX).is_none());
    }
}
