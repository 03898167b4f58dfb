//! The doors for mail: a listener and the family of its sessions, for each `[[listener]]`.

mod bound;
mod door;
mod fit;

use std::{sync::Arc, time::Duration};

use supervision::{Budget, ChildSpec, Root};
use tokio::time::{Instant, sleep};

pub(crate) use self::{
    bound::{Bound, Inherited, bind_all, bind_free},
    door::Door,
};
use crate::{
    config::{Config, Protocol},
    daemon::Parts,
    tree::Seats,
};
use world::listen::DoorError;

/// Every door for mail.
pub(crate) struct Doors {
    open: Vec<Door>,
}

/// What a reload opens.
pub(crate) struct Prepared;

/// The sockets for machines that watch: health and metrics.
pub(crate) fn http(parts: &Parts) -> impl Iterator<Item = &Bound> {
    let sockets = parts.sockets.iter();
    sockets.filter(|bound| bound.listener.protocol == Protocol::Http)
}

impl Doors {
    /// A door for each socket that is bound for mail.
    pub(crate) fn new(parts: &Parts, seats: &Arc<Seats>) -> Self {
        let budget = Budget::new(parts.config.get().limits.memory_octets);
        let doors = parts.sockets.iter();
        let open = doors
            .filter_map(|bound| Door::new(parts, seats, &budget, bound))
            .collect();
        Self { open }
    }

    /// What is started for them, sessions before their listener.
    pub(crate) fn children(&self) -> impl Iterator<Item = ChildSpec> {
        self.open
            .iter()
            .flat_map(|door| [door.sessions(), door.listener()])
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    /// Binds what a new configuration has and the one in force has not.
    ///
    /// # Errors
    /// As [`bind_all`].
    pub(crate) fn prepare(&self, _: &Config, _: &Inherited) -> Result<Prepared, DoorError> {
        Ok(Prepared)
    }

    /// Takes over new settings, for whoever comes from now on.
    pub(crate) async fn take_over(
        &mut self,
        parts: &Parts,
        _: &Root,
        _: Prepared,
    ) -> Result<(), String> {
        for door in &self.open {
            door.refit(parts);
        }
        Ok(())
    }

    /// Looks after doors that were closed: with their last guest they are gone.
    pub(crate) async fn look(&mut self, _: &Root) {}

    /// Shuts every door, then tells every client that the house is closing. A transaction under way
    /// may end until `deadline`; who is still there then is sent away.
    pub(crate) async fn close(&self, deadline: Instant) {
        for door in &self.open {
            door.shut();
        }
        if self.emptied(Door::say_goodbye, deadline).await {
            return;
        }
        let late: usize = self.open.iter().map(Door::hang_up).sum();
        tracing::warn!(clients = late, "sent away in the middle: the time is over");
        self.emptied(Door::guests, Instant::now() + LAST_WORDS)
            .await;
    }

    /// Asks every door again and again how many guests are left; whether nobody was, in time.
    async fn emptied(&self, ask: impl Fn(&Door) -> usize, deadline: Instant) -> bool {
        while self.open.iter().map(&ask).sum::<usize>() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }
}

/// How often a closing house looks whether its guests have left.
const LOOK: Duration = Duration::from_millis(50);

/// How long last words may take to whoever is sent away.
const LAST_WORDS: Duration = Duration::from_millis(500);
