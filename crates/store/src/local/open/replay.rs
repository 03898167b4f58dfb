//! What of the journal the partitions lack, and where the journal ends.

use std::{
    io::{self, IoSlice},
    ops::ControlFlow,
    panic::resume_unwind,
    sync::mpsc::{self, SyncSender},
    thread::{self, Scope, ScopedJoinHandle},
};

use bytes::Bytes;

use super::{ASIDE, End, Opening, ROWS, Segment};
use crate::{
    StoreError, batch,
    directory::{Engine, Partitions, Row},
    disk::{File, in_pieces},
    journal::{FRAMES_FROM, Found, Scan, Span, disk_error, scan},
    local::{marks::Clean, progress::Stage},
};

impl Opening {
    /// Applies the journal to the partitions, as far as they lack it.
    pub(super) fn replay(
        &mut self,
        engines: &[Box<dyn Engine>],
        applied: Vec<u64>,
        clean: Option<Clean>,
    ) -> Result<End, StoreError> {
        thread::scope(|scope| self.replay_in(scope, engines, applied, clean))
    }

    fn replay_in<'scope, 'env>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        engines: &'env [Box<dyn Engine>],
        applied: Vec<u64>,
        clean: Option<Clean>,
    ) -> Result<End, StoreError> {
        let from = applied.iter().copied().min().unwrap_or(0);
        let mut end = End {
            lsn: applied.iter().copied().max().unwrap_or(0),
            segment: None,
        };
        let mut replay = Replay {
            scope,
            engines,
            applied,
            rows: vec![Vec::new(); engines.len()],
            waiting: 0,
            frames: 0,
            at_work: Vec::new(),
        };
        let segments = std::mem::take(&mut self.segments);
        for (number, segment) in segments.iter().enumerate() {
            self.tell(Stage::Journal, number as u64 + 1, segments.len() as u64);
            end.lsn = end
                .lsn
                .max(segment.head.map_or(0, |head| head.first_lsn - 1));
            let next = segments.get(number + 1);
            let last_lsn = next.and_then(|next| Some(next.head?.first_lsn - 1));
            if next.is_some() {
                if last_lsn.is_none_or(|lsn| lsn > from) {
                    self.replay_sealed(segment, &mut replay, &mut end)?;
                }
                continue;
            }
            let until = match clean {
                Some(clean) => {
                    end.lsn = end.lsn.max(clean.lsn);
                    if clean.lsn > from {
                        self.replay_sealed(segment, &mut replay, &mut end)?;
                    }
                    clean.end
                }
                None => self.replay_tail(segment, &mut replay, &mut end)?,
            };
            end.segment = Some((segment.number, until));
        }
        self.segments = segments;
        self.report.replayed_frames = replay.frames;
        replay.finish(end.lsn)?;
        Ok(end)
    }

    /// A segment whose end is known: whatever is not a frame is damage.
    fn replay_sealed(
        &mut self,
        segment: &Segment,
        replay: &mut Replay<'_, '_>,
        end: &mut End,
    ) -> Result<(), StoreError> {
        let mut damage = Vec::new();
        scan(&self.file(segment)?, segment.plan(false), |found| {
            match found {
                Found::Frame { head, ops, .. } => {
                    end.lsn = end.lsn.max(head.lsn);
                    replay.frame(head.lsn, &ops)?;
                }
                Found::Bad(span) => damage.push(span.clone()),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for span in damage {
            self.damaged_span(segment, &span);
        }
        Ok(())
    }

    /// The segment in which the journal ended without a clean stop. What stands at its end may
    /// be torn; what was acknowledged, as later frames say, is not torn but damaged.
    fn replay_tail(
        &mut self,
        segment: &Segment,
        replay: &mut Replay<'_, '_>,
        end: &mut End,
    ) -> Result<u64, StoreError> {
        enum Item {
            Frame {
                at: u64,
                lsn: u64,
                until: u64,
                whole: bool,
            },
            Bad(Span),
        }
        let mut items = Vec::new();
        let mut synced = 0;
        scan(&self.file(segment)?, segment.plan(true), |found| {
            items.push(match found {
                Found::Frame {
                    at, head, whole, ..
                } => {
                    synced = synced.max(head.synced);
                    Item::Frame {
                        at,
                        lsn: head.lsn,
                        until: at + head.octets(),
                        whole,
                    }
                }
                Found::Bad(span) => Item::Bad(span.clone()),
            });
            Ok(ControlFlow::Continue(()))
        })?;
        let first = segment.head.map_or(1, |head| head.first_lsn);
        let (mut lsn, mut until) = (first - 1, FRAMES_FROM);
        let mut unsure = None;
        for item in items {
            match item {
                Item::Frame {
                    whole: false,
                    lsn: found,
                    ..
                } if found > synced => break,
                Item::Frame {
                    at,
                    lsn: found,
                    until: next,
                    whole,
                } => {
                    if !whole {
                        let span = Span {
                            from: at,
                            until: next,
                            lsn: Some(found),
                        };
                        self.damaged_span(segment, &span);
                    }
                    if found > synced {
                        unsure.get_or_insert(at);
                    }
                    (lsn, until) = (found, next);
                }
                // It was acknowledged, because a later frame knew it to be durable.
                Item::Bad(span) if lsn < synced => {
                    self.damaged_span(segment, &span);
                    until = span.until;
                    lsn = span.lsn.unwrap_or(lsn);
                }
                Item::Bad(_) => break,
            }
        }
        end.lsn = end.lsn.max(lsn);
        self.settle_tail(segment, unsure.unwrap_or(until), until)?;
        // Only now what they say: the operations of a whole segment need not be in memory at once.
        let plan = Scan {
            until: Some(until),
            ..segment.plan(false)
        };
        scan(&self.file(segment)?, plan, |found| {
            if let Found::Frame { head, ops, .. } = found {
                replay.frame(head.lsn, &ops)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(until)
    }

    /// Ends a segment at `until`, and makes what is kept of it durable; from `unsure` on nobody
    /// has said that it is.
    fn settle_tail(
        &mut self,
        segment: &Segment,
        unsure: u64,
        until: u64,
    ) -> Result<(), StoreError> {
        let failed = |error: io::Error| disk_error("end a torn segment", &error);
        let journal = self.file(segment)?;
        // What a killed process had written and not synced is there now, and must not be lost
        // with the power later, after somebody has seen it. A sync alone does not do: after one
        // that failed the system takes for written what is only in its memory. So it is with the
        // head: the next segment is going to name this one.
        let format = self.files.format();
        let head = segment
            .head
            .map_or(Ok(()), |head| head.write(&*journal, format));
        head.and_then(|()| {
            in_pieces(&*journal, unsure, until, |at, octets| {
                journal.write_at(&mut [IoSlice::new(octets)], at)
            })
        })
        .and_then(|()| journal.sync())
        .map_err(failed)?;
        let length = journal.length().map_err(failed)?;
        let mut used = until;
        in_pieces(&*journal, until, length, |at, octets| {
            if let Some(last) = octets.iter().rposition(|&octet| octet != 0) {
                used = at + last as u64 + 1;
            }
            Ok(())
        })
        .map_err(failed)?;
        if used > until {
            self.report.torn_octets = used - until;
            // It was never anybody's: for want of room it is not kept, and the start goes on.
            if let Err(error) = self.set_aside(segment, &*journal, until, used) {
                tracing::warn!(%error, "the torn end of the journal is not kept");
            }
        }
        journal.cut(until).map_err(failed)
    }

    /// Keeps the beginning of what stands behind the end, for whoever wants to look into it, and
    /// little of what was kept before.
    fn set_aside(
        &self,
        segment: &Segment,
        journal: &dyn File,
        from: u64,
        until: u64,
    ) -> io::Result<()> {
        let disk = &*self.disk;
        let mut kept = disk.list(ASIDE)?;
        kept.sort_unstable();
        for old in kept.iter().rev().skip(ASIDE_FILES_MAX - 1) {
            disk.remove(&format!("{ASIDE}/{old}"))?;
        }
        let name = format!("{ASIDE}/{:010}-{from}", segment.number);
        let file = disk.create(&name, 0)?;
        let until = until.min(from + ASIDE_OCTETS_MAX);
        let kept = in_pieces(journal, from, until, |at, octets| {
            file.write_at(&mut [IoSlice::new(octets)], at - from)
        });
        let kept = kept
            .and_then(|()| file.sync())
            .and_then(|()| disk.sync_folder(ASIDE));
        if kept.is_err() {
            disk.remove(&name)?;
        }
        kept
    }
}

/// Operations on their way into the partitions.
struct Replay<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    engines: &'env [Box<dyn Engine>],
    applied: Vec<u64>,
    rows: Vec<Vec<Row>>,
    waiting: usize,
    frames: u64,
    /// One for each partition, once there was much to put into them.
    at_work: Vec<Putting<'scope>>,
}

/// A thread that puts rows into a partition.
struct Putting<'scope> {
    batches: SyncSender<(Vec<Row>, u64)>,
    thread: ScopedJoinHandle<'scope, Result<(), StoreError>>,
}

impl<'scope, 'env> Putting<'scope> {
    fn begin(scope: &'scope Scope<'scope, 'env>, engine: &'env dyn Engine) -> Self {
        // What is handed over is being worked at: memory is for two batches, not for three.
        let (batches, taken) = mpsc::sync_channel(0);
        let thread = scope.spawn(move || {
            let mut taken = taken.iter();
            taken.try_for_each(|(rows, lsn)| put(engine, rows, lsn))
        });
        Self { batches, thread }
    }
}

impl Replay<'_, '_> {
    fn frame(&mut self, lsn: u64, ops: &Bytes) -> Result<(), StoreError> {
        if self.applied.iter().all(|&applied| applied >= lsn) {
            return Ok(());
        }
        self.frames += 1;
        let count = self.engines.len();
        let read = batch::read(ops, |op| {
            if let Some(partition) = Partitions::of(count, op.class, &op.key)
                && self.applied[partition] < lsn
            {
                self.waiting += ROW_OCTETS + op.key.len() + op.value.as_ref().map_or(0, Bytes::len);
                self.rows[partition].push((op.key, op.value));
            }
        });
        if read.is_none() {
            // Its checksum holds, so it was written so.
            return Err(StoreError::Damage {
                what: format!("the operations of LSN {lsn}"),
            });
        }
        if self.waiting >= WAITING_OCTETS {
            self.flush(lsn)?;
        }
        Ok(())
    }

    /// Puts what waits into the partitions; much of it into all of them at the same time, and while the
    /// next frames are read.
    fn flush(&mut self, lsn: u64) -> Result<(), StoreError> {
        self.waiting = 0;
        for applied in &mut self.applied {
            *applied = lsn.max(*applied);
        }
        let is_little = self.rows.iter().map(Vec::len).sum::<usize>() <= ROWS;
        let waiting = self.rows.iter_mut().map(std::mem::take);
        if is_little && self.at_work.is_empty() {
            let mut work = self.engines.iter().zip(waiting).zip(&self.applied);
            return work.try_for_each(|((engine, rows), &lsn)| put(&**engine, rows, lsn));
        }
        if self.at_work.is_empty() {
            let engines = self.engines.iter();
            let begun = engines.map(|engine| Putting::begin(self.scope, &**engine));
            self.at_work = begun.collect();
        }
        let mut work = self.at_work.iter().zip(waiting).zip(&self.applied);
        if work.all(|((putting, rows), &lsn)| putting.batches.send((rows, lsn)).is_ok()) {
            return Ok(());
        }
        // One of them has ended, for a reason that it tells now.
        self.end().and(Err(StoreError::Lost))
    }

    fn finish(mut self, lsn: u64) -> Result<(), StoreError> {
        self.flush(lsn)?;
        self.end()
    }

    /// Waits until all that was handed over is in the partitions.
    fn end(&mut self) -> Result<(), StoreError> {
        let at_work = std::mem::take(&mut self.at_work).into_iter();
        let mut threads: Vec<_> = at_work.map(|putting| putting.thread).collect();
        threads
            .drain(..)
            .try_for_each(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

/// Puts rows into a partition, which then has all up to that LSN.
fn put(engine: &dyn Engine, mut rows: Vec<Row>, lsn: u64) -> Result<(), StoreError> {
    // In the order of their keys, and those of a key in the order in which they were written:
    // neighbours then meet in one batch.
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let mut rows = rows.into_iter().peekable();
    loop {
        let some: Vec<Row> = rows.by_ref().take(ROWS).collect();
        let last = rows.peek().is_none();
        engine.apply(some, last.then_some(lsn))?;
        if last {
            return Ok(());
        }
    }
}

/// Memory for what is gathered for the partitions, while they are given as much that was before; and what a
/// row takes of it beside itself.
const WAITING_OCTETS: usize = 48 * 1024 * 1024;
const ROW_OCTETS: usize = 80;

/// Torn ends that are kept, and how much of each.
const ASIDE_FILES_MAX: usize = 8;
const ASIDE_OCTETS_MAX: u64 = 8 * 1024 * 1024;
