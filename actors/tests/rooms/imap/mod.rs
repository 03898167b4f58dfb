//! IMAP sessions over a store in memory: what clients see of each other, of crashes and of limits.

mod crashes;
mod dialogues;
mod house;
mod warden;
