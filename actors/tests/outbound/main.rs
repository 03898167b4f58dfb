//! Mail on its way out: queues, deliveries and the resolver, and peers that do what peers do.

#![allow(clippy::unwrap_used, reason = "tests may")]
#![allow(clippy::disallowed_methods, reason = "peers run here, too")]

mod hosts;
mod house;
mod linger;
mod peer;
