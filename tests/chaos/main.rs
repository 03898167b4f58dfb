//! Everything at once: more than a hundred clients at full load while actors of every kind are harmed.
//!
//! A target of its own, because nothing else should run beside it.
#![allow(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and threads of a test share what they saw"
)]

mod ledger;
mod load;
mod pollers;
mod readers;
mod run;
mod senders;
mod view;
