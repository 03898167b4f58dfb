//! The daemon is killed in the middle of everything, again and again: what it had answered holds.
//!
//! `HERONRY_ROUNDS=200 cargo test --release --test kill -- --nocapture` is the long run; each round
//! ends with the process and begins with what it left. A target of its own, because it fills the
//! machine.
#![allow(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and threads of a test share what they saw"
)]

mod inboxes;
mod letter;
mod reader;
mod rounds;
mod sender;
