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
    io,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{
    awaited::Awaited,
    config::Config,
    ended::Ended,
    keeper::{Local, Shared},
    lives::{Before, Ground},
    marks::{self, Clean},
    progress::{self, Progress, Stage, Teller},
    report::Opened,
    snapshot,
    threads::Workers,
    upkeep::{Upkeep, Wishes},
};
use crate::{
    StoreError,
    desk::Store,
    directory::{Engine, Engines, Follow, Follower, Overlay, Partitions, SledEngines, checkpoint},
    disk::{Disk, File, LayeredDisk, RealDisk},
    journal::{
        self, Bodies, FRAMES_FROM, Files, Journal, NoSegment, Scan, SegmentHead, Span, Tail,
        Writer, disk_error, scan,
    },
    keeper::Clock,
    metrics,
};

mod others;
mod partitions;
mod replay;

impl Store<Local> {
    /// Opens the store of a folder, or begins one.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Newer`], [`StoreError::Disk`]; [`StoreError::Damage`]
    /// when neither a checkpoint nor the whole journal is there to make the directory from.
    pub fn open(config: Config, clock: Clock) -> Result<Self, StoreError> {
        Self::open_folder(config, clock, true, progress::nobody())
    }

    /// Opens the store of a folder and makes its directory anew from checkpoint and journal,
    /// whatever state it is in.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn rebuild(config: Config, clock: Clock) -> Result<Self, StoreError> {
        Self::rebuild_telling(config, clock, progress::nobody())
    }

    /// Opens a state of a store that lies in `folder`, as a backup keeps it, without changing
    /// anything there. What opening writes goes to `scratch`, which must be empty: the directory,
    /// mostly, and the ends of the journal. Whatever is written to the store goes there, too.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_copy(folder: &Path, scratch: &Path, clock: Clock) -> Result<Self, StoreError> {
        let failed = |error: io::Error| disk_error("prepare the scratch folder", &error);
        let disk = LayeredDisk::new(folder, scratch).map_err(failed)?;
        // Opening cuts the last segment, or the one before it if the last one was never begun.
        let segments = journal::list(&disk).map_err(|e| disk_error("look at the journal", &e))?;
        for &number in segments.iter().rev().take(2) {
            let name = journal::segment_name(number);
            disk.bring_up(&name)
                .map_err(|error| disk_error(&format!("copy {name}"), &error))?;
        }
        let config = Config {
            // Nobody needs one, and its room is better spent otherwise.
            checkpoint_octets: u64::MAX,
            ..Config::new(scratch)
        };
        let partitions = Partitions::names(config.mail_partitions).len() as u64;
        let cache_octets = config.cache_octets / partitions;
        let engines = SledEngines::new(&scratch.join("directory"), cache_octets);
        let store = Self::open_on(
            Arc::new(disk),
            Arc::new(engines),
            config,
            clock,
            (false, progress::nobody()),
        )?;
        store.start()?;
        Ok(store)
    }

    /// The same, telling how far it has come.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn rebuild_telling(
        config: Config,
        clock: Clock,
        teller: Teller,
    ) -> Result<Self, StoreError> {
        Self::open_folder(config, clock, false, teller)
    }

    fn open_folder(
        config: Config,
        clock: Clock,
        trust: bool,
        teller: Teller,
    ) -> Result<Self, StoreError> {
        let config = config.bounded();
        let disk = RealDisk::new(&config.folder)
            .map_err(|error| disk_error("create the data folder", &error))?;
        let partitions = Partitions::names(config.mail_partitions).len() as u64;
        let engines = SledEngines::new(
            &config.folder.join("directory"),
            config.cache_octets / partitions,
        );
        let (disk, engines) = (Arc::new(disk), Arc::new(engines));
        let store = Self::open_on(disk, engines, config, clock, (trust, teller))?;
        store.start()?;
        Ok(store)
    }

    /// Opens the store on a disk; nobody is at work yet.
    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        engines: Arc<dyn Engines>,
        config: Config,
        clock: Clock,
        (trust, teller): (bool, Teller),
    ) -> Result<Self, StoreError> {
        let config = config.bounded();
        let failed = |error: io::Error| disk_error("take the data folder", &error);
        let Some(lock) = disk.lock().map_err(failed)? else {
            return Err(StoreError::InUse {
                folder: config.folder.display().to_string(),
            });
        };
        if marks::is_being_restored(&*disk).map_err(failed)? {
            return Err(StoreError::Unfinished {
                folder: config.folder.display().to_string(),
            });
        }
        let ground = Ground {
            clock,
            config,
            disk,
            engines,
            lock: Arc::new(lock),
        };
        let heads_octets = ground.config.heads_octets;
        snapshot::forget_all(&*ground.disk);
        let (shared, workers, opened) = ground.open(trust, Before::default(), teller)?;
        let local = Local {
            ground,
            epoch: AtomicU64::new(shared.epoch),
            generation: AtomicU64::new(0),
            life: RwLock::new(Some(Arc::new(shared))),
            awaited: Awaited::default(),
            workers: Mutex::new(workers),
            opened,
        };
        Ok(Self::over(Arc::new(local), heads_octets))
    }
}

