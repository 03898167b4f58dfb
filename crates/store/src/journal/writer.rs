//! The journal's writer: one thread that writes, syncs and acknowledges in groups.
//!
//! While one sync runs the next group gathers: a single client pays one sync, a thousand share one.
//! Who was in the last group is given a moment to come back before the next one begins, half
//! as long as a sync at most: else the first to come would have a sync for themselves, and all others
//! wait for two.
//!
//! When a write or a sync fails, nothing is tried again: nobody knows what the disk has. Everybody
//! who waits gets an error, the segment ends where it was last known to be durable (the next one
//! says so, in its head), and the writer goes on in a new segment. A panic while a group is being
//! written is such a failure, too; only when nothing but panics comes of it the thread ends.
//!
//! A second thread does what is not in the way of an acknowledgement ([`Groundwork`]).

use std::{
    hash::{BuildHasher, RandomState},
    io::{self, IoSlice},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use super::{
    files::{Files, disk_error},
    frame::{FRAME_HEAD, FrameHead},
    groundwork::{BLOCK, Groundwork, ZEROS},
    intake::{Entry, Intake, Journal, Tail},
    segment::{self, FRAMES_FROM, SegmentHead},
};
use crate::{StoreError, disk::File, keeper::Ack, metrics};

/// Writes what was handed in.
pub(crate) struct Writer {
    journal: Arc<Journal>,
    files: Arc<Files>,
    epoch: u64,
    open: Option<Open>,
    ground: Arc<Groundwork>,
    /// The latest segment that has frames, and where it ends.
    before: (u32, u64),
    /// The file of that segment, if it still has to be cut there.
    uncut: Option<Arc<dyn File>>,
    others: Others,
    /// Entries of the last group, and how long its sync took.
    last: (usize, Duration),
    /// Small groups in a row.
    small: u32,
    /// Groups in a row that ended in a panic.
    panics: u32,
}

/// What others do when something is written.
pub(crate) struct Others {
    /// Told when batches became durable.
    pub(crate) follow: Box<dyn Fn() + Send>,
    /// Returns when the next group may be written: at once, or a moment later when those who put
    /// into the directory what is written do not keep up. Nobody is refused for that.
    pub(crate) hold_back: Box<dyn Fn() + Send>,
    /// Undoes in memory what is committed and not durable.
    pub(crate) rollback: Box<dyn Fn(u64) + Send>,
}

struct Open {
    number: u32,
    chance: u64,
    file: Arc<dyn File>,
    /// How long its file was made.
    limit: u64,
    /// Where the last frame ends that is known to be durable.
    synced_end: u64,
    end: u64,
    last_lsn: u64,
}

impl Writer {
    pub(crate) fn new(
        journal: Arc<Journal>,
        files: Arc<Files>,
        epoch: u64,
        before: (u32, u64),
        others: Others,
    ) -> Self {
        Self {
            journal,
            files,
            epoch,
            open: None,
            ground: Arc::default(),
            before,
            uncut: None,
            others,
            last: (0, Duration::ZERO),
            small: 0,
            panics: 0,
        }
    }

    /// Begins the segment in which the next frame goes.
    pub(crate) fn begin(&mut self) -> Result<(), StoreError> {
        let (tail, lsn) = self.journal.ahead();
        self.roll(tail, lsn)
            .map_err(|error| disk_error("begin a journal segment", &error))
    }

    /// Writes groups until the journal is stopped and nothing waits any more.
    pub(crate) fn run(&mut self) {
        let ground = self.ground.clone();
        thread::scope(|scope| {
            let _at_work = ground.begin_work();
            let beside = thread::Builder::new().name("store-ground".to_owned());
            if let Err(error) = beside.spawn_scoped(scope, || ground.run()) {
                tracing::warn!(%error, "the journal is written without a thread beside it");
            }
            self.write_groups();
        });
    }

    fn write_groups(&mut self) {
        let journal = self.journal.clone();
        while let Some(mut intake) = self.next(&journal) {
            let group = journal.take(&mut intake);
            let left = intake.queued();
            drop(intake);
            metrics::QUEUE.set(left as f64, &[]);
            self.last.0 = group.len();
            self.write_safely(group);
        }
    }

    fn next<'a>(&self, journal: &'a Journal) -> Option<MutexGuard<'a, Intake>> {
        // While it is held back the next group gathers.
        (self.others.hold_back)();
        let (entries, sync) = self.last;
        journal.wait(entries - entries / 4, (sync / 2).min(GATHER_MAX))
    }

    /// Writes one group, if anything waits: for whoever has no thread.
    #[cfg(test)]
    pub(crate) fn turn(&mut self) -> bool {
        let mut intake = self.journal.lock();
        let group = self.journal.take(&mut intake);
        drop(intake);
        let any = !group.is_empty();
        if any {
            self.write_safely(group);
        }
        any
    }

    /// Does what is to be done beside the groups, if anything is: for whoever has no thread.
    #[cfg(test)]
    pub(crate) fn turn_ground(&self) -> bool {
        self.ground.turn()
    }

    /// Ends the segment: gives back the room that it did not need. Yields its end.
    pub(crate) fn finish(&mut self) -> Result<(u32, u64), StoreError> {
        let failed = |error| disk_error("end a journal segment", &error);
        self.ground.leave();
        if let Some(mut open) = self.open.take() {
            let synced = if open.end > open.synced_end {
                open.file.sync()
            } else {
                Ok(())
            };
            if synced.is_ok() {
                open.synced_end = open.end;
                self.journal.set_durable(open.last_lsn);
            }
            // Whatever the sync said, it is not tried again: after a failure the segment ends
            // where it was known to be durable before.
            self.before = (open.number, open.synced_end);
            self.uncut = Some(open.file);
            synced.map_err(failed)?;
        }
        if let Some(file) = self.uncut.take() {
            file.cut(self.before.1).map_err(failed)?;
        }
        Ok(self.before)
    }

    /// A panic is an end of the group like a failed sync. Who waited for it learns that the write
    /// is lost, because the acknowledgements went with the group; the segment ends where it was
    /// last known to be durable, which only a good sync moves.
    fn write_safely(&mut self, group: Vec<Entry>) {
        match catch_unwind(AssertUnwindSafe(|| self.write(group))) {
            Ok(()) => self.panics = 0,
            Err(panic) => {
                self.panics += 1;
                self.poison(Vec::new(), &io::Error::other("the writer panicked"));
                if self.panics >= PANICS_MAX {
                    resume_unwind(panic);
                }
            }
        }
    }

    fn write(&mut self, group: Vec<Entry>) {
        let from = self.open.as_ref().map_or(0, |open| open.end);
        match self.try_write(&group) {
            Ok(synced) => {
                let frames = group.len();
                for ack in group.into_iter().map(Entry::ack) {
                    tell(ack, Ok(()));
                }
                if synced {
                    (self.others.follow)();
                }
                self.look_ahead(frames, from, synced);
            }
            Err(error) => self.poison(group, &error),
        }
    }

    /// Has zeros written where the next groups will come, after one that began at `from`.
    fn look_ahead(&mut self, frames: usize, from: u64, synced: bool) {
        let Some(open) = &self.open else {
            return;
        };
        // Where groups are large their octets are what takes time: zeros would double them.
        let is_small =
            frames <= SMALL_FRAMES_MAX && open.end.saturating_sub(from) <= SMALL_OCTETS_MAX;
        self.small = if is_small { self.small + 1 } else { 0 };
        if synced && self.small >= SMALL_IN_A_ROW && open.file.gains_by_zeros() {
            self.ground.prepare(open.end);
        }
    }

    fn try_write(&mut self, group: &[Entry]) -> io::Result<bool> {
        let mut heads: Vec<FrameHead> = Vec::with_capacity(group.len());
        let mut first: Option<(Tail, u64)> = None;
        let mut last = 0;
        let mut octets = 0;
        let mut waits = false;
        for entry in group {
            match entry {
                Entry::Frame {
                    tail,
                    head,
                    octets: more,
                    ..
                } => {
                    let mut head = *head;
                    head.synced = self.journal.durable();
                    heads.push(head);
                    first.get_or_insert((*tail, head.lsn));
                    last = head.lsn;
                    octets += *more as u64;
                    waits |= head.ops > 0;
                }
                Entry::Barrier(_) => waits = true,
            }
        }
        if let Some((tail, lsn)) = first {
            if self.open.as_ref().is_none_or(|o| o.number != tail.segment) {
                self.roll(tail, lsn)?;
            }
            let open = self.open.as_mut().expect("a segment was begun just now");
            let of_segment = |head: &FrameHead| {
                let chance = open.chance;
                FrameHead { chance, ..*head }.write()
            };
            let heads: Vec<_> = heads.iter().map(of_segment).collect();
            let mut slices = Vec::with_capacity(group.len() * 3 + 1);
            let mut heads = heads.iter();
            for entry in group {
                if let Entry::Frame { pieces, .. } = entry {
                    let head: &[u8; FRAME_HEAD] = heads.next().expect("one for each frame");
                    slices.push(IoSlice::new(head));
                    slices.extend(pieces.iter().map(|piece| IoSlice::new(piece)));
                }
            }
            // Up to the end of its block: of one that is written in part, the rest would have to
            // be read first, if it is not in memory.
            let end = tail.offset + octets;
            let until = end.next_multiple_of(BLOCK).min(open.limit).max(end);
            let rest = usize::try_from(until - end).unwrap_or(0);
            slices.push(IoSlice::new(&ZEROS[..rest]));
            self.ground.enter(until);
            open.file.write_at(&mut slices, tail.offset)?;
            open.end = end;
            open.last_lsn = last;
            metrics::OCTETS.add(octets, &[]);
        }
        let Some(open) = &mut self.open else {
            return Ok(false);
        };
        // Chunks alone are not waited for: the frame that accepts them syncs them. But the disk
        // is kept busy, so that this last sync stays short.
        if open.end == open.synced_end
            || (!waits && open.end - open.synced_end < UNSYNCED_OCTETS_MAX)
        {
            return Ok(false);
        }
        let begun = Instant::now();
        open.file.sync()?;
        self.last.1 = begun.elapsed();
        metrics::SYNC_SECONDS.observe(self.last.1.as_secs_f64(), &[]);
        metrics::GROUP_FRAMES.observe(heads.len() as f64, &[]);
        open.synced_end = open.end;
        self.journal.set_durable(open.last_lsn);
        Ok(true)
    }

    /// Ends the open segment and begins another.
    fn roll(&mut self, tail: Tail, first_lsn: u64) -> io::Result<()> {
        self.ground.leave();
        if let Some(open) = &mut self.open {
            if open.end > open.synced_end {
                open.file.sync()?;
                open.synced_end = open.end;
                self.journal.set_durable(open.last_lsn);
            }
            self.before = (open.number, open.synced_end);
            self.uncut = self.open.take().map(|open| open.file);
        }
        // A segment is cut before another follows it: its length then says where it ends.
        if let Some(file) = &self.uncut {
            file.cut(self.before.1)?;
            self.uncut = None;
        }
        self.small = 0;
        let disk = self.files.disk();
        let file = disk.create(&segment::name(tail.segment), tail.limit)?;
        let head = SegmentHead {
            number: tail.segment,
            first_lsn,
            epoch: self.epoch,
            before: self.before.0,
            before_end: self.before.1,
            chance: match self.files.format() {
                ..segment::WITH_CHANCE => 0,
                _ => RandomState::new().hash_one((tail.segment, self.epoch)),
            },
        };
        head.write(&*file, self.files.format())?;
        file.sync()?;
        disk.sync_folder(segment::FOLDER)?;
        self.files.keep(tail.segment, file.clone());
        let beside = disk.open(&segment::name(tail.segment));
        self.ground.begin(beside.ok(), FRAMES_FROM, tail.limit);
        self.open = Some(Open {
            number: tail.segment,
            chance: head.chance,
            file,
            limit: tail.limit,
            synced_end: FRAMES_FROM,
            end: FRAMES_FROM,
            last_lsn: first_lsn - 1,
        });
        Ok(())
    }

    fn poison(&mut self, group: Vec<Entry>, error: &io::Error) {
        tracing::error!(%error, "the journal cannot be written; what waited for it is refused");
        metrics::POISONED.count(&[]);
        self.ground.leave();
        if let Some(open) = self.open.take() {
            // A segment without a durable frame still is a link of the chain.
            self.before = (open.number, open.synced_end);
            self.uncut = Some(open.file);
        }
        let waiting = self.journal.poison(&*self.others.rollback);
        // The next segment's head says where this one ended, whatever its file holds: best at
        // once. If the disk refuses that too, the next write tries it again; so it does after a
        // panic, where another one would be in nobody's hands.
        if self.panics == 0
            && let Err(error) = self.begin()
        {
            tracing::error!(%error, "the journal has no segment to go on with yet");
        }
        let error = disk_error("write the journal", error);
        for ack in group.into_iter().chain(waiting).map(Entry::ack) {
            tell(ack, Err(error.clone()));
        }
    }
}

