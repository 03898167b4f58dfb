//! The journal: append-only segments that hold every fact and every body, once.
//!
//! ```text
//! journal/0000000042.seg
//!   0      header: number, first LSN, epoch, which segment was before and where it ended, and a
//!          number by chance that each of its frames has, so that no body can pass for a frame
//!   4096   frame   header (48) | bodies | operations | padding to 8
//!          frame   …
//! ```
//!
//! A frame is a batch, or a chunk of a body that is still being received. Everything about its
//! place (segment, offset, LSN) is decided when it is handed in ([`Journal::push`]), under one
//! short lock, so that rows can name the places of their bodies; one thread ([`Writer`]) then
//! writes whatever has gathered with one `writev`, syncs once, and acknowledges all of it.

mod body;
mod files;
mod frame;
mod groundwork;
mod intake;
mod mend;
mod probe;
mod scan;
mod segment;
mod writer;

pub(crate) use body::{Bodies, Spill, chunk_of};
pub(crate) use files::{Files, disk_error};
#[cfg(test)]
pub(crate) use frame::FrameHead;
pub(crate) use frame::{FRAME_HEAD, FrameKind, Section, segment_of};
pub(crate) use intake::{Journal, Operations, Tail};
pub use mend::mend;
pub use probe::{Probed, probe};
pub(crate) use scan::{Found, Scan, Span, scan};
pub(crate) use segment::{
    FOLDER, FORMAT, FRAMES_FROM, NoSegment, SegmentHead, list, name as segment_name,
};
pub(crate) use writer::{Others, Writer};