impl Ground {
    /// Opens the store once; nobody is at work yet.
    pub(super) fn open(
        &self,
        trust: bool,
        before: Before,
        teller: Teller,
    ) -> Result<(Shared, Workers, Opened), StoreError> {
        let begun = Instant::now();
        let failed = |error: io::Error| disk_error("prepare the data folder", &error);
        let (config, disk) = (&self.config, &self.disk);
        let formats = marks::check_format(&**disk, marks::FORMAT)?;
        for folder in [journal::FOLDER, checkpoint::FOLDER, ASIDE, "directory"] {
            disk.create_folder(folder).map_err(failed)?;
        }
        disk.sync_folder("").map_err(failed)?;
        let mut opening = Opening {
            files: Arc::new(Files::new(disk.clone(), formats.written)),
            disk: disk.clone(),
            report: Opened::default(),
            segments: Vec::new(),
            teller,
            rotten: false,
        };
        opening.find_segments()?;
        let clean = opening.clean()?;
        opening.report.clean = clean.is_some();
        // How mail is spread is part of what the directory is: another shape is another one.
        let boot = format!("{} {}", disk.boot(), config.mail_partitions);
        let same_boot =
            marks::read_boot(&**disk)?.is_some_and(|b| b == boot && !b.starts_with(' '));
        let spread = format!(" {}", config.mail_partitions);
        let same_spread = marks::read_boot(&**disk)?.is_none_or(|b| b.ends_with(&spread));
        let trusted = trust && same_spread && (clean.is_some() || same_boot);
        // From here on the directory changes: without the mark it counts as after a crash.
        marks::remove_clean(&**disk)?;
        if !trusted {
            // A partition of another shape must not pass for one of the shape that the mark says.
            marks::remove_boot(&**disk)?;
        }
        let names = Partitions::names(config.mail_partitions);
        let (engines_open, applied) = opening.engines(&*self.engines, &names, trusted)?;
        let end = opening.replay(&engines_open, applied, clean)?;
        marks::write_boot(&**disk, &boot)?;
        let since = opening.since_checkpoint(&end)?;
        let latest = opening.segments.iter().filter_map(|s| Some(s.head?.epoch));
        let epoch = latest.max().unwrap_or(0).max(before.epoch) + 1;
        let (shared, workers) = self.begin(engines_open, end, (epoch, before.generation), since)?;
        if opening.rotten && disk.lasts() {
            shared.wishes.checkpoint();
        }
        opening.report.took = begun.elapsed();
        Ok((shared, workers, opening.report))
    }