/// Tells whoever waits. What follows an acknowledgement is somebody else's work: if it panics,
/// that is no reason for the journal to end.
fn tell(ack: Ack, result: Result<(), StoreError>) {
    if catch_unwind(AssertUnwindSafe(|| ack(result))).is_err() {
        tracing::error!("what should follow a write has panicked");
    }
}

impl Entry {
    fn ack(self) -> Ack {
        match self {
            Self::Frame { ack, .. } | Self::Barrier(ack) => ack,
        }
    }
}

/// Octets of chunks that may wait for a sync.
const UNSYNCED_OCTETS_MAX: u64 = 4 * 1024 * 1024;

/// Frames of a group that is small: with ten connections, which have some six in each, zeros cost
/// twice the octets and gained nothing (`docs/measurements.md`).
const SMALL_FRAMES_MAX: usize = 4;

/// Octets of a group that is small.
const SMALL_OCTETS_MAX: u64 = 32 * 1024;

/// After so many small groups more of them are expected. Many who send at a time come in some small
/// groups, too, when the disk is fast; zeros for them would be written for nothing. (The stories that
/// tests tell are short, and are to have zeros in them.)
const SMALL_IN_A_ROW: u32 = if cfg!(test) { 2 } else { 8 };

/// A disk that is slow makes nobody wait for longer than that before it.
const GATHER_MAX: Duration = Duration::from_millis(2);

/// Panics in a row after which the store is better opened anew.
const PANICS_MAX: u32 = 3;
