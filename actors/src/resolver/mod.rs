//! Answers from the DNS, kept as long as they are true.
//!
//! [`Resolver`] is the actor; [`Cache`] decides what is known, what must be asked, and what is
//! told while no server answers.

mod actor;
mod config;
mod core;
mod metrics;

pub use self::{
    actor::{Resolver, ResolverArgs, ResolverState},
    config::Config,
    core::{Answer, Cache, Effect, Ticket, Unfound},
    metrics::METRICS,
};
