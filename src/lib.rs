//! The door: the daemon and its command line, the only place that knows every room.
//!
//! [`cli`] reads what the operator typed, [`config`] what they wrote down; [`daemon`] brings the
//! house up and down; [`tree`] is the house on one page; [`admin`] is how it is watched and
//! steered; [`chaos`] is how it is tried; [`backup`] is how it is kept and brought back. What it is told of
//! memory, and asks of it, goes through `allocator`.

pub mod admin;
mod allocator;
pub mod backup;
pub mod chaos;
pub mod cli;
pub mod config;
pub mod daemon;
mod doors;
mod lease;
mod storekeeper;
pub mod tree;
