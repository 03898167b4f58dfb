//! Reading a segment from its beginning to its end, past whatever is damaged.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use super::{
    files::disk_error,
    frame::{FRAME_HEAD, FrameHead, NoFrame, SECTION_HEAD, Section, padded},
};
use crate::{StoreError, batch, disk::File};

/// What a scan comes upon.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A frame whose operations are sound.
    Frame {
        at: u64,
        head: FrameHead,
        ops: Bytes,
        /// Whether its bodies are sound too, as far as they were looked at.
        whole: bool,
    },
    /// Octets that are no frame, or one whose operations are damaged.
    Bad(&'a Span),
}

/// A stretch of damage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// The LSN of the frame, if its head is sound.
    pub(crate) lsn: Option<u64>,
}

/// How to look at a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    pub(crate) segment: u32,
    pub(crate) from: u64,
    /// Where it ends, if that is known; else at the last frame before nothing but zeros.
    pub(crate) until: Option<u64>,
    /// The number by chance that its frames have; `None` when its head is damaged.
    pub(crate) chance: Option<u64>,
    /// Whether the bodies are looked at too.
    pub(crate) deep: bool,
}

/// Scans a segment, calling `each` for what is found, in order. Frames must follow each other
/// without a gap in their LSNs: what does not is what an earlier life has left behind.
pub(crate) fn scan(
    file: &Arc<dyn File>,
    plan: Scan,
    mut each: impl FnMut(Found<'_>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let length = file
        .length()
        .map_err(|error| disk_error("measure a segment", &error))?;
    let mut window = Window {
        file,
        end: plan.until.unwrap_or(length).min(length),
        octets: Vec::new(),
        from: 0,
    };
    let mut at = plan.from;
    let mut lsn: Option<u64> = None;
    while at < window.end {
        match look(&mut window, &plan, at, lsn)? {
            Look::Frame(head, ops, whole) => {
                lsn = Some(head.lsn);
                let next = at + head.octets();
                let found = Found::Frame {
                    at,
                    head,
                    ops,
                    whole,
                };
                if each(found)?.is_break() {
                    return Ok(());
                }
                at = next;
            }
            Look::Damaged(head) => {
                lsn = Some(head.lsn);
                let span = Span {
                    from: at,
                    until: (at + head.octets()).min(window.end),
                    lsn,
                };
                if each(Found::Bad(&span))?.is_break() {
                    return Ok(());
                }
                at = span.until;
            }
            Look::Nothing => {
                let next = next_frame(&mut window, &plan, at, lsn)?;
                if next.is_none() && plan.until.is_none() && window.is_zero_from(at)? {
                    return Ok(());
                }
                let span = Span {
                    from: at,
                    until: next.unwrap_or(window.end),
                    lsn: None,
                };
                if each(Found::Bad(&span))?.is_break() {
                    return Ok(());
                }
                at = span.until;
                // The first frame after a gap may have any higher LSN.
                lsn = None;
            }
        }
    }
    Ok(())
}

impl Scan {
    /// Whether a frame is one of this segment's.
    fn has(&self, head: &FrameHead) -> bool {
        self.chance.is_none_or(|chance| head.chance == chance)
    }
}

enum Look {
    Frame(FrameHead, Bytes, bool),
    /// The head is sound, the operations are not.
    Damaged(FrameHead),
    Nothing,
}

fn look(
    window: &mut Window<'_>,
    plan: &Scan,
    at: u64,
    before: Option<u64>,
) -> Result<Look, StoreError> {
    let head = match FrameHead::read(window.octets(at, FRAME_HEAD as u64)?) {
        Ok(head) => head,
        Err(NoFrame::Damaged) => return Ok(Look::Nothing),
        Err(NoFrame::Newer(found)) => {
            return Err(StoreError::Newer {
                what: format!("a frame of journal segment {}", plan.segment),
                found,
                known: super::frame::FORMAT,
            });
        }
    };
    if !plan.has(&head) || before.is_some_and(|lsn| lsn.checked_add(1) != Some(head.lsn)) {
        return Ok(Look::Nothing);
    }
    let ops = window.octets(at + head.ops_from(), u64::from(head.ops))?;
    if ops.len() < head.ops as usize || crc32c::crc32c(ops) != head.ops_crc {
        return Ok(Look::Damaged(head));
    }
    let ops = if head.dense {
        // Its checksum holds: it was written so, and nothing can be made of it.
        match batch::read_dense(ops) {
            Some(ops) => ops,
            None => return Ok(Look::Damaged(head)),
        }
    } else {
        Bytes::copy_from_slice(ops)
    };
    let from = at + FRAME_HEAD as u64;
    let whole = !plan.deep || sections(window, from, from + u64::from(head.bodies))?;
    Ok(Look::Frame(head, ops, whole))
}

/// Whether all bodies between two places are sound.
fn sections(window: &mut Window<'_>, mut at: u64, until: u64) -> Result<bool, StoreError> {
    while at < until {
        let Some(section) = Section::read(window.octets(at, SECTION_HEAD as u64)?) else {
            return Ok(false);
        };
        let data = window.octets(at + SECTION_HEAD as u64, u64::from(section.data))?;
        if data.len() < section.data as usize || crc32c::crc32c(data) != section.crc {
            return Ok(false);
        }
        at += Section::whole(section.data as usize);
    }
    Ok(at == until)
}

/// The next place after `at` where a frame begins that can follow.
fn next_frame(
    window: &mut Window<'_>,
    plan: &Scan,
    at: u64,
    before: Option<u64>,
) -> Result<Option<u64>, StoreError> {
    let mut at = padded(at + 1);
    while at < window.end {
        if let Ok(head) = FrameHead::read(window.octets(at, FRAME_HEAD as u64)?)
            && plan.has(&head)
            && before.is_none_or(|lsn| head.lsn > lsn)
        {
            return Ok(Some(at));
        }
        at += 8;
    }
    Ok(None)
}

/// A part of the segment in memory.
struct Window<'a> {
    file: &'a Arc<dyn File>,
    end: u64,
    octets: Vec<u8>,
    from: u64,
}

impl Window<'_> {
    /// The octets from `at` on; fewer than asked for only where the segment ends.
    fn octets(&mut self, at: u64, length: u64) -> Result<&[u8], StoreError> {
        let until = at.saturating_add(length).min(self.end).max(at);
        if at < self.from || until > self.from + self.octets.len() as u64 {
            let wanted = (until - at)
                .max(WINDOW_OCTETS)
                .min(self.end.saturating_sub(at));
            self.octets.resize(usize::try_from(wanted).unwrap_or(0), 0);
            self.from = at;
            let read = self
                .file
                .read_at(&mut self.octets, at)
                .map_err(|error| disk_error("read a segment", &error))?;
            self.octets.truncate(read);
        }
        let from = usize::try_from(at - self.from).unwrap_or(usize::MAX);
        let until = from + usize::try_from(until - at).unwrap_or(0);
        Ok(&self.octets[from.min(self.octets.len())..until.min(self.octets.len())])
    }

    fn is_zero_from(&mut self, mut at: u64) -> Result<bool, StoreError> {
        while at < self.end {
            let octets = self.octets(at, WINDOW_OCTETS)?;
            if octets.is_empty() {
                return Ok(true);
            }
            if octets.iter().any(|&octet| octet != 0) {
                return Ok(false);
            }
            at += octets.len() as u64;
        }
        Ok(true)
    }
}

/// Large enough to read at the speed of the disk, small enough not to be noticed.
const WINDOW_OCTETS: u64 = 1024 * 1024;
