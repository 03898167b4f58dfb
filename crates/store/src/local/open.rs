//! Opening the store: what is there, what can be trusted, what has to be replayed.
//!
//! ```text
//! clean mark                      directory is whole, nothing is replayed
//! no mark, machine still up       directory is what it was when the process died: replay from
//!                                 the LSN that each partition has
//! no mark, machine started anew   what the directory had in its files is not to be trusted:
//!                                 partitions are made anew from the checkpoint and the journal
//! ```

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;

use super::{
    config::Config,
    keeper::{Local, Shared},
    marks::{self, Clean},
    report::Opened,
    threads::Workers,
};
use crate::{
    StoreError, batch,
    desk::Store,
    directory::{
        Engine, Engines, Follow, Follower, Overlay, Partitions, Row, SledEngines, checkpoint,
    },
    disk::{Disk, File, RealDisk},
    journal::{
        self, Bodies, FRAMES_FROM, Files, Found, Journal, NoSegment, Scan, SegmentHead, Span, Tail,
        Writer, disk_error, scan,
    },
    keeper::Clock,
    metrics,
};

impl Store<Local> {
    /// Opens the store of a folder, or begins one.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Newer`], [`StoreError::Disk`]; [`StoreError::Damage`]
    /// when neither a checkpoint nor the whole journal is there to make the directory from.
    pub fn open(config: Config, clock: Clock) -> Result<Self, StoreError> {
        Self::open_folder(config, clock, true)
    }

    /// Opens the store of a folder and makes its directory anew from checkpoint and journal,
    /// whatever state it is in.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn rebuild(config: Config, clock: Clock) -> Result<Self, StoreError> {
        Self::open_folder(config, clock, false)
    }

    fn open_folder(config: Config, clock: Clock, trust: bool) -> Result<Self, StoreError> {
        let config = config.bounded();
        let disk = RealDisk::new(&config.folder)
            .map_err(|error| disk_error("create the data folder", &error))?;
        let partitions = Partitions::names(config.mail_partitions).len() as u64;
        let engines = SledEngines::new(
            &config.folder.join("directory"),
            config.cache_octets / partitions,
        );
        let store = Self::open_on(Arc::new(disk), Arc::new(engines), config, clock, trust)?;
        store.start()?;
        Ok(store)
    }

    /// Opens the store on a disk; nobody is at work yet.
    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        engines: Arc<dyn Engines>,
        config: Config,
        clock: Clock,
        trust: bool,
    ) -> Result<Self, StoreError> {
        let config = config.bounded();
        let begun = Instant::now();
        let failed = |error: io::Error| disk_error("prepare the data folder", &error);
        let Some(lock) = disk.lock().map_err(failed)? else {
            return Err(StoreError::InUse {
                folder: config.folder.display().to_string(),
            });
        };
        marks::check_format(&*disk)?;
        for folder in [journal::FOLDER, checkpoint::FOLDER, ASIDE, "directory"] {
            disk.create_folder(folder).map_err(failed)?;
        }
        disk.sync_folder("").map_err(failed)?;
        let mut opening = Opening {
            files: Arc::new(Files::new(disk.clone())),
            disk: disk.clone(),
            report: Opened::default(),
            segments: Vec::new(),
        };
        opening.find_segments()?;
        let clean = opening.clean()?;
        opening.report.clean = clean.is_some();
        // How mail is spread is part of what the directory is: another shape is another one.
        let boot = format!("{} {}", disk.boot(), config.mail_partitions);
        let same_boot = marks::read_boot(&*disk)?.is_some_and(|b| b == boot && !b.starts_with(' '));
        let spread = format!(" {}", config.mail_partitions);
        let same_spread = marks::read_boot(&*disk)?.is_none_or(|b| b.ends_with(&spread));
        let trusted = trust && same_spread && (clean.is_some() || same_boot);
        // From here on the directory changes: without the mark it counts as after a crash.
        marks::remove_clean(&*disk)?;
        let names = Partitions::names(config.mail_partitions);
        let (engines_open, applied) = opening.engines(&*engines, &names, trusted)?;
        let end = opening.replay(&engines_open, applied, clean)?;
        marks::write_boot(&*disk, &boot)?;
        let files = opening.files;
        let epoch = opening
            .segments
            .iter()
            .filter_map(|segment| Some(segment.head?.epoch))
            .max()
            .unwrap_or(0)
            + 1;
        let before = end.segment;
        let tail = Tail {
            segment: before.map_or(1, |(number, _)| number + 1),
            offset: FRAMES_FROM,
            limit: config.segment_octets,
        };
        let journal = Arc::new(Journal::new(
            end.lsn,
            tail,
            config.segment_octets,
            config.queue_octets,
        ));
        let overlay = Arc::new(Overlay::new(names.len()));
        let partitions = Arc::new(Partitions::new(engines_open));
        let follow = Arc::new(Follow::default());
        let follower = Follower::new(
            journal.clone(),
            overlay.clone(),
            partitions.clone(),
            disk.clone(),
            config.checkpoint_octets,
        )?;
        let mut writer = Writer::new(
            journal.clone(),
            files.clone(),
            epoch,
            before.unwrap_or((0, 0)),
            {
                let (follow, overlay, hurry) =
                    (follow.clone(), overlay.clone(), config.overlay_octets);
                Box::new(move || follow.ring(overlay.octets() > hurry))
            },
            {
                let overlay = overlay.clone();
                Box::new(move |durable| overlay.rollback(durable))
            },
        );
        writer.begin()?;
        opening.report.took = begun.elapsed();
        let shared = Shared {
            config,
            clock,
            epoch,
            disk,
            bodies: Bodies::new(files.clone()),
            files,
            applied: AtomicU64::new(journal.durable()),
            journal,
            overlay,
            partitions,
            engines,
            follow,
            opened: opening.report,
            free: AtomicU64::new(0),
            _lock: lock,
        };
        shared.look_at_free();
        debug_assert_eq!(shared.applied.load(Ordering::Relaxed), end.lsn);
        Ok(Self::over(Arc::new(Local {
            shared: Arc::new(shared),
            workers: Mutex::new(Workers::AtHand(Box::new(writer), Box::new(follower))),
        })))
    }
}

