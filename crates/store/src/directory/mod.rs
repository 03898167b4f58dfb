//! The directory: ordered rows that can be thrown away, because the journal is the truth.
//!
//! What was committed goes first into the [`Overlay`] (memory), where the next write sees it at
//! once and readers see it when it is durable. The [`Follower`] puts it into the engine later, in
//! large batches, off the way of every acknowledgement; what came and went in between never gets
//! there. A [`checkpoint`] is a copy of all rows at some LSN, on stable storage for real: from it
//! and the journal behind it the engine is made anew whenever it cannot be trusted.

mod blocks;
pub(crate) mod checkpoint;
mod ease;
mod engine;
mod follower;
#[cfg(test)]
mod memory;
mod overlay;
mod packed;
mod partitions;
mod sled;

pub use checkpoint::{ProbedCheckpoint, mend_checkpoint, probe_checkpoint};
pub(crate) use engine::{Engine, Engines, Row};
pub(crate) use follower::{Due, Follow, Follower};
#[cfg(test)]
pub(crate) use memory::{EngineFault, MemoryEngines};
pub(crate) use overlay::Overlay;
pub(crate) use partitions::Partitions;
pub(crate) use sled::SledEngines;
