//! The census: gathers what each room measures.

use telemetry::Metric;

use crate::{
    bounce, delivery, listener, login, mailbox, poison, queue, resolver, router, scrubber, session,
};

/// Every metric of the actors.
#[must_use]
pub fn all() -> Vec<Metric> {
    let rooms = [
        bounce::METRICS,
        delivery::METRICS,
        listener::METRICS,
        login::METRICS,
        mailbox::METRICS,
        poison::METRICS,
        queue::METRICS,
        resolver::METRICS,
        router::METRICS,
        scrubber::METRICS,
        session::imap::METRICS,
        session::pop3::METRICS,
        session::smtp::METRICS,
    ];
    rooms.concat()
}
