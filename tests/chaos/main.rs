//! Everything at once: a hundred clients at full load while actors of every kind are harmed.
//!
//! A target of its own, because nothing else should run beside it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod ledger;
mod load;
mod neighbour;
mod readers;
mod run;
mod senders;
mod view;
