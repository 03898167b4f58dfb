//! Every actor of the house, one room each.
//!
//! Rooms know [`contract`] (what is said), [`facts`] (what the policy asks) and [`refused`] (what is
//! not run any more), and never each other; `tests/house.rs` says so, with file and line.

pub mod bounce;
pub mod contract;
pub mod delivery;
pub mod facts;
pub mod listener;
pub mod login;
pub mod mailbox;
pub mod metrics;
pub mod poison;
pub mod queue;
pub mod refused;
pub mod resolver;
pub mod router;
pub mod scrubber;
pub mod session;
