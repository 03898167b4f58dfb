//! The actors, room by room, over a store in memory. One program: to link each room's alone would
//! take longer than to run them.

#![allow(clippy::unwrap_used, reason = "tests may")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "peers run here, too, and a test shares memory with the actors that it watches"
)]

#[macro_use]
mod pass;

mod ann;
mod imap;
mod outbound;
mod poison;
mod router;
mod scrubber;
mod sessions;
mod survival;
