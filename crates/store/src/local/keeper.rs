//! Rows and bodies over the journal and its directory.

use std::sync::{
    Arc, Mutex, PoisonError, RwLock, Weak,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use mail::Time;

use super::{
    awaited::Awaited, config::Config, ended::Ended, lives::Ground, marks, report::Opened,
    threads::Workers, upkeep::Wishes,
};
use crate::{
    StoreError,
    batch::{Batch, Placed, Sealed},
    codec::Compress,
    directory::{Follow, Overlay, Partitions},
    disk::{Disk, Lock},
    journal::{
        Bodies, Files, FrameKind, Journal, Operations, Section, Spill, chunk_of, segment_of,
    },
    keeper::{Ack, Clock, Keeper, Seen},
    keys::{self, Class},
    port::{Body, BodyRef, BodyWriter, Chunk, Part, Pending, Sink},
    record,
};

/// A keeper of rows and bodies on a local disk. It outlives what it stands on: when that fails,
/// it is opened anew, and everybody goes on with the handle that they have.
pub struct Local {
    pub(super) ground: Ground,
    /// The present life; `None` between two of them, and after the last.
    pub(super) life: RwLock<Option<Arc<Shared>>>,
    /// Who waits for the next one.
    pub(super) awaited: Awaited,
    pub(super) workers: Mutex<Workers>,
    /// The epoch of the latest life.
    pub(super) epoch: AtomicU64,
    /// The first generation of the next life.
    pub(super) generation: AtomicU64,
    pub(super) opened: Opened,
}

/// What callers and threads have in common, from one opening to the next.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) epoch: u64,
    pub(super) clock: Clock,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) files: Arc<Files>,
    pub(super) journal: Arc<Journal>,
    pub(super) overlay: Arc<Overlay>,
    pub(super) partitions: Arc<Partitions>,
    pub(super) bodies: Bodies,
    pub(super) follow: Arc<Follow>,
    pub(super) ended: Ended,
    pub(super) wishes: Wishes,
    /// Octets free on the disk, when it was last looked at.
    pub(super) free: AtomicU64,
    /// All up to here is in the engine.
    pub(super) applied: AtomicU64,
    /// The folder is ours until all of these are dropped.
    pub(super) _lock: Arc<Lock>,
}

impl Shared {
    /// Looks how much room there is.
    pub(super) fn look_at_free(&self) -> u64 {
        let free = self.disk.free().unwrap_or(0);
        self.free.store(free, Ordering::Relaxed);
        crate::metrics::FREE.set(free as f64, &[]);
        free
    }

    /// Refuses new mail when the disk is as full as it may be. A segment is in the file system's
    /// books as a whole from its beginning, so what is free shrinks in steps.
    fn admit_mail(&self) -> Result<(), StoreError> {
        let reserve_octets = self.config.reserve_octets;
        // When it was full the last time: look again, because somebody may have made room.
        if self.free.load(Ordering::Relaxed) < reserve_octets
            && self.look_at_free() < reserve_octets
        {
            return Err(StoreError::Full { reserve_octets });
        }
        Ok(())
    }

    fn admit_rows(&self) -> Result<(), StoreError> {
        if self.overlay.octets() > 4 * self.config.overlay_octets {
            self.follow.ring(true);
            return Err(StoreError::Busy);
        }
        Ok(())
    }

    pub(super) fn get(
        &self,
        seen: Seen,
        class: Class,
        key: &[u8],
    ) -> Result<Option<Bytes>, StoreError> {
        let partition = self.partition(class, key)?;
        match self.overlay.get(partition, key, self.lsn(seen)) {
            Some(value) => Ok(value),
            None => self.look(|partitions| partitions.get(partition, key)),
        }
    }

