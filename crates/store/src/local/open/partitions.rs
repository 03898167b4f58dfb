//! What the partitions of the directory have, and which of them are made anew.

use std::{
    panic::resume_unwind,
    sync::mpsc::{self, SyncSender},
    thread::{self, Scope, ScopedJoinHandle},
};

use super::{End, OpenEngines, Opening, ROWS, Segment};
use crate::{
    StoreError,
    directory::{Engine, Engines, Partitions, Row, checkpoint},
    journal::FRAMES_FROM,
    local::progress::Stage,
};

impl Opening {
    /// About how many octets of changes the newest checkpoint lacks. A store that is opened often
    /// must come to its checkpoints all the same, or its journal would grow for ever. Nothing is
    /// read for it: what a frame changes is guessed, and never less than a share of what the
    /// journal keeps for it.
    pub(super) fn since_checkpoint(&self, end: &End) -> Result<u64, StoreError> {
        let lsn = checkpoint::list(&*self.disk)?.first().copied().unwrap_or(0);
        let frames = end.lsn.saturating_sub(lsn);
        let mut octets = 0;
        for (at, segment) in self.segments.iter().enumerate() {
            let next = self.segments.get(at + 1).and_then(|next| next.head);
            if next.is_some_and(|next| next.first_lsn <= lsn.saturating_add(1)) {
                continue;
            }
            let until = segment.end.or(end.segment.map(|(_, until)| until));
            octets += until.unwrap_or(0).saturating_sub(FRAMES_FROM);
        }
        Ok(frames
            .saturating_mul(FRAME_CHANGES_OCTETS)
            .max(octets / JOURNAL_SHARE))
    }

    /// Opens the partitions, or makes them anew as far as the checkpoint reaches. Yields also up
    /// to which LSN each is complete.
    pub(super) fn engines(
        &mut self,
        engines: &dyn Engines,
        names: &[String],
        trusted: bool,
    ) -> Result<(OpenEngines, Vec<u64>), StoreError> {
        let kept = checkpoint::list(&*self.disk)?;
        let begins = kept.is_empty() && self.segments.is_empty();
        // Operations up to the oldest checkpoint may be gone with their segments: a partition that
        // lacks some of them cannot be completed.
        let floor = kept.last().copied().unwrap_or(0);
        let mut open: Vec<Option<Box<dyn Engine>>> = Vec::new();
        let mut applied = vec![0; names.len()];
        for (number, name) in names.iter().enumerate() {
            let mut engine = None;
            if (trusted || begins)
                && !engines.is_suspect(name)
                && let Ok(found) = engines.open(name)
                && let Ok(lsn) = found.applied()
                && (begins || lsn.is_some_and(|lsn| lsn >= floor))
            {
                if begins && lsn.is_some_and(|lsn| lsn > 0) {
                    return Err(StoreError::Damage {
                        what: "the journal: there is none, and a directory was made from one"
                            .to_owned(),
                    });
                }
                applied[number] = lsn.unwrap_or(0);
                engine = Some(found);
            }
            open.push(engine);
        }
        if open.iter().any(Option::is_none) {
            let base = self.base()?;
            for (number, name) in names.iter().enumerate() {
                if open[number].is_none() {
                    engines.wipe(name)?;
                    open[number] = Some(engines.open(name)?);
                    applied[number] = base.unwrap_or(0);
                    self.report.rebuilt.push(name.clone());
                }
            }
            if let Some(lsn) = base {
                self.load(lsn, names.len(), &open, &applied)?;
            }
        }
        let open = open.into_iter().flatten().collect();
        Ok((open, applied))
    }

    /// The LSN of the checkpoint to begin from; `None`: from the journal's beginning.
    fn base(&mut self) -> Result<Option<u64>, StoreError> {
        for lsn in checkpoint::list(&*self.disk)? {
            if checkpoint::is_sound(&*self.disk, lsn)? {
                return Ok(Some(lsn));
            }
            self.damage(format!("the checkpoint {lsn}"));
            self.rotten = true;
        }
        if self.reaches_back()? {
            return Ok(None);
        }
        Err(StoreError::Damage {
            what: "the directory: no checkpoint is whole, and the journal does not reach back to \
                   the beginning"
                .to_owned(),
        })
    }