    /// What goes on from where the journal ends.
    fn begin(
        &self,
        engines: OpenEngines,
        end: End,
        (epoch, generation): (u64, u64),
        since: u64,
    ) -> Result<(Shared, Workers), StoreError> {
        let disk = &self.disk;
        let formats = marks::check_format(&**disk, marks::FORMAT)?;
        let config = &formats.bound(self.config.clone());
        let before = end.segment;
        let tail = Tail {
            segment: before.map_or(1, |(number, _)| number + 1),
            offset: FRAMES_FROM,
            limit: config.segment_octets,
        };
        let bounds = (config.segment_octets, config.queue_octets);
        let journal = Arc::new(Journal::new(end.lsn, tail, generation, bounds));
        let files = Arc::new(Files::new(disk.clone(), formats.written));
        let overlay = Arc::new(Overlay::new(engines.len()));
        let partitions = Arc::new(Partitions::new(engines));
        let follow = Arc::new(Follow::default());
        let follower = Follower::new(
            journal.clone(),
            overlay.clone(),
            partitions.clone(),
            disk.clone(),
            (config.checkpoint_octets, config.overlay_octets),
            (since, marks::checkpoint_format(formats.written)),
        )?;
        let others = others::of(&journal, &overlay, &follow, config.overlay_octets);
        let before = before.unwrap_or((0, 0));
        let mut writer = Writer::new(journal.clone(), files.clone(), epoch, before, others);
        writer.begin()?;
        let shared = Shared {
            config: config.clone(),
            epoch,
            clock: self.clock.clone(),
            disk: disk.clone(),
            bodies: Bodies::new(files.clone()),
            files,
            applied: AtomicU64::new(journal.durable()),
            journal,
            overlay,
            partitions,
            follow,
            ended: Ended::new(),
            wishes: Wishes::default(),
            free: AtomicU64::new(0),
            _lock: self.lock.clone(),
        };
        shared.look_at_free();
        debug_assert_eq!(shared.applied.load(Ordering::Relaxed), end.lsn);
        let workers = Workers::AtHand(Box::new(writer), Box::new(Upkeep::new(follower)));
        Ok((shared, workers))
    }
}

/// What is known while the store is being opened.
struct Opening {
    disk: Arc<dyn Disk>,
    files: Arc<Files>,
    report: Opened,
    /// Ascending by number.
    segments: Vec<Segment>,
    teller: Teller,
    /// Whether a checkpoint was damaged.
    rotten: bool,
}

/// All partitions, in their order.
type OpenEngines = Vec<Box<dyn Engine>>;

struct Segment {
    number: u32,
    /// `None` for a damaged one.
    head: Option<SegmentHead>,
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
                        known: journal::FORMAT,
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
                end: None,
            });
        }
        for segment in &mut self.segments {
            segment.end = ends.get(&segment.number).copied();
        }
        self.drop_unborn()
    }

    /// A segment whose head is damaged was never begun, if nothing is in it; else it is damage.
    fn drop_unborn(&mut self) -> Result<(), StoreError> {
        let mut kept = Vec::new();
        for segment in std::mem::take(&mut self.segments) {
            if segment.head.is_some() {
                kept.push(segment);
                continue;
            }
            // Its head is durable before anything is written behind it: where anything is found,
            // sound or not, there was a head.
            let mut used = false;
            scan(&self.file(&segment)?, segment.plan(false), |_| {
                used = true;
                Ok(ControlFlow::Break(()))
            })?;
            if used || segment.end.is_some() {
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
        let length = self
            .file(last)?
            .length()
            .map_err(|error| disk_error("measure a segment", &error))?;
        Ok((last.number == clean.segment && length == clean.end).then_some(clean))
    }

    /// A segment's file: opened for the occasion, because a store has more of them than a process
    /// may have open.
    fn file(&self, segment: &Segment) -> Result<Arc<dyn File>, StoreError> {
        let file = self.files.segment(segment.number)?;
        file.ok_or_else(|| StoreError::Missing {
            what: format!("journal segment {}", segment.number),
        })
    }

    fn tell(&self, stage: Stage, done: u64, total: u64) {
        (self.teller)(Progress { stage, done, total });
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
            chance: self.head.map(|head| head.chance),
            deep,
        }
    }
}

/// Where torn octets are kept.
const ASIDE: &str = "aside";

/// Rows in one batch.
const ROWS: usize = 8192;