    /// Looks into the engine. What it cannot read it will not read later either: the directory
    /// is made anew.
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&Partitions) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        look(&self.partitions).inspect_err(|_| self.follow.ring(true))
    }

    pub(super) fn partition(&self, class: Class, key: &[u8]) -> Result<usize, StoreError> {
        self.overlay
            .partition(class, key)
            .ok_or_else(|| StoreError::Damage {
                what: format!("the key {key:02x?}"),
            })
    }

    /// Which versions of rows a reader may see.
    fn lsn(&self, seen: Seen) -> u64 {
        match seen {
            Seen::Durable => self.journal.durable(),
            Seen::Newest => u64::MAX,
        }
    }

    /// Rows of one partition: what is in memory and what is in the engine, merged.
    pub(super) fn scan(
        &self,
        seen: Seen,
        partition: usize,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<bool, StoreError> {
        let lsn = self.lsn(seen);
        let mut from = from.to_vec();
        loop {
            let (rows, next) = self.overlay.some(partition, (&from, until), lsn, SCAN_ROWS);
            let end = next.as_deref().unwrap_or(until);
            let mut rows = rows.iter().peekable();
            let mut more = true;
            self.look(|partitions| {
                partitions.scan(partition, &from, end, &mut |key, value| {
                    while let Some((newer, value)) = rows.next_if(|row| row.0 < key) {
                        if let Some(value) = value {
                            more = each(newer, value);
                            if !more {
                                return false;
                            }
                        }
                    }
                    more = match rows.next_if(|row| row.0 == key) {
                        Some((_, Some(value))) => each(key, value),
                        Some((_, None)) => true,
                        None => each(key, value),
                    };
                    more
                })
            })?;
            for (key, value) in rows {
                if let Some(value) = value
                    && more
                {
                    more = each(key, value);
                }
            }
            match next {
                Some(next) if more => from = next,
                _ => return Ok(more),
            }
        }
    }

    pub(super) fn try_commit(&self, mut batch: Batch, ack: Ack) -> Result<(), (StoreError, Ack)> {
        macro_rules! attempt {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(error) => return Err((error, ack)),
                }
            };
        }
        if batch.brings_mail() {
            attempt!(self.admit_mail());
        }
        attempt!(self.admit_rows());
        let generation = batch.generation;
        let drafts = batch.take_bodies();
        let chunks = drafts.iter().flat_map(|draft| &draft.chunks);
        if chunks
            .into_iter()
            .any(|chunk| chunk.generation != generation)
        {
            return Err((StoreError::Lost, ack));
        }
        let bodies = Spill::measure(&drafts);
        let octets = bodies + batch.octets_max() as u64;
        if octets > FRAME_OCTETS_MAX {
            let what = "a change".to_owned();
            return Err((StoreError::TooLarge { what }, ack));
        }
        let mut intake = self.journal.lock();
        attempt!(self.journal.admit(&intake, generation));
        let tail = self.journal.place(&intake, octets);
        let mut spill = Spill::default();
        let placed: Vec<Placed> = drafts
            .into_iter()
            .map(|draft| {
                let (placed, pinned) = spill.add(tail, draft);
                for chunk in pinned {
                    intake.unpin(segment_of(chunk.at));
                }
                placed
            })
            .collect();
        let sealed = attempt!(batch.seal(&placed, &|class, key| {
            self.get(Seen::Newest, class, key)
        }));
        let durable = self.journal.durable();
        let payload = (spill.pieces, self.operations(&sealed));
        let lsn = self
            .journal
            .push(&mut intake, tail, FrameKind::Batch, payload, ack);
        self.overlay.stage(lsn, durable, sealed.iter());
        self.journal.ring(intake);
        Ok(())
    }

    /// The operations of a batch, as short as they may be written here.
    fn operations(&self, sealed: &Sealed) -> Operations {
        let dense = marks::is_dense(self.files.format()).then(|| sealed.dense());
        match dense.flatten() {
            Some(octets) => Operations {
                octets,
                dense: true,
            },
            None => Operations {
                octets: sealed.ops.clone(),
                dense: false,
            },
        }
    }

    fn try_spill(
        &self,
        part: &mut Part,
        new_mail: bool,
        ack: Ack,
    ) -> Result<Chunk, (StoreError, Ack)> {
        if new_mail && let Err(error) = self.admit_mail() {
            return Err((error, ack));
        }
        let mut intake = self.journal.lock();
        let generation = self.journal.generation();
        if let Err(error) = self.journal.admit(&intake, generation) {
            return Err((error, ack));
        }
        let need = Section::whole(part.data) + FRAME_SLACK;
        let tail = self.journal.place(&intake, need);
        let chunk = chunk_of(part);
        let mut spill = Spill::default();
        spill.chunk(std::mem::take(part));
        let payload = (spill.pieces, Operations::default());
        self.journal
            .push(&mut intake, tail, FrameKind::Chunk, payload, ack);
        intake.pin(tail.segment);
        self.journal.ring(intake);
        Ok(Chunk {
            at: tail.at(crate::journal::FRAME_HEAD as u64),
            generation,
            ..chunk
        })
    }
}

impl Local {
    /// What the store stands on at the moment.
    pub(super) fn shared(&self) -> Result<Arc<Shared>, StoreError> {
        let life = self.life.read().unwrap_or_else(PoisonError::into_inner);
        life.clone().ok_or(StoreError::Lost)
    }
}

impl Keeper for Local {
    fn get(&self, seen: Seen, class: Class, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.shared()?.get(seen, class, key)
    }

    fn scan(
        &self,
        seen: Seen,
        class: Class,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let shared = self.shared()?;
        if let Some(partition) = shared.overlay.partition(class, from) {
            return shared.scan(seen, partition, from, until, each).map(|_| ());
        }
        for partition in Partitions::mail(shared.partitions.count()) {
            if !shared.scan(seen, partition, from, until, each)? {
                break;
            }
        }
        Ok(())
    }

