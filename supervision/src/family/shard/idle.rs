//! How a shard notices members that nobody has sent anything to for a while.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ractor::Message;

use super::{Due, ShardState};
use crate::{
    family::{
        clock::from_now,
        slot::{IDLE_TICKS, Slot},
        spec::{Idle, Key},
        wheel::{Spot, Wheel},
    },
    panic_hook::caught_now,
    seat::send,
};

impl<K: Key, M: Message> ShardState<K, M> {
    /// Looks at the members whose idle time may be over now.
    pub(super) fn turn(&mut self) {
        self.turns = false;
        let house = Arc::clone(&self.house);
        let floor = &house.floors[self.place];
        let tick = floor.tick.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut idle = Vec::new();
        let rooms = floor.read();
        for key in self.wheel.due(tick) {
            let Some(slot) = rooms.slots.get(&key) else {
                continue;
            };
            slot.moves(Spot::NONE);
            match slot.due(tick) {
                Some(_) if slot.is_idle(tick) => idle.push((key, slot.core.incarnation())),
                Some(due) => {
                    slot.moves(self.wheel.put(due, key));
                }
                None => {} // it is ending
            }
        }
        drop(rooms);
        for (key, incarnation) in idle {
            let stays = match house.spec.idle {
                Idle::Ask(_, ask) => {
                    self.ask(&key, ask);
                    true // and is asked again after the same time
                }
                Idle::Passivate(_) => !house.passivate_idle(&key, incarnation, tick),
                Idle::Never => false,
            };
            let rooms = floor.read();
            if let (true, Some(slot)) = (stays, rooms.slots.get(&key)) {
                put(&mut self.wheel, slot, tick, key);
            }
        }
        self.turn_later();
    }

    fn ask(&self, key: &K, ask: fn(&K) -> M) {
        let floor = &self.house.floors[self.place];
        let tick = floor.tick.load(Ordering::Relaxed);
        let address = {
            let rooms = floor.read();
            let slot = rooms.slots.get(key);
            slot.and_then(|slot| {
                slot.used.store(tick, Ordering::Relaxed);
                slot.address()
            })
        };
        // Whoever is ending is not idle; a panic is the asker's own.
        if let (Some((actor, inbox)), Ok(message)) = (address, caught_now(|| ask(key))) {
            let _ = send(&actor, &inbox, message);
        }
    }

    /// A member has been launched, and is looked at after its idle time.
    pub(super) fn watch(&mut self, key: &K) {
        if self.eighth().is_none() {
            return;
        }
        let house = Arc::clone(&self.house);
        let floor = &house.floors[self.place];
        let tick = floor.tick.load(Ordering::Relaxed);
        let rooms = floor.read();
        if let Some(slot) = rooms.slots.get(key) {
            self.unwatch(slot.moves(Spot::NONE), |key| rooms.slots.get(key));
            put(&mut self.wheel, slot, tick, key.clone());
        }
        drop(rooms);
        self.turn_later();
    }

    /// Whoever was at that spot has ended; `find` finds who takes it.
    pub(super) fn unwatch<'a>(&mut self, spot: Spot, find: impl FnOnce(&K) -> Option<&'a Slot<M>>) {
        if spot != Spot::NONE
            && let Some(slot) = self.wheel.take(spot).and_then(find)
        {
            slot.moves(spot);
        }
    }

    /// Turns the wheel a little later. Nobody is on it: whoever comes sees to it.
    fn turn_later(&mut self) {
        if !self.turns
            && !self.wheel.is_empty()
            && let Some(eighth) = self.eighth()
        {
            self.turns = true;
            self.at(from_now(eighth), Due::Turn);
        }
    }

    fn eighth(&self) -> Option<Duration> {
        match self.house.spec.idle {
            Idle::Ask(after, _) | Idle::Passivate(after) => {
                Some((after / IDLE_TICKS).max(Duration::from_millis(1)))
            }
            Idle::Never => None,
        }
    }
}

/// Puts a member on the wheel for a full idle time from this tick.
fn put<K, M: Message>(wheel: &mut Wheel<K>, slot: &Slot<M>, tick: u32, key: K) {
    slot.moves(wheel.put(tick.wrapping_add(IDLE_TICKS + 1), key));
}
