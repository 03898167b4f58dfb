//! The seams to the world: clock, random, connections, TLS, DNS; real and simulated.
//!
//! Whatever a room cannot decide by itself comes in through here, so that a test can put its own
//! in the place: [`Clock`], [`Random`], [`Socket`](connection::Socket), [`Dns`](dns::Dns).
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this room and supervision start the tasks that everyone else goes without, and share memory with them"
)]

mod clock;
pub mod connection;
pub mod dns;
pub mod listen;
mod metrics;
pub mod outbound;
mod random;
mod switchboard;
pub mod tls;

pub use clock::{Clock, ManualClock, SystemClock, VirtualClock};
pub use metrics::METRICS;
pub use random::{Random, SeededRandom, SystemRandom};
pub use switchboard::Switchboard;
