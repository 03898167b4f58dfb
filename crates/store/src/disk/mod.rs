//! The disk, as narrow as the journal needs it: a real one, and for tests a simulated one.
//!
//! Names are relative to the data folder, with `/` between folder and file. Nothing but the
//! directory's engine touches the disk past this seam (docs/adr/0009).

mod layered;
mod octets;
mod real;
mod seam;
#[cfg(test)]
mod simulated;

pub(crate) use layered::LayeredDisk;
pub(crate) use octets::Octets;
pub(crate) use real::RealDisk;
pub(crate) use seam::{Disk, File, Lock, in_pieces, read_all, write_whole};
#[cfg(test)]
pub(crate) use simulated::{Faults, SimulatedDisk};
