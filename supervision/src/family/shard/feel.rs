//! How a shard notices members whose handlers do not return.

use std::time::Duration;

use ractor::Message;

use super::{Due, ShardState};
use crate::{
    family::{clock::from_now, spec::Key},
    metrics as count,
    place::written,
};

impl<K: Key, M: Message> ShardState<K, M> {
    /// Looks at every member; who is stuck is reported once, and killed if the spec says so.
    pub(super) fn feel(&mut self) {
        let Some(heartbeat) = self.house.spec.heartbeat else {
            return;
        };
        let name = &self.house.spec.name;
        let rooms = self.house.floors[self.place].read();
        for (key, slot) in &rooms.slots {
            let Some(presence) = slot.presence.upgrade() else {
                continue;
            };
            let flight = presence.flight();
            let busy = flight.stalled().unwrap_or_default();
            if busy <= heartbeat.limit {
                flight.is_stuck(false);
                continue;
            }
            if flight.is_stuck(true) {
                continue; // said already
            }
            count::stuck(name);
            let child = format!("{}[{}]", self.path, written(key));
            tracing::error!(child, ?busy, "does not return from a handler");
            if let (true, Some(actor)) = (heartbeat.kill, &slot.actor) {
                actor.kill();
            }
        }
        drop(rooms);
        self.feel_later();
    }

    pub(super) fn feel_later(&mut self) {
        if let Some(heartbeat) = self.house.spec.heartbeat {
            let after = (heartbeat.limit / 2).max(FEEL_EACH_MIN);
            self.at(from_now(after), Due::Feel);
        }
    }
}

/// However small the limit, the shard has other things to do.
const FEEL_EACH_MIN: Duration = Duration::from_millis(10);
