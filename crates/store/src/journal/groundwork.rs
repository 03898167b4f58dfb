//! What is done to the open segment beside its writer: zeros are written where the next frames will
//! come.
//!
//! A segment is given its room in advance, but the file system notes of that room that nothing was
//! written there. Whoever writes there first changes this note, and the sync has to commit the
//! change to the file system's own journal. Where zeros were written before there is nothing to
//! change: a sync takes two thirds of the time and of the CPU, or less (ADR 0021).
//!
//! ```text
//! frames …│tail   │ zeros are written │ being written │ asked for │        … limit
//!         └ prepare asks from a little behind it on, enter takes back what lies before `until`
//! ```
//!
//! **Zeros never come where a frame may be.** The writer says before each write how far it goes
//! ([`Groundwork::enter`]): what has not begun before that place is taken back, and what is being
//! written there is waited for. Before a segment is cut, nothing of it is at work any more
//! ([`Groundwork::leave`]).
//!
//! Nobody depends on any of this: when it fails that is logged, and frames go where no zeros are. It
//! has a handle of its own on the file, because the system tells each handle once of a write that
//! was lost: the sync of the writer must hear of it, too, whoever was told first.

use std::{
    io::{self, IoSlice},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{disk::File, metrics};

/// What the writer asks for, and what is being done about it.
#[derive(Debug, Default)]
pub(super) struct Groundwork {
    work: Mutex<Work>,
    /// Rung when there is something to do, and when something is done.
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// The open segment; `None` when there is none, or nothing is to be done to it.
    file: Option<Arc<dyn File>>,
    /// Where the zeros end that are written.
    ready: u64,
    /// Where the segment ends.
    limit: u64,
    /// Where zeros are wanted; empty when they are not.
    wanted: Range<u64>,
    /// Where they are being written.
    at_work: Option<Range<u64>>,
    stopped: bool,
    /// Something failed: this was said once, and nothing more is tried.
    has_failed: bool,
}

/// Ends the thread when it is dropped.
pub(super) struct AtWork<'a>(&'a Groundwork);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.bell.notify_all();
    }
}

// The writer's side.

impl Groundwork {
    /// A segment is begun: frames come from `from` on, and its file has octets up to `limit`.
    pub(super) fn begin(&self, file: Option<Arc<dyn File>>, from: u64, limit: u64) {
        let mut work = self.lock();
        *work = Work {
            file,
            ready: from,
            limit,
            wanted: from..from,
            at_work: None,
            stopped: work.stopped,
            has_failed: work.has_failed,
        };
    }

    /// Returns when nothing is done to the segment any more.
    pub(super) fn leave(&self) {
        self.take_back(u64::MAX);
        self.lock().file = None;
    }

    /// Frames go up to `until`: returns when no zeros come before it any more.
    pub(super) fn enter(&self, until: u64) {
        self.take_back(until);
    }

    /// The last frame ends at `end`, and small ones are about to follow.
    pub(super) fn prepare(&self, end: u64) {
        let mut work = self.lock();
        let tail = end.next_multiple_of(BLOCK);
        if work.has_failed || work.file.is_none() || work.is_preparing() {
            return;
        }
        if work.ready >= tail + AHEAD_OCTETS / 2 {
            return;
        }
        let from = work.ready.max(tail + LEAP_OCTETS);
        let until = (from + AHEAD_OCTETS).min(work.limit / BLOCK * BLOCK);
        if from < until {
            work.wanted = from..until;
            drop(work);
            self.bell.notify_all();
        }
    }

