//! IMAP sessions over a store in memory: what clients see, and others' scripts.

#![allow(clippy::unwrap_used, reason = "tests may")]

mod dialogues;
mod house;
mod script;
mod scripts;
