//! Mail on its way out: queues, deliveries and the resolver, and peers that do what peers do.

mod crashes;
mod hosts;
mod house;
mod linger;
mod overheard;
mod peer;