/// What is known while the store is being opened.
struct Opening {
    disk: Arc<dyn Disk>,
    files: Arc<Files>,
    report: Opened,
    /// Ascending by number.
    segments: Vec<Segment>,
}

/// All partitions, in their order.
type OpenEngines = Vec<Box<dyn Engine>>;

struct Segment {
    number: u32,
    /// `None` for a damaged one.
    head: Option<SegmentHead>,
    file: Arc<dyn File>,
    /// Where it ends, if another one says so.
    end: Option<u64>,
}

/// Where the journal ends.
struct End {
    lsn: u64,
    /// The latest segment, and where it ends.
    segment: Option<(u32, u64)>,
}

impl Opening {
    fn find_segments(&mut self) -> Result<(), StoreError> {
        let failed = |error: io::Error| disk_error("look at the journal", &error);
        let mut ends = BTreeMap::new();
        for number in journal::list(&*self.disk).map_err(failed)? {
            let Some(file) = self.files.segment(number)? else {
                continue;
            };
            let head = match SegmentHead::read(&*file).map_err(failed)? {
                Ok(head) if head.number == number => Some(head),
                Ok(_) | Err(NoSegment::Damaged) => None,
                Err(NoSegment::Newer(found)) => {
                    return Err(StoreError::Newer {
                        what: format!("journal segment {number}"),
                        found,
                        known: 1,
                    });
                }
            };
            if let Some(head) = head {
                // The latest one that follows it knows best.
                ends.insert(head.before, head.before_end);
            }
            self.segments.push(Segment {
                number,
                head,
                file,
                end: None,
            });
        }
        for segment in &mut self.segments {
            segment.end = ends.get(&segment.number).copied();
        }
        self.drop_unborn()
    }

