//! Reading everything again, a little at a time, while the store goes on: what rots at rest is found
//! before somebody needs it.
//!
//! First the frames of the sealed segments and the blocks of the checkpoints, by their checksums, then
//! every body that is referred to, by its digest. References and counters are not compared: they say the truth only while nobody
//! writes, and are for [`Store::check`].

use std::{io, ops::ControlFlow};

use super::{
    damaged::{Stretch, span_of},
    keeper::{Local, Shared},
};
use crate::{
    StoreError,
    desk::Store,
    directory::checkpoint,
    journal::{self, FRAMES_FROM, Scan, SegmentHead, disk_error, scan},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    record,
};

/// How far a round of reading has come. It may be thrown away at any time: a round begins anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scrub(Place);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// In the journal: a segment, and an offset in it.
    Journal(u32, u64),
    /// In the checkpoints, the newest first: an LSN that none of those that are left is beyond, and
    /// an offset in the one that has it.
    Checkpoints(u64, u64),
    /// Among the bodies: behind that one.
    Bodies(u64),
}

/// What one step has found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scrubbed {
    /// Octets that were read, about.
    pub octets: u64,
    /// What is damaged, each with its place. It stays where it is, a copy of damaged frames is in
    /// `damaged/`, and everything else is served.
    pub damage: Vec<String>,
    /// Whether a round has ended with it; the next step begins another.
    pub ended: bool,
}

impl Default for Scrub {
    fn default() -> Self {
        Self(Place::Journal(0, FRAMES_FROM))
    }
}

impl Store<Local> {
    /// Reads on from where the last step ended, about `octets` of them.
    ///
    /// # Errors
    /// When the disk refuses to be read, or the store has ended. What is damaged is no error.
    pub fn scrub(&self, scrub: &mut Scrub, octets: u64) -> Result<Scrubbed, StoreError> {
        let shared = &*self.keeper.shared()?;
        let mut done = Scrubbed::default();
        scrub.0 = match scrub.0 {
            Place::Journal(segment, at) => read_frames(shared, (segment, at), octets, &mut done)?,
            Place::Checkpoints(lsn, at) => read_checkpoint(shared, (lsn, at), octets, &mut done)?,
            Place::Bodies(after) => read_bodies(&self.keeper, after, octets, &mut done)?,
        };
        Ok(done)
    }
}

fn read_frames(
    shared: &Shared,
    (from, at): (u32, u64),
    octets: u64,
    done: &mut Scrubbed,
) -> Result<Place, StoreError> {
    let failed = |error: io::Error| disk_error("read the journal", &error);
    let mut numbers = journal::list(&*shared.disk).map_err(failed)?;
    // A segment is sealed when another one follows it.
    numbers.pop();
    let Some(&number) = numbers.iter().find(|&&number| number >= from) else {
        return Ok(Place::Checkpoints(u64::MAX, 0));
    };
    let at = if number == from {
        at.max(FRAMES_FROM)
    } else {
        FRAMES_FROM
    };
    let Some(file) = shared.files.segment(number)? else {
        return Ok(Place::Journal(number + 1, FRAMES_FROM)); // given back meanwhile
    };
    let head = SegmentHead::read(&*file).map_err(failed)?.ok();
    if at == FRAMES_FROM && head.is_none() {
        done.damage
            .push(shared.set_aside(&*file, &Stretch::head(number)));
    }
    let plan = Scan {
        segment: number,
        chance: head.map(|head| head.chance),
        from: at,
        until: Some(file.length().map_err(failed)?),
        deep: true,
    };
    let mut next = None;
    scan(&file, plan, |found| {
        let (from, until) = span_of(&found);
        if let Some(stretch) = Stretch::of(number, &found) {
            done.damage.push(shared.set_aside(&*file, &stretch));
        }
        done.octets += until - from;
        if done.octets < octets {
            return Ok(ControlFlow::Continue(()));
        }
        next = Some(until);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(match next {
        Some(next) => Place::Journal(number, next),
        None => Place::Journal(number + 1, FRAMES_FROM),
    })
}

fn read_checkpoint(
    shared: &Shared,
    (from, at): (u64, u64),
    octets: u64,
    done: &mut Scrubbed,
) -> Result<Place, StoreError> {
    let disk = &*shared.disk;
    let kept = checkpoint::list(disk)?;
    let Some(&lsn) = kept.iter().find(|&&lsn| lsn <= from) else {
        return Ok(Place::Bodies(0));
    };
    let at = if lsn == from { at } else { 0 };
    let (next, ended) = match checkpoint::verify(disk, lsn, at, octets) {
        Ok(read) => read,
        // Newer ones have come meanwhile.
        Err(_) if !checkpoint::list(disk)?.contains(&lsn) => (at, true),
        Err(error @ StoreError::Damage { .. }) => {
            done.damage.push(error.to_string());
            shared.wishes.checkpoint();
            (at, true)
        }
        Err(error) => return Err(error),
    };
    done.octets += next - at;
    Ok(match (ended, lsn.checked_sub(1)) {
        (false, _) => Place::Checkpoints(lsn, next),
        (true, Some(older)) => Place::Checkpoints(older, 0),
        (true, None) => Place::Bodies(0),
    })
}

fn read_bodies(
    keeper: &Local,
    after: u64,
    octets: u64,
    done: &mut Scrubbed,
) -> Result<Place, StoreError> {
    let from = keys::next(&keys::blob(after));
    let mut found = Vec::new();
    let mut gathered = 0;
    keeper.scan(
        Seen::Durable,
        Class::Blobs,
        &from,
        b"C",
        &mut |key, value| {
            let (Some(number), Ok(refs)) = (key.last_chunk(), record::read_refs(value)) else {
                done.damage
                    .push(format!("the row {key:02x?} of class Blobs"));
                return true;
            };
            gathered += refs.spans.iter().map(|(_, octets)| octets).sum::<u64>();
            found.push((u64::from_be_bytes(*number), refs.at));
            gathered < octets && found.len() < BODIES_AT_ONCE
        },
    )?;
    let Some(&(last, _)) = found.last() else {
        done.ended = true;
        return Ok(Scrub::default().0);
    };
    for (blob, at) in found {
        match is_whole(keeper, at) {
            Ok(octets) => done.octets += octets,
            Err(error @ (StoreError::Damage { .. } | StoreError::Missing { .. })) => {
                // What was removed while it was being read is no damage.
                let row = keeper.get(Seen::Newest, Class::Blobs, &keys::blob(blob))?;
                if row.is_some() {
                    done.damage.push(format!("body {blob}: {error}"));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Place::Bodies(last))
}

/// Reads a body and compares it with its digest; yields its length.
fn is_whole(keeper: &Local, at: u64) -> Result<u64, StoreError> {
    let missing = || StoreError::Missing {
        what: "its place".to_owned(),
    };
    let shared = keeper.shared()?;
    let section = shared.bodies.section(at)?.ok_or_else(missing)?;
    let found = shared
        .bodies
        .read(at, section.octets)?
        .ok_or_else(missing)?;
    match found.digest()? == section.digest {
        true => Ok(section.octets),
        false => Err(StoreError::Damage {
            what: "its digest".to_owned(),
        }),
    }
}

/// Small bodies are many, and each is a read of its own.
const BODIES_AT_ONCE: usize = 64;
