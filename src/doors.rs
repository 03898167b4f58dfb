//! The doors for mail: a listener and the family of its sessions, for each `[[listener]]`.

mod bound;
mod door;
mod fit;

use std::{sync::Arc, time::Duration};

use supervision::{Budget, ChildSpec, NotStarted, Root};
use tokio::time::{Instant, sleep};
use world::listen::DoorError;

pub(crate) use self::{
    bound::{Bound, Inherited, bind_all, bind_free},
    door::Door,
};
use crate::{
    config::{Config, Listener, Protocol},
    daemon::Parts,
    tree::{self, Seats},
};

/// Every door of the house.
pub(crate) struct Doors {
    budget: Budget,
    /// Nobody comes in any more, and somebody is still inside.
    closed: Vec<Door>,
    open: Vec<Door>,
    seats: Arc<Seats>,
    /// For machines that watch: health and metrics.
    watched: Vec<Bound>,
}

/// What a reload opens and closes.
pub(crate) struct Prepared {
    gone: Vec<Listener>,
    new: Vec<Bound>,
}

impl Doors {
    /// A door for each socket that is bound.
    pub(crate) fn new(parts: &Parts, seats: &Arc<Seats>) -> Self {
        let budget = Budget::new(parts.config.get().limits.memory_octets);
        let sockets = parts.sockets.iter();
        let is_http = |bound: &&Bound| bound.listener.protocol == Protocol::Http;
        Self {
            open: sockets
                .clone()
                .filter_map(|bound| Door::new(parts, seats, &budget, bound))
                .collect(),
            closed: Vec::new(),
            watched: sockets.filter(is_http).cloned().collect(),
            seats: Arc::clone(seats),
            budget,
        }
    }

    /// What is started for them, sessions before their listener.
    pub(crate) fn children(&self, parts: &Parts) -> Vec<ChildSpec> {
        let mail = self.open.iter();
        let mail = mail.flat_map(|door| [door.sessions(), door.listener()]);
        let watched = self.watched.iter().map(|bound| tree::http(parts, bound));
        mail.chain(watched).collect()
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open.len() + self.watched.len()
    }

    /// Binds what a new configuration has and the one in force has not. What has both keeps its
    /// socket.
    ///
    /// # Errors
    /// As [`bind_all`].
    pub(crate) fn prepare(
        &self,
        config: &Config,
        inherited: &Inherited,
    ) -> Result<Prepared, DoorError> {
        inherited.warn_of_strangers(config);
        let now = || self.open.iter().map(Door::bound).chain(&self.watched);
        let mut new = Vec::new();
        for listener in &config.listener {
            if now().any(|bound| bound.listener == *listener) {
                continue;
            }
            // Another protocol at the same address: the socket is there.
            let mut same = now().filter(|bound| bound.listener.address == listener.address);
            new.push(match same.find_map(|bound| bound.speaking(*listener)) {
                Some(bound) => bound,
                None => Bound::new(*listener, inherited)?,
            });
        }
        let gone = now().map(|bound| bound.listener);
        let gone = gone.filter(|listener| !config.listener.contains(listener));
        Ok(Prepared {
            gone: gone.collect(),
            new,
        })
    }

    /// Takes over new settings, for whoever comes from now on, and opens and closes what was
    /// prepared. Who came in by a door that is closed now stays.
    ///
    /// # Errors
    /// Which door did not open, although its socket is bound.
    pub(crate) async fn take_over(
        &mut self,
        parts: &Parts,
        root: &Root,
        prepared: Prepared,
    ) -> Result<(), String> {
        for door in self.open.iter().chain(&self.closed) {
            door.refit(parts);
        }
        for listener in prepared.gone {
            self.close_one(root, listener).await;
        }
        let mut failures = Vec::new();
        for bound in prepared.new {
            let name = bound.name();
            if let Err(error) = self.open_one(parts, root, bound).await {
                tracing::error!(door = name, %error, "a door did not open");
                failures.push(format!("{name} did not open: {error}"));
            }
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "everything else is in force; {}",
                failures.join("; ")
            ))
        }
    }

    async fn open_one(
        &mut self,
        parts: &Parts,
        root: &Root,
        bound: Bound,
    ) -> Result<(), NotStarted> {
        let is_same = |door: &Door| door.bound().listener == bound.listener;
        if let Some(at) = self.closed.iter().position(is_same) {
            let door = self.closed.swap_remove(at);
            door.bound().reopen(&bound);
            root.start_child(tree::DOORS, door.listener()).await?;
            self.open.push(door);
            return Ok(());
        }
        match Door::new(parts, &self.seats, &self.budget, &bound) {
            Some(door) => {
                root.start_child(tree::DOORS, door.sessions()).await?;
                root.start_child(tree::DOORS, door.listener()).await?;
                self.open.push(door);
            }
            None => {
                root.start_child(tree::DOORS, tree::http(parts, &bound))
                    .await?;
                self.watched.push(bound);
            }
        }
        Ok(())
    }

    async fn close_one(&mut self, root: &Root, listener: Listener) {
        let is_it = |bound: &Bound| bound.listener == listener;
        if let Some(at) = self.open.iter().position(|door| is_it(door.bound())) {
            let door = self.open.swap_remove(at);
            door.shut();
            stop_child(root, &door.listener()).await;
            self.closed.push(door);
        } else if let Some(at) = self.watched.iter().position(is_it) {
            let bound = self.watched.swap_remove(at);
            bound.socket.set(None);
            root.stop_child(&format!("{}/{}", tree::DOORS, bound.name()))
                .await;
        }
    }

    /// Looks after doors that were closed: with their last guest they are gone.
    pub(crate) async fn look(&mut self, root: &Root) {
        let (left, empty): (Vec<_>, Vec<_>) = std::mem::take(&mut self.closed)
            .into_iter()
            .partition(|door| door.guests() > 0);
        self.closed = left;
        for door in empty {
            stop_child(root, &door.sessions()).await;
        }
    }

    /// Shuts every door, then tells every client that the house is closing. A transaction under way
    /// may end until `deadline`; who is still there then is sent away.
    pub(crate) async fn close(&self, deadline: Instant) {
        for door in &self.open {
            door.shut();
        }
        if self.emptied(Door::say_goodbye, deadline).await {
            return;
        }
        let late: usize = self.mail().map(Door::hang_up).sum();
        tracing::warn!(clients = late, "sent away in the middle: the time is over");
        self.emptied(Door::guests, Instant::now() + LAST_WORDS)
            .await;
    }

    /// Asks every door again and again how many guests are left; whether nobody was, in time.
    async fn emptied(&self, ask: impl Fn(&Door) -> usize, deadline: Instant) -> bool {
        while self.mail().map(&ask).sum::<usize>() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }

    fn mail(&self) -> impl Iterator<Item = &Door> {
        self.open.iter().chain(&self.closed)
    }
}

async fn stop_child(root: &Root, child: &ChildSpec) {
    root.stop_child(&format!("{}/{}", tree::DOORS, child.name))
        .await;
}

/// How often a closing house looks whether its guests have left.
const LOOK: Duration = Duration::from_millis(50);

/// How long last words may take to whoever is sent away.
const LAST_WORDS: Duration = Duration::from_millis(500);