    /// A segment whose head is damaged was never begun, if it has no frames; else it is damage.
    fn drop_unborn(&mut self) -> Result<(), StoreError> {
        let mut kept = Vec::new();
        for segment in std::mem::take(&mut self.segments) {
            if segment.head.is_some() {
                kept.push(segment);
                continue;
            }
            let mut frames = false;
            scan(&segment.file, segment.plan(false), |found| {
                frames |= matches!(found, Found::Frame { .. });
                Ok(if frames {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
            if frames || segment.end.is_some() {
                self.damage(format!("the head of journal segment {}", segment.number));
                kept.push(segment);
            } else {
                self.files.remove(segment.number)?;
            }
        }
        self.segments = kept;
        Ok(())
    }

    /// The mark of a clean stop, if the journal is as it says.
    fn clean(&self) -> Result<Option<Clean>, StoreError> {
        let Some(clean) = marks::read_clean(&*self.disk)? else {
            return Ok(None);
        };
        let Some(last) = self.segments.last() else {
            return Ok(None);
        };
        let length = last
            .file
            .length()
            .map_err(|error| disk_error("measure a segment", &error))?;
        Ok((last.number == clean.segment && length == clean.end).then_some(clean))
    }

    /// Opens the partitions, or makes them anew as far as the checkpoint reaches. Yields also up
    /// to which LSN each is complete.
    fn engines(
        &mut self,
        engines: &dyn Engines,
        names: &[String],
        trusted: bool,
    ) -> Result<(OpenEngines, Vec<u64>), StoreError> {
        let begins = checkpoint::list(&*self.disk)?.is_empty() && self.segments.is_empty();
        let mut open: Vec<Option<Box<dyn Engine>>> = Vec::new();
        let mut applied = vec![0; names.len()];
        for (number, name) in names.iter().enumerate() {
            let mut engine = None;
            if (trusted || begins)
                && !engines.is_suspect(name)
                && let Ok(found) = engines.open(name)
                && let Ok(lsn) = found.applied()
                && (begins || lsn.is_some())
            {
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
        }
        let first = self.segments.first().and_then(|segment| segment.head);
        if first.is_some_and(|head| head.first_lsn > 1) {
            return Err(StoreError::Damage {
                what: "the directory: no checkpoint is whole, and the journal does not reach back \
                       to the beginning"
                    .to_owned(),
            });
        }
        Ok(None)
    }

    /// Puts a checkpoint's rows into the partitions that are new.
    fn load(
        &self,
        lsn: u64,
        count: usize,
        open: &[Option<Box<dyn Engine>>],
        applied: &[u64],
    ) -> Result<(), StoreError> {
        let mut rows: Vec<Vec<Row>> = vec![Vec::new(); count];
        let rebuilt: Vec<bool> = Partitions::names(count - 3)
            .iter()
            .map(|name| self.report.rebuilt.contains(name))
            .collect();
        let put = |partition: usize, rows: &mut Vec<Row>, done: bool| match &open[partition] {
            Some(engine) => engine.apply(std::mem::take(rows), done.then_some(applied[partition])),
            None => Ok(()),
        };
        checkpoint::read(&*self.disk, lsn, &mut |class, key, value| {
            let Some(partition) = Partitions::of(count, class, &key) else {
                return Ok(());
            };
            if !rebuilt[partition] {
                return Ok(());
            }
            rows[partition].push((key, Some(value)));
            if rows[partition].len() >= ROWS {
                put(partition, &mut rows[partition], false)?;
            }
            Ok(())
        })?;
        for (partition, rows) in rows.iter_mut().enumerate() {
            if rebuilt[partition] {
                put(partition, rows, true)?;
            }
        }
        Ok(())
    }

    /// Applies the journal to the partitions, as far as they lack it.
    fn replay(
        &mut self,
        engines: &[Box<dyn Engine>],
        mut applied: Vec<u64>,
        clean: Option<Clean>,
    ) -> Result<End, StoreError> {
        let from = applied.iter().copied().min().unwrap_or(0);
        let mut end = End {
            lsn: applied.iter().copied().max().unwrap_or(0),
            segment: None,
        };
        let mut replay = Replay {
            engines,
            applied: &mut applied,
            rows: vec![Vec::new(); engines.len()],
            waiting: 0,
            frames: 0,
        };
        let segments = std::mem::take(&mut self.segments);
        for (number, segment) in segments.iter().enumerate() {
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
        replay: &mut Replay<'_>,
        end: &mut End,
    ) -> Result<(), StoreError> {
        let mut damage = Vec::new();
        scan(&segment.file, segment.plan(false), |found| {
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
        replay: &mut Replay<'_>,
        end: &mut End,
    ) -> Result<u64, StoreError> {
        enum Item {
            Frame {
                at: u64,
                lsn: u64,
                ops: Bytes,
                until: u64,
                whole: bool,
            },
            Bad(Span),
        }
        let mut items = Vec::new();
        let mut synced = 0;
        scan(&segment.file, segment.plan(true), |found| {
            items.push(match found {
                Found::Frame {
                    at,
                    head,
                    ops,
                    whole,
                } => {
                    synced = synced.max(head.synced);
                    Item::Frame {
                        at,
                        lsn: head.lsn,
                        ops,
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
                    ops,
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
                    replay.frame(found, &ops)?;
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
        self.set_aside(segment, until)?;
        Ok(until)
    }

    /// Ends a segment at `until`; what was behind is kept elsewhere.
    fn set_aside(&mut self, segment: &Segment, until: u64) -> Result<(), StoreError> {
        let failed = |error: io::Error| disk_error("end a torn segment", &error);
        let length = segment.file.length().map_err(failed)?;
        let mut torn = vec![0; usize::try_from(length.saturating_sub(until)).unwrap_or(0)];
        let read = segment.file.read_at(&mut torn, until).map_err(failed)?;
        torn.truncate(read);
        let used = torn
            .iter()
            .rposition(|&octet| octet != 0)
            .map_or(0, |at| at + 1);
        if used > 0 {
            self.report.torn_octets = used as u64;
            let name = format!("{ASIDE}/{:010}-{until}", segment.number);
            let file = self.disk.create(&name, 0).map_err(failed)?;
            file.write_at(&mut [IoSlice::new(&torn[..used])], 0)
                .and_then(|()| file.sync())
                .and_then(|()| self.disk.sync_folder(ASIDE))
                .map_err(failed)?;
        }
        // What a killed process had written and not synced is there now, and must not be lost
        // with the power later, after somebody has seen it.
        segment.file.sync().map_err(failed)?;
        segment.file.cut(until).map_err(failed)
    }

    fn damaged_span(&mut self, segment: &Segment, span: &Span) {
        self.damage(format!(
            "octets {} to {} of journal segment {}",
            span.from, span.until, segment.number
        ));
    }

    fn damage(&mut self, what: String) {
        tracing::error!(what, "damage was found");
        metrics::DAMAGED.count(&["frame"]);
        self.report.damage.push(what);
    }
}

impl Segment {
    fn plan(&self, deep: bool) -> Scan {
        Scan {
            segment: self.number,
            from: FRAMES_FROM,
            until: self.end,
            deep,
        }
    }
}

/// Operations on their way into the partitions.
struct Replay<'a> {
    engines: &'a [Box<dyn Engine>],
    applied: &'a mut Vec<u64>,
    rows: Vec<Vec<Row>>,
    waiting: usize,
    frames: u64,
}

impl Replay<'_> {
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
                self.rows[partition].push((op.key, op.value));
                self.waiting += 1;
            }
        });
        if read.is_none() {
            // Its checksum holds, so it was written so.
            return Err(StoreError::Damage {
                what: format!("the operations of LSN {lsn}"),
            });
        }
        if self.waiting >= ROWS {
            self.flush(lsn)?;
        }
        Ok(())
    }

    fn flush(&mut self, lsn: u64) -> Result<(), StoreError> {
        self.waiting = 0;
        for (partition, engine) in self.engines.iter().enumerate() {
            let rows = std::mem::take(&mut self.rows[partition]);
            let applied = self.applied[partition].max(lsn);
            engine.apply(rows, Some(applied))?;
            self.applied[partition] = applied;
        }
        Ok(())
    }

    fn finish(mut self, lsn: u64) -> Result<(), StoreError> {
        self.flush(lsn)
    }
}

/// Where torn octets are kept.
const ASIDE: &str = "aside";

/// Rows in one batch.
const ROWS: usize = 8192;
