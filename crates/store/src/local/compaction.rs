//! Compaction: what is alive in a segment that is mostly dead moves to the journal's head.
//!
//! ```text
//! idle --victims--> finding --all rows seen--> moving --nothing left--> idle
//!                                               |  ^
//!                                    a batch or |  | it is durable
//!                                  a large body v  |
//!                                            waiting
//! ```
//!
//! One step is short and never waits: whoever turns it does other work in between. A body moves
//! through the journal's own writer like new mail. The batch that brings it says that it lies
//! elsewhere now, if it is still where it was taken from when the batch gets its place: so
//! whatever happens to the body meanwhile is not undone. The old copy stays until its segment is
//! dropped, when both checkpoints that are kept know of the move; a crash at any line leaves one
//! copy too many and never one too few.
//!
//! Each body is compared with its digest on the way. What is damaged stays where it is, and its
//! segment with it.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, mpsc},
};

use super::{
    keeper::{Shared, Spillway},
    ledger::{Ledger, Sealed},
};
use crate::{
    StoreError,
    batch::Batch,
    codec::Compress,
    journal::{Section, disk_error},
    keeper::Seen,
    keys::{self, Class},
    metrics,
    port::{Body, BodyWriter, Pending},
    record,
};

/// Moves what is alive out of the way.
#[derive(Default)]
pub(super) struct Compaction {
    phase: Phase,
    victims: BTreeSet<u32>,
    /// Bodies to be moved, by number.
    bodies: VecDeque<u64>,
    /// Bodies that cannot be moved: they are damaged.
    damaged: BTreeSet<u64>,
    /// Segments in which such bodies are all that is left.
    stuck: BTreeSet<u32>,
    /// Segments that were looked at for being cold, in this life.
    cold: BTreeSet<u32>,
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    /// Looks for the bodies of the victims, in the order of the rows.
    Finding {
        from: Vec<u8>,
    },
    Moving,
    /// A large body goes part by part.
    Copying(Box<Copying>),
    /// A batch is on its way.
    Waiting(mpsc::Receiver<Result<(), StoreError>>),
}

/// A large body on its way.
struct Copying {
    number: u64,
    at: u64,
    section: Section,
    body: Body,
    writer: BodyWriter,
    generation: u64,
    /// The latest part.
    spilled: Option<mpsc::Receiver<Result<(), StoreError>>>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// There is nothing to do.
    Idle,
    /// So many octets were moved, or looked through.
    Did(u64),
    /// The disk has to come first.
    Waits,
    /// Everything of the victims was moved that can be.
    Done,
}