    fn generation(&self) -> u64 {
        let shared = self.shared();
        // A batch that is begun between two lives is refused by the next one.
        shared.map_or(u64::MAX, |shared| shared.journal.generation())
    }

    fn commit(&self, batch: Batch, ack: Ack) {
        let shared = match self.shared() {
            Ok(shared) => shared,
            Err(error) => return ack(Err(error)),
        };
        if batch.is_empty() {
            return shared.journal.barrier(batch.generation, ack);
        }
        if let Err((error, ack)) = shared.try_commit(batch, ack) {
            // Whoever hears it may ask the store to be opened anew.
            drop(shared);
            ack(Err(error));
        }
    }

    fn draft(&self) -> BodyWriter {
        let (life, packs) = self.shared().map_or_else(
            |_| (Weak::new(), false),
            |shared| {
                let packs = shared.config.compress == Compress::Always;
                (Arc::downgrade(&shared), packs)
            },
        );
        BodyWriter::new(Arc::new(Spillway::of_new_mail(life)), packs)
    }

    fn read(&self, body: &BodyRef) -> Result<Body, StoreError> {
        let shared = self.shared()?;
        // Where it was first is where most bodies are.
        let mut at = body.blob;
        loop {
            if let Some(found) = shared.bodies.read(at, body.octets)? {
                return Ok(found);
            }
            // Its segment is gone: either it lies elsewhere now, or it is gone, too. While it is
            // looked up it may be moved once more.
            let row = shared.get(Seen::Durable, Class::Blobs, &keys::blob(body.blob))?;
            let now = row.map(|octets| record::read_refs(&octets)).transpose()?;
            match now {
                Some(refs) if refs.at != at => at = refs.at,
                _ => {
                    return Err(StoreError::Missing {
                        what: format!("body {}", body.blob),
                    });
                }
            }
        }
    }

    fn digest(&self, body: &BodyRef) -> Result<[u8; 32], StoreError> {
        let shared = self.shared()?;
        let row = shared.get(Seen::Durable, Class::Blobs, &keys::blob(body.blob))?;
        let digest = match row {
            Some(octets) => shared.bodies.section(record::read_refs(&octets)?.at)?,
            None => None,
        };
        let digest = digest.map(|section| section.digest);
        digest.ok_or_else(|| StoreError::Missing {
            what: format!("body {}", body.blob),
        })
    }

    fn writes_lists(&self) -> Result<bool, StoreError> {
        let formats = marks::check_format(&*self.ground.disk, marks::FORMAT)?;
        Ok(formats.written >= marks::LISTS)
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn now(&self) -> Time {
        (self.ground.clock)()
    }
}

/// Where a draft's chunks go. A draft may be held for hours, and holds nobody up: what it has
/// spilled is lost when the store is opened anew, because nothing says that it must be kept.
#[derive(Debug)]
pub(super) struct Spillway {
    life: Weak<Shared>,
    new_mail: bool,
}

impl Spillway {
    pub(super) const fn of_new_mail(life: Weak<Shared>) -> Self {
        Self {
            life,
            new_mail: true,
        }
    }

    /// For bodies that are only moved: the reserve is theirs, too.
    pub(super) fn of_old_mail(life: &Arc<Shared>) -> Self {
        Self {
            life: Arc::downgrade(life),
            new_mail: false,
        }
    }
}

impl Sink for Spillway {
    fn spill(&self, part: &mut Part) -> Option<(Result<Chunk, StoreError>, Pending<()>)> {
        let Some(shared) = self.life.upgrade() else {
            return Some((Err(StoreError::Lost), Pending::ready(Err(StoreError::Lost))));
        };
        let (promise, pending) = Pending::promise();
        let ack: Ack = Box::new(move |result| promise.keep(result));
        Some(match shared.try_spill(part, self.new_mail, ack) {
            Ok(chunk) => (Ok(chunk), pending),
            Err((error, ack)) => {
                ack(Err(error.clone()));
                (Err(error), pending)
            }
        })
    }

    fn release(&self, chunks: &[Chunk]) {
        let Some(shared) = self.life.upgrade() else {
            return;
        };
        let mut intake = shared.journal.lock();
        for chunk in chunks {
            if *chunk != Chunk::LOST {
                intake.unpin(segment_of(chunk.at));
            }
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("folder", &self.ground.config.folder)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Drop for Local {
    /// Without a clean stop: as after a crash, the next start replays what is not in the
    /// directory yet.
    fn drop(&mut self) {
        let workers = self
            .workers
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let life = self.life.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = life.take() {
            workers.stop(&shared);
        }
    }
}

/// Rows in memory that a scan looks at in one go.
const SCAN_ROWS: usize = 256;

/// A frame's head and padding.
const FRAME_SLACK: u64 = 64;

/// A change larger than this is a mistake: ten million messages in one call.
const FRAME_OCTETS_MAX: u64 = 768 * 1024 * 1024;
