//! IMAP sessions over a store in memory: what clients see of each other, of crashes and of limits.

#![allow(clippy::unwrap_used, reason = "tests may")]

mod crashes;
mod dialogues;
mod house;
mod warden;
