//! The frame over real actors: what it promises, what ractor does beneath it, and chaos.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test looks at actors from outside, through memory that it shares with them"
)]

mod chaos;
mod common;
mod dynamic;
mod family;
mod incarnations;
mod look;
mod pulse;
mod ractor_contract;
mod supervisor;