impl Compaction {
    /// Whether it is in the middle of something.
    pub(super) const fn is_busy(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// Begins with the segments that are worth it, if there are any.
    pub(super) fn begin(&mut self, sealed: &[Sealed], floor: u64, below_percent: u8) {
        self.victims = victims(sealed, floor, below_percent);
        self.victims.retain(|number| !self.stuck.contains(number));
        if !self.victims.is_empty() {
            tracing::debug!(segments = ?self.victims, "what is alive in them is moved");
            self.bodies.clear();
            self.phase = Phase::Finding {
                from: keys::BLOBS.to_vec(),
            };
        }
    }

    /// Begins with a segment that has lain still for so long that its mail is likely to stay, if there
    /// is one: it is moved once, to be compressed.
    pub(super) fn begin_cold(
        &mut self,
        shared: &Shared,
        sealed: &[Sealed],
        floor: u64,
    ) -> Result<(), StoreError> {
        let after = shared.config.cold_after_seconds;
        if shared.config.compress != Compress::Cold || after == 0 {
            return Ok(());
        }
        let before = (shared.clock)()
            .0
            .saturating_sub(after.saturating_mul(1000));
        let open = |segment: &&Sealed| {
            segment.last_lsn <= floor && !segment.pinned && !self.cold.contains(&segment.number)
        };
        let candidates: Vec<Sealed> = sealed
            .iter()
            .filter(open)
            .take(COLD_LOOKS)
            .copied()
            .collect();
        for Sealed { number, octets, .. } in candidates {
            let Some(file) = shared.files.segment(number)? else {
                continue;
            };
            let modified = file.modified();
            if modified.map_err(|error| disk_error("look at a segment", &error))? > before {
                break; // those behind it are younger
            }
            self.cold.insert(number);
            let (bodies, alive) = unmoved(shared, number)?;
            if alive.saturating_mul(2) > octets {
                tracing::debug!(
                    segment = number,
                    "what is alive in it is cold and compressed"
                );
                self.victims = BTreeSet::from([number]);
                self.bodies = bodies;
                self.phase = Phase::Moving;
                break;
            }
        }
        Ok(())
    }

    /// Goes on. After an error it begins anew with whatever is worth it then.
    pub(super) fn step(
        &mut self,
        shared: &Arc<Shared>,
        ledger: &mut Ledger,
    ) -> Result<Step, StoreError> {
        let step = match std::mem::take(&mut self.phase) {
            Phase::Idle => Ok(Step::Idle),
            Phase::Finding { from } => self.find(shared, &from),
            Phase::Moving if self.bodies.is_empty() => {
                self.end(shared, ledger);
                Ok(Step::Done)
            }
            Phase::Moving => self.move_some(shared),
            Phase::Copying(copying) => self.copy(shared, copying),
            Phase::Waiting(heard) => match heard.try_recv() {
                Ok(Ok(())) => {
                    self.phase = Phase::Moving;
                    Ok(Step::Did(0))
                }
                Ok(Err(error)) => Err(error),
                Err(mpsc::TryRecvError::Empty) => {
                    self.phase = Phase::Waiting(heard);
                    Ok(Step::Waits)
                }
                Err(mpsc::TryRecvError::Disconnected) => Err(StoreError::Lost),
            },
        };
        if step.is_err() {
            // What was moved so far is moved, and no checkpoint may be without it.
            self.end(shared, ledger);
        }
        step
    }

    fn end(&mut self, shared: &Shared, ledger: &mut Ledger) {
        let lsn = shared.journal.lock().lsn;
        for &victim in &self.victims {
            ledger.moved(victim, lsn);
        }
        self.phase = Phase::Idle;
    }

    /// Looks through some rows for bodies that need a victim.
    fn find(&mut self, shared: &Shared, from: &[u8]) -> Result<Step, StoreError> {
        let until = keys::after(keys::BLOBS);
        let partition = shared.partition(Class::Blobs, from)?;
        let (mut rows, mut octets) = (0, 0);
        let mut next = None;
        let mut failed = None;
        shared.scan(Seen::Durable, partition, from, &until, &mut |key, value| {
            if rows == FIND_ROWS {
                next = Some(key.to_vec());
                return false;
            }
            rows += 1;
            octets += (key.len() + value.len()) as u64;
            match (key.last_chunk(), record::read_refs(value)) {
                (Some(number), Ok(refs)) => {
                    let number = u64::from_be_bytes(*number);
                    let needs = |(segment, _): &(u32, u64)| self.victims.contains(segment);
                    if refs.spans.iter().any(needs) && !self.damaged.contains(&number) {
                        self.bodies.push_back(number);
                    }
                }
                (_, Err(error)) => failed = Some(error),
                (None, _) => {}
            }
            failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        self.phase = match next {
            Some(from) => Phase::Finding { from },
            None => {
                if self.bodies.is_empty() {
                    // All that is counted there is damaged.
                    self.stuck.extend(&self.victims);
                }
                Phase::Moving
            }
        };
        Ok(Step::Did(octets))
    }

    /// Moves as many small bodies as a batch should have, or begins with a large one.
    fn move_some(&mut self, shared: &Arc<Shared>) -> Result<Step, StoreError> {
        let mut batch = Batch::new(shared.journal.generation());
        let mut octets = 0;
        while octets < STEP_OCTETS {
            let Some(number) = self.bodies.pop_front() else {
                break;
            };
            let Some((at, section)) = self.find_body(shared, number)? else {
                continue;
            };
            if section.octets >= BodyWriter::SPILL_OCTETS as u64 {
                if !batch.is_empty() {
                    self.bodies.push_front(number);
                    break;
                }
                return self.begin_large(shared, number, at, section);
            }
            let Some(body) = self.read(shared, number, at, section.octets)? else {
                continue;
            };
            let mut writer = writer(shared);
            let _ = writer.write(body.bytes()?); // too short to be spilled
            let draft = writer.finish();
            if draft.digest == section.digest {
                batch.relocate(draft, number, at);
                octets += section.octets;
            } else {
                self.damaged(number);
            }
        }
        self.phase = if batch.is_empty() {
            Phase::Moving
        } else {
            commit(shared, batch)?
        };
        metrics::COMPACTED.add(octets, &[]);
        Ok(Step::Did(octets))
    }

    /// Where a body is and what it is, if it still has to be moved.
    fn find_body(
        &mut self,
        shared: &Shared,
        number: u64,
    ) -> Result<Option<(u64, Section)>, StoreError> {
        let row = shared.get(Seen::Durable, Class::Blobs, &keys::blob(number))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let refs = record::read_refs(&row)?;
        let needs = |(segment, _): &(u32, u64)| self.victims.contains(segment);
        if !refs.spans.iter().any(needs) {
            return Ok(None);
        }
        match shared.bodies.section(refs.at) {
            Ok(Some(section)) => Ok(Some((refs.at, section))),
            Ok(None) | Err(StoreError::Damage { .. }) => {
                self.damaged(number);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read(
        &mut self,
        shared: &Shared,
        number: u64,
        at: u64,
        octets: u64,
    ) -> Result<Option<Body>, StoreError> {
        match shared.bodies.read(at, octets) {
            Ok(Some(body)) => Ok(Some(body)),
            Ok(None) | Err(StoreError::Damage { .. }) => {
                self.damaged(number);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn damaged(&mut self, number: u64) {
        tracing::error!(number, "a body is damaged and stays where it is");
        self.damaged.insert(number);
    }

    fn begin_large(
        &mut self,
        shared: &Arc<Shared>,
        number: u64,
        at: u64,
        section: Section,
    ) -> Result<Step, StoreError> {
        self.phase = match self.read(shared, number, at, section.octets)? {
            Some(body) => Phase::Copying(Box::new(Copying {
                number,
                at,
                section,
                body,
                writer: writer(shared),
                generation: shared.journal.generation(),
                spilled: None,
            })),
            None => Phase::Moving,
        };
        Ok(Step::Did(0))
    }

    /// Copies one part of a large body, when the one before has been written.
    fn copy(
        &mut self,
        shared: &Arc<Shared>,
        mut copying: Box<Copying>,
    ) -> Result<Step, StoreError> {
        if let Some(spilled) = &copying.spilled {
            match spilled.try_recv() {
                Ok(written) => written?,
                Err(mpsc::TryRecvError::Empty) => {
                    self.phase = Phase::Copying(copying);
                    return Ok(Step::Waits);
                }
                Err(mpsc::TryRecvError::Disconnected) => return Err(StoreError::Lost),
            }
            copying.spilled = None;
        }
        let from = copying.writer.octets();
        if from < copying.section.octets {
            let part = match copying.body.read_at(from, BodyWriter::SPILL_OCTETS) {
                Ok(part) if !part.is_empty() => part,
                Ok(_) | Err(StoreError::Damage { .. }) => {
                    self.damaged(copying.number);
                    self.phase = Phase::Moving;
                    return Ok(Step::Did(0));
                }
                Err(error) => return Err(error),
            };
            let octets = part.len() as u64;
            copying.spilled = copying.writer.write(part).map(heard);
            self.phase = Phase::Copying(copying);
            metrics::COMPACTED.add(octets, &[]);
            return Ok(Step::Did(octets));
        }
        let draft = copying.writer.finish();
        self.phase = if draft.digest == copying.section.digest {
            let mut batch = Batch::new(copying.generation);
            batch.relocate(draft, copying.number, copying.at);
            commit(shared, batch)?
        } else {
            self.damaged(copying.number);
            Phase::Moving
        };
        Ok(Step::Did(0))
    }
}

/// The segments that are worth it, those with the least to be moved first: both checkpoints that
/// are kept are past them, because mail on its way through is gone by then without help.
fn victims(sealed: &[Sealed], floor: u64, below_percent: u8) -> BTreeSet<u32> {
    let mut worth: Vec<(u64, u32)> = sealed
        .iter()
        .filter(|segment| segment.last_lsn <= floor)
        .filter_map(|segment| {
            let live = segment.live.filter(|&live| live > 0)?;
            let few = live.saturating_mul(100) < segment.octets * u64::from(below_percent);
            few.then_some((live, segment.number))
        })
        .collect();
    worth.sort_unstable();
    let mut octets = 0;
    let some = worth.into_iter().take_while(|(live, _)| {
        let more = octets < ROUND_OCTETS;
        octets += live;
        more
    });
    some.map(|(_, number)| number).collect()
}

/// Bodies that are where they came in, in that segment, and the octets that they take: whatever was moved has
/// a place that is not its number, and was compressed then if that saves anything.
fn unmoved(shared: &Shared, segment: u32) -> Result<(VecDeque<u64>, u64), StoreError> {
    let first = |segment: u32| keys::blob(u64::from(segment) << 32);
    let (from, until) = (first(segment), first(segment + 1));
    let partition = shared.partition(Class::Blobs, &from)?;
    let (mut bodies, mut octets) = (VecDeque::new(), 0);
    let mut failed = None;
    shared.scan(
        Seen::Durable,
        partition,
        &from,
        &until,
        &mut |key, value| {
            match (key.last_chunk(), record::read_refs(value)) {
                (Some(number), Ok(refs)) => {
                    let number = u64::from_be_bytes(*number);
                    if refs.at == number {
                        octets += refs.spans.iter().map(|(_, octets)| octets).sum::<u64>();
                        bodies.push_back(number);
                    }
                }
                (_, Err(error)) => failed = Some(error),
                (None, _) => {}
            }
            failed.is_none()
        },
    )?;
    failed.map_or(Ok((bodies, octets)), Err)
}

fn writer(shared: &Arc<Shared>) -> BodyWriter {
    let packs = shared.config.compress != Compress::Never;
    BodyWriter::new(Arc::new(Spillway::of_old_mail(shared)), packs)
}

fn commit(shared: &Shared, batch: Batch) -> Result<Phase, StoreError> {
    let (promise, pending) = Pending::promise();
    let ack = Box::new(move |result| promise.keep(result));
    shared.try_commit(batch, ack).map_err(|(error, _)| error)?;
    Ok(Phase::Waiting(heard(pending)))
}

fn heard(pending: Pending<()>) -> mpsc::Receiver<Result<(), StoreError>> {
    let (told, heard) = mpsc::channel();
    pending.then(move |result| {
        let _ = told.send(result); // it may have been given up
    });
    heard
}

/// Rows that are looked at in one step.
const FIND_ROWS: usize = 2048;

/// Segments that are looked at for being cold, each time.
const COLD_LOOKS: usize = 16;

/// Octets of small bodies in one batch: a group of the writer is not much longer for it.
const STEP_OCTETS: u64 = 256 * 1024;

/// Octets that are moved before all segments are looked at again; it also bounds the memory for
/// the numbers of the bodies.
const ROUND_OCTETS: u64 = 256 * 1024 * 1024;