    /// From now on [`Groundwork::run`] works, until what this returns is dropped.
    pub(super) fn begin_work(&self) -> AtWork<'_> {
        self.lock().stopped = false;
        AtWork(self)
    }

    fn take_back(&self, until: u64) {
        let mut work = self.lock();
        if work.wanted.start < until {
            work.wanted = until..until;
        }
        while work
            .at_work
            .as_ref()
            .is_some_and(|piece| piece.start < until)
        {
            let waited = self.bell.wait(work);
            work = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

// The thread's side.

impl Groundwork {
    /// Does what is asked for until it is stopped.
    pub(super) fn run(&self) {
        let mut work = self.lock();
        while !work.stopped {
            work = match work.next() {
                Some((file, piece)) => self.carry_out(work, &*file, piece),
                None => {
                    let waited = self.bell.wait(work);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Does a piece of what is asked for, if anything is: for whoever has no thread.
    #[cfg(test)]
    pub(super) fn turn(&self) -> bool {
        let mut work = self.lock();
        let Some((file, piece)) = work.next() else {
            return false;
        };
        drop(self.carry_out(work, &*file, piece));
        true
    }

    fn carry_out<'a>(
        &'a self,
        mut work: MutexGuard<'a, Work>,
        file: &dyn File,
        piece: Range<u64>,
    ) -> MutexGuard<'a, Work> {
        work.at_work = Some(piece.clone());
        drop(work);
        let panicked = |_| Err(io::Error::other("it panicked"));
        let done = catch_unwind(AssertUnwindSafe(|| write_zeros(file, &piece)));
        let done = done.unwrap_or_else(panicked);
        let mut work = self.lock();
        work.at_work = None;
        match done {
            Ok(()) => work.ready = piece.end,
            Err(error) => work.fail(&error),
        }
        self.bell.notify_all();
        work
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// The next piece of what is asked for.
    fn next(&mut self) -> Option<(Arc<dyn File>, Range<u64>)> {
        if self.wanted.is_empty() {
            return None;
        }
        let file = self.file.clone()?;
        let from = self.wanted.start;
        self.wanted.start = self.wanted.end.min(from + PIECE_OCTETS);
        Some((file, from..self.wanted.start))
    }

    fn is_preparing(&self) -> bool {
        !self.wanted.is_empty() || self.at_work.is_some()
    }

    fn fail(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the journal is not prepared any more: it is written as ever, and slower");
        self.has_failed = true;
        self.wanted = 0..0;
    }
}

fn write_zeros(file: &dyn File, piece: &Range<u64>) -> io::Result<()> {
    // Block by block: what is written in one go Linux keeps, and counts, in one large piece of
    // memory, of which a frame later changes a little.
    for at in piece.clone().step_by(ZEROS.len()) {
        file.write_at(&mut [IoSlice::new(&ZEROS)], at)?;
    }
    metrics::ZEROS.add(piece.end - piece.start, &[]);
    file.sync()
}

/// The blocks of the file system. Where one is larger, zeros and frames have one in common, which
/// costs time and nothing else: what is written are octets, not blocks.
pub(super) const BLOCK: u64 = 4096;

/// A block of nothing.
pub(super) static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// Zeros begin so far behind the last frame, where none were before: what is being handed in now
/// does not have to wait for them.
const LEAP_OCTETS: u64 = 16 * 1024;

/// So much is asked for at once, when half of it is left: some two hundred messages.
const AHEAD_OCTETS: u64 = 1024 * 1024;

/// So much is written at once: whoever comes upon it waits for less than a millisecond.
const PIECE_OCTETS: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;
    use crate::disk::{Disk, Faults, SimulatedDisk};

    const LIMIT: u64 = 8 << 20;

    fn file(disk: &SimulatedDisk, octets: u8) -> Arc<dyn File> {
        let file = disk.create("a", 0).unwrap();
        let all = vec![octets; LIMIT as usize];
        file.write_at(&mut [IoSlice::new(&all)], 0).unwrap();
        file
    }

    /// What is zero in a file that had none, as one stretch; empty if nothing is.
    fn zeros(file: &dyn File) -> Range<u64> {
        let mut all = vec![0; LIMIT as usize + 1];
        assert_eq!(file.read_at(&mut all, 0).unwrap() as u64, LIMIT);
        all.pop();
        let zeros = all.iter().filter(|&&octet| octet == 0).count() as u64;
        let from = all.iter().position(|&octet| octet == 0).unwrap_or(0) as u64;
        assert!(
            all[from as usize..][..zeros as usize]
                .iter()
                .all(|&o| o == 0)
        );
        from..from + zeros
    }

    fn at(disk: &SimulatedDisk) -> (Groundwork, Arc<dyn File>) {
        let (ground, file) = (Groundwork::default(), file(disk, 1));
        ground.begin(Some(disk.open("a").unwrap()), 4096, LIMIT);
        (ground, file)
    }

    #[test]
    fn zeros_are_written_behind_the_tail_and_never_past_the_end() {
        let (ground, file) = at(&SimulatedDisk::new(1));
        ground.prepare(5000);
        while ground.turn() {}
        let first = 8192 + LEAP_OCTETS;
        assert_eq!(zeros(&*file), first..first + AHEAD_OCTETS);
        ground.prepare(6000);
        assert!(!ground.turn(), "there is enough");
        ground.prepare(first + AHEAD_OCTETS / 2 + 1);
        while ground.turn() {}
        assert_eq!(zeros(&*file), first..first + 2 * AHEAD_OCTETS);
        for end in [LIMIT - LEAP_OCTETS, LIMIT] {
            ground.prepare(end);
            assert!(!ground.turn());
        }
        assert_eq!(zeros(&*file), first..first + 2 * AHEAD_OCTETS);
    }

    #[test]
    fn what_a_frame_comes_upon_is_taken_back() {
        let (ground, file) = at(&SimulatedDisk::new(1));
        ground.prepare(5000);
        assert!(ground.turn());
        let first = 8192 + LEAP_OCTETS;
        ground.enter(first + PIECE_OCTETS + 1);
        assert!(!ground.turn());
        assert_eq!(zeros(&*file), first..first + PIECE_OCTETS);
        ground.prepare(first + PIECE_OCTETS + 1);
        ground.leave();
        assert!(!ground.turn());
        assert_eq!(zeros(&*file), first..first + PIECE_OCTETS);
    }

    /// Says when it is written to, and goes on when it may.
    #[derive(Debug)]
    struct Slow {
        begun: mpsc::Sender<()>,
        may: Mutex<mpsc::Receiver<()>>,
        done: Arc<Mutex<Vec<&'static str>>>,
    }

    impl File for Slow {
        fn write_at(&self, _: &mut [IoSlice<'_>], _: u64) -> io::Result<()> {
            let _ = self.begun.send(()); // heard once
            let _ = self.may.lock().unwrap().recv(); // it may go on for ever, at last
            self.done.lock().unwrap().push("zeros");
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn length(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn modified(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn cut(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_waits_for_zeros_that_are_being_written_where_it_goes() {
        let (begun, has_begun) = mpsc::channel();
        let (let_go, may) = mpsc::channel();
        let done = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow {
            begun,
            may: Mutex::new(may),
            done: done.clone(),
        };
        let ground = Groundwork::default();
        ground.begin(Some(Arc::new(slow)), 4096, LIMIT);
        thread::scope(|scope| {
            let at_work = ground.begin_work();
            scope.spawn(|| ground.run());
            ground.prepare(5000);
            has_begun.recv().unwrap();
            ground.enter(8192); // not in its way
            done.lock().unwrap().push("before");
            let behind = scope.spawn(|| {
                ground.enter(LIMIT);
                done.lock().unwrap().push("behind");
            });
            drop(let_go);
            behind.join().unwrap();
            drop(at_work);
        });
        let done = done.lock().unwrap();
        assert_eq!(done[..2], ["before", "zeros"]);
        assert_eq!(done.last(), Some(&"behind"));
    }

    #[test]
    fn what_fails_is_not_tried_again() {
        let disk = SimulatedDisk::new(1);
        let (ground, _) = at(&disk);
        disk.set_faults(Faults {
            sync: 1000,
            ..Faults::default()
        });
        ground.prepare(5000);
        assert!(ground.turn());
        disk.set_faults(Faults::default());
        ground.prepare(5000);
        assert!(!ground.turn());
    }

    #[test]
    fn who_syncs_learns_of_a_write_that_was_lost_in_the_hands_of_another() {
        let disk = SimulatedDisk::new(1);
        let (ground, file) = at(&disk);
        file.sync().unwrap();
        file.write_at(&mut [IoSlice::new(&[7; 4096])], 0).unwrap();
        disk.set_faults(Faults {
            sync: 1000,
            ..Faults::default()
        });
        ground.prepare(5000);
        assert!(ground.turn());
        disk.set_faults(Faults::default());
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok(), "it is said once");
    }
}
