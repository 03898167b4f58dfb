//! The orderly end: doors first, store last, within the time that is set.

use std::{sync::Arc, time::Duration};

use store::DiskStore;
use supervision::{ExitCause, Gate, blocking};
use tokio::time::{Instant, sleep, timeout_at};

use super::Parts;
use crate::tree::House;

/// Until when everything must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    guests: Instant,
    tree: Instant,
    store: Instant,
}

impl Deadline {
    /// From now on, in parts: guests have most of it, and what is left over is the next one's.
    pub(super) fn within(limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            guests: now + limit / 4 * 3,
            tree: now + limit / 8 * 7,
            store: now + limit,
        }
    }
}

/// Closes the doors, waits for transactions and deliveries that are under way, then stops the
/// tree. `None` if the tree was not down in time.
pub(super) async fn stop(house: &House, parts: &Parts, deadline: Deadline) -> Option<ExitCause> {
    parts.view.close();
    // Whoever is on the way to another system says what is to be said, and takes on no more.
    house.seats.departures.set_limits(0, 0);
    tokio::join!(
        house.doors.close(deadline.guests),
        arrived(&house.seats.departures, deadline.guests),
    );
    timeout_at(deadline.tree, house.root.stop()).await.ok()
}

async fn arrived(departures: &Gate, deadline: Instant) {
    while departures.count() > 0 {
        if Instant::now() >= deadline {
            let deliveries = departures.count();
            tracing::warn!(deliveries, "broken off: the time is over");
            return;
        }
        sleep(LOOK).await;
    }
}

/// What cannot be put in order now, the next start puts in order.
pub(super) async fn close_store(store: Arc<DiskStore>, deadline: Deadline) {
    match timeout_at(deadline.store, blocking(move || store.close())).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the store was not closed in order"),
        Ok(Err(cause)) => tracing::warn!(%cause, "the store was not closed in order"),
        Err(_) => tracing::warn!("the store was not closed in time; the next start takes longer"),
    }
}

/// How often a closing house looks whether its messengers are back.
const LOOK: Duration = Duration::from_millis(20);
