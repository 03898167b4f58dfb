//! What the segments of the journal hold, and which of them nothing needs any more.

use std::{collections::BTreeMap, io};

use super::keeper::Shared;
use crate::{
    StoreError,
    journal::{self, FRAMES_FROM, SegmentHead, disk_error},
    keys::{self, Class},
    metrics, record,
};

/// Remembers what never changes about sealed segments, and what was moved away from them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sealed: BTreeMap<u32, Known>,
    /// Segments from which bodies were moved in this life, and the LSN up to which that was done.
    moved: BTreeMap<u32, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    last_lsn: u64,
    octets: u64,
}

/// A segment into which nothing is written any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sealed {
    pub(super) number: u32,
    /// Octets of its file.
    pub(super) octets: u64,
    /// Octets of bodies in it that somebody refers to; `None` while a change of that is on its
    /// way into the directory.
    pub(super) live: Option<u64>,
    /// The LSN of its last frame, or a higher one.
    pub(super) last_lsn: u64,
    /// Bodies were moved away from it by batches up to this LSN; zero if none was.
    pub(super) moved_lsn: u64,
    /// A body that is not accepted yet has chunks in it.
    pub(super) pinned: bool,
}

impl Sealed {
    /// Whether nothing of it is needed, when the older checkpoint that is kept is of that LSN: no
    /// body, no operation, and no checkpoint that looks for a body here which was moved.
    pub(super) const fn is_dead(&self, floor: u64) -> bool {
        matches!(self.live, Some(0))
            && !self.pinned
            && self.last_lsn <= floor
            && self.moved_lsn <= floor
    }
}

impl Ledger {
    /// Says that bodies were moved away from a segment, by batches up to that LSN.
    pub(super) fn moved(&mut self, segment: u32, lsn: u64) {
        self.moved.insert(segment, lsn);
    }

    /// All sealed segments, ascending.
    pub(super) fn look(&mut self, shared: &Shared) -> Result<Vec<Sealed>, StoreError> {
        let failed = |error: io::Error| disk_error("look at the journal", &error);
        let numbers = journal::list(&*shared.disk).map_err(failed)?;
        metrics::SEGMENTS.set(numbers.len() as f64, &[]);
        let (open, pins) = {
            let intake = shared.journal.lock();
            let pinned = |number: &&u32| intake.is_pinned(**number);
            let pins: Vec<u32> = numbers.iter().filter(pinned).copied().collect();
            (intake.tail.segment, pins)
        };
        let mut all = Vec::with_capacity(numbers.len());
        for pair in numbers.windows(2) {
            let (number, next) = (pair[0], pair[1]);
            if next > open {
                break;
            }
            let Some(Known { last_lsn, octets }) = self.known(shared, number, next)? else {
                continue;
            };
            all.push(Sealed {
                number,
                octets,
                live: live(shared, number)?,
                last_lsn,
                moved_lsn: self.moved.get(&number).copied().unwrap_or(0),
                pinned: pins.contains(&number),
            });
        }
        let octets: u64 = all.iter().map(|segment| segment.octets).sum();
        let live: u64 = all.iter().filter_map(|segment| segment.live).sum();
        metrics::SEALED_OCTETS.set(live as f64, &["live"]);
        metrics::SEALED_OCTETS.set(octets.saturating_sub(live) as f64, &["dead"]);
        Ok(all)
    }

    /// Removes the segments of which nothing is needed; yields how many octets that gave back.
    pub(super) fn drop_dead(&mut self, shared: &Shared, floor: u64) -> Result<u64, StoreError> {
        let mut octets = 0;
        for segment in self.look(shared)? {
            if segment.is_dead(floor) && shared.files.remove(segment.number)? {
                self.sealed.remove(&segment.number);
                self.moved.remove(&segment.number);
                metrics::DROPPED.count(&[]);
                octets += segment.octets;
                tracing::debug!(segment.number, "a journal segment was given back");
            }
        }
        Ok(octets)
    }

    /// What does not change; `None` for a segment of which it cannot be known.
    fn known(
        &mut self,
        shared: &Shared,
        number: u32,
        next: u32,
    ) -> Result<Option<Known>, StoreError> {
        if let Some(known) = self.sealed.get(&number) {
            return Ok(Some(*known));
        }
        let failed = |error: io::Error| disk_error("look at the journal", &error);
        let (file, next) = (shared.files.segment(number)?, shared.files.segment(next)?);
        let (Some(file), Some(next)) = (file, next) else {
            return Ok(None);
        };
        let Ok(SegmentHead { first_lsn, .. }) = SegmentHead::read(&*next).map_err(failed)? else {
            return Ok(None);
        };
        let known = Known {
            last_lsn: first_lsn.saturating_sub(1),
            octets: file.length().map_err(failed)?.max(FRAMES_FROM),
        };
        self.sealed.insert(number, known);
        Ok(Some(known))
    }
}

/// Octets of bodies in a segment that somebody refers to. A batch that turns the pins of chunks
/// into references is not durable for a moment, and neither is one that ends references: while
/// anything about the segment is on its way, nothing is known.
fn live(shared: &Shared, number: u32) -> Result<Option<u64>, StoreError> {
    let key = keys::live(number);
    let partition = shared.partition(Class::Blobs, &key)?;
    if shared.overlay.get(partition, &key, u64::MAX).is_some() {
        return Ok(None);
    }
    match shared.look(|partitions| partitions.get(partition, &key))? {
        Some(octets) => record::read_count(&octets).map(Some),
        None => Ok(Some(0)),
    }
}