    /// Whether every segment that ever had operations is there: each names the one before it.
    fn reaches_back(&self) -> Result<bool, StoreError> {
        let Some(mut at) = self.segments.last() else {
            return Ok(checkpoint::list(&*self.disk)?.is_empty());
        };
        loop {
            let before = match at.head {
                Some(head) => head.before,
                // Whatever its head said: nothing else can have been there.
                None => at.number.saturating_sub(1),
            };
            if before == 0 {
                return Ok(true);
            }
            let earlier = |other: &&Segment| other.number == before && before < at.number;
            match self.segments.iter().find(earlier) {
                Some(segment) => at = segment,
                None => return Ok(false),
            }
        }
    }

    /// Puts a checkpoint's rows into the partitions that are new: while the next rows are read.
    fn load(
        &self,
        lsn: u64,
        count: usize,
        open: &[Option<Box<dyn Engine>>],
        applied: &[u64],
    ) -> Result<(), StoreError> {
        let names = Partitions::names(count - 3);
        thread::scope(|scope| {
            let loads = names
                .iter()
                .zip(open)
                .zip(applied)
                .map(|((name, engine), &lsn)| {
                    let engine = engine.as_deref()?;
                    let is_new = self.report.rebuilt.contains(name);
                    is_new.then(|| Loading::begin(scope, engine, lsn))
                });
            let mut loads: Vec<Option<Loading<'_>>> = loads.collect();
            let total = checkpoint::size(&*self.disk, lsn)?.rows;
            let (mut done, mut told) = (0, 0);
            let read = checkpoint::read(&*self.disk, lsn, &mut |class, key, value| {
                done += checkpoint::row_octets(&key, &value);
                if done - told >= TELL_OCTETS {
                    told = done;
                    self.tell(Stage::Checkpoint, done, total);
                }
                let partition = Partitions::of(count, class, &key);
                let load = partition.and_then(|number| loads[number].as_mut());
                load.map_or(Ok(()), |load| load.row((key, Some(value))))
            });
            let ended = loads.into_iter().flatten().map(Loading::end);
            let ended = ended.collect::<Result<Vec<_>, _>>()?;
            read?;
            self.tell(Stage::Checkpoint, total, total);
            // Only now, when it is known that nothing is missing.
            let mut complete = ended.into_iter();
            complete.try_for_each(|(engine, lsn)| engine.apply(Vec::new(), Some(lsn)))
        })
    }
}

/// A thread that puts rows into a partition.
struct Loading<'scope> {
    engine: &'scope dyn Engine,
    lsn: u64,
    rows: Vec<Row>,
    batches: SyncSender<Vec<Row>>,
    thread: ScopedJoinHandle<'scope, Result<(), StoreError>>,
}

impl<'scope> Loading<'scope> {
    /// What the partition gets is all up to that LSN.
    fn begin<'env>(scope: &'scope Scope<'scope, 'env>, engine: &'env dyn Engine, lsn: u64) -> Self {
        let (batches, taken) = mpsc::sync_channel::<Vec<Row>>(BATCHES);
        let thread = scope.spawn(move || taken.iter().try_for_each(|rows| engine.load(rows)));
        let rows = Vec::with_capacity(ROWS);
        Self {
            engine,
            lsn,
            rows,
            batches,
            thread,
        }
    }

    fn row(&mut self, row: Row) -> Result<(), StoreError> {
        self.rows.push(row);
        if self.rows.len() < ROWS {
            return Ok(());
        }
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(ROWS));
        // It has ended for a reason of its own, which it tells in the end.
        self.batches.send(rows).map_err(|_| StoreError::Lost)
    }

    /// Yields the partition, and the LSN up to which it is complete with what it was given.
    fn end(self) -> Result<(&'scope dyn Engine, u64), StoreError> {
        let _ = self.batches.send(self.rows); // as above
        drop(self.batches);
        let ended = self.thread.join();
        ended.unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok((self.engine, self.lsn))
    }
}

/// What a frame changes in the directory, as a guess: that of a message accepted is about so
/// much.
const FRAME_CHANGES_OCTETS: u64 = 512;

/// Batches of rows that wait for a partition while the checkpoint is read.
const BATCHES: usize = 4;

/// How often it is told how far a checkpoint was read.
const TELL_OCTETS: u64 = 4 * 1024 * 1024;

/// So many octets of journal count as one octet of changes, at least.
const JOURNAL_SHARE: u64 = 16;
