//! Where the members of a family live: one locked map per shard, read by every sender.

use std::{
    any::Any,
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{
        Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ractor::{ActorCell, ActorRef, Message};

use super::{
    context::{Context, Passivate},
    refused::{Reason, Refused},
    shard::ShardMsg,
    slot::{Life, Slot},
    spec::{Birth, FamilySpec, Key},
    waiting::Waiting,
};
use crate::{
    cause::ExitCause,
    flight::Last,
    metrics as count,
    name::Name,
    place::Ask,
    presence::{Host, Presence},
    seat::Seat,
};

/// Everything that the handle, the shards and the members of a family share.
pub(super) struct House<K, M> {
    pub(super) spec: FamilySpec<K, M>,
    /// How incarnations are made; said once, and not always at the beginning.
    pub(super) launch: OnceLock<Launch<K, M>>,
    /// How they are asked for their reports.
    pub(super) ask: OnceLock<Ask>,
    pub(super) floors: Box<[Floor<K, M>]>,
    /// How many members there are, on all floors.
    pub(super) count: AtomicUsize,
    hasher: RandomState,
}

/// Starts an incarnation below the given shard.
pub(super) type Launch<K, M> = Box<
    dyn Fn(Context<K>, ActorCell, Arc<Presence>) -> Result<ActorRef<M>, ExitCause> + Send + Sync,
>;

/// The members of one shard.
pub(super) struct Floor<K, M> {
    pub(super) keeper: Seat<ShardMsg<K>>,
    /// The shard's coarse clock: how many eighths of the idle time have passed.
    pub(super) tick: AtomicU32,
    /// Outlives the shard: no two incarnations on a floor ever share a number.
    last_incarnation: AtomicU64,
    rooms: RwLock<Rooms<K, M>>,
}

pub(super) struct Rooms<K, M> {
    pub(super) is_open: bool,
    pub(super) slots: HashMap<K, Slot<M>>,
}

impl<K: Key, M> Rooms<K, M> {
    /// Forgets a member. The room of a crowd that has left is given back: a map never does so.
    pub(super) fn forget(&mut self, key: &K) -> Option<Slot<M>> {
        let forgotten = self.slots.remove(key);
        let capacity = self.slots.capacity();
        if capacity > SPARE && self.slots.len() < capacity / 8 {
            self.slots.shrink_to(capacity / 4);
        }
        forgotten
    }
}

impl<K: Key, M: Message> House<K, M> {
    pub(super) fn new(spec: FamilySpec<K, M>) -> Self {
        let floor = |_| Floor {
            keeper: Seat::new(spec.name.clone()),
            tick: AtomicU32::new(0),
            last_incarnation: AtomicU64::new(0),
            rooms: RwLock::new(Rooms {
                is_open: false,
                slots: HashMap::new(),
            }),
        };
        let floors = (0..spec.shards.max(1)).map(floor).collect();
        Self {
            spec,
            launch: OnceLock::new(),
            ask: OnceLock::new(),
            floors,
            count: AtomicUsize::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Starts an incarnation below the given shard.
    pub(super) fn launch(
        &self,
        context: Context<K>,
        shard: ActorCell,
        presence: Arc<Presence>,
    ) -> Result<ActorRef<M>, ExitCause> {
        match self.launch.get() {
            Some(launch) => launch(context, shard, presence),
            None => Err(ExitCause::from_error(NOT_FILLED.into())),
        }
    }

    /// The floor on which this key lives.
    pub(super) fn floor(&self, key: &K) -> &Floor<K, M> {
        let count = self.floors.len() as u64;
        // The high half: the map inside uses hashes of its own.
        let place = ((self.hasher.hash_one(key) >> 32) * count) >> 32;
        &self.floors[place as usize]
    }

    /// Sends to the member, starting it if it may be started by a message.
    pub(super) fn cast(&self, key: &K, message: M) -> Result<(), Refused<M>> {
        let floor = self.floor(key);
        match floor.send(key, message) {
            Ok(()) => Ok(()),
            Err(message) => self.admit(floor, key, message, self.spec.birth == Birth::OnMessage),
        }
    }

    /// Sends to the member if there is one.
    pub(super) fn tell(&self, key: &K, message: M) -> Result<(), Refused<M>> {
        let floor = self.floor(key);
        let message = match floor.send(key, message) {
            Ok(()) => return Ok(()),
            Err(message) => message,
        };
        self.admit(floor, key, message, false)
    }

    /// Starts the member, if it is not there.
    pub(super) fn start(&self, key: &K) -> Result<(), Reason> {
        let floor = self.floor(key);
        let mut rooms = floor.write();
        if !rooms.is_open {
            return Err(Reason::Closed);
        }
        match rooms.slots.get_mut(key).map(|slot| &mut slot.life) {
            Some(life @ Life::Asleep) => *life = Life::Coming(Waiting::new(Vec::new())),
            Some(Life::Coming(_) | Life::Live) => return Ok(()),
            Some(Life::Leaving { .. }) => return Err(Reason::Ending),
            Some(life) if life.is_refused() => return Err(Reason::GivenUp),
            _ if !self.reserve() => return Err(Reason::Full),
            Some(life @ Life::Down { .. }) => *life = Life::Coming(Waiting::new(Vec::new())),
            None => rooms.move_in(key, Vec::new(), floor.tick.load(Ordering::Relaxed)),
        }
        drop(rooms);
        self.wake(floor, key);
        Ok(())
    }

    /// The slow path: nobody who is live has this key.
    fn admit(
        &self,
        floor: &Floor<K, M>,
        key: &K,
        message: M,
        may_start: bool,
    ) -> Result<(), Refused<M>> {
        let tick = floor.tick.load(Ordering::Relaxed);
        let refused = |message, reason| Err(Refused { message, reason });
        let mut rooms = floor.write();
        if !rooms.is_open {
            return refused(message, Reason::Closed);
        }
        match rooms.slots.get_mut(key) {
            Some(slot) if slot.life.is_asleep() => {
                slot.used.store(tick, Ordering::Relaxed);
                slot.life = Life::Coming(Waiting::new(vec![message]));
            }
            Some(slot) if !slot.life.is_down() => return slot.admit(message, tick, &self.spec),
            Some(slot) if slot.life.is_refused() => return refused(message, Reason::GivenUp),
            _ if !may_start => return refused(message, Reason::Absent),
            _ if !self.reserve() => return refused(message, Reason::Full),
            Some(slot) => slot.life = Life::Coming(Waiting::new(vec![message])),
            None => rooms.move_in(key, vec![message], tick),
        }
        drop(rooms);
        self.wake(floor, key);
        Ok(())
    }

    /// Counts one more member, unless the family is full.
    fn reserve(&self) -> bool {
        let count = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < self.spec.members_max).then_some(count + 1)
            });
        count.is_ok()
    }

    fn wake(&self, floor: &Floor<K, M>, key: &K) {
        // A shard that is restarting looks through its floor as it comes up.
        let _ = floor.keeper.cast(ShardMsg::Start(key.clone()));
    }
}

impl<K: Key, M: Message> Floor<K, M> {
    /// The hot path: one look-up under a shared lock, and ractor's send.
    fn send(&self, key: &K, message: M) -> Result<(), M> {
        let tick = self.tick.load(Ordering::Relaxed);
        match self.read().slots.get(key) {
            Some(slot) => slot.send(message, tick),
            None => Err(message),
        }
    }

    pub(super) fn next_incarnation(&self) -> u64 {
        self.last_incarnation.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Rooms<K, M>> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Rooms<K, M>> {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, M: Message> Rooms<K, M> {
    fn move_in(&mut self, key: &K, waiting: Vec<M>, tick: u32) {
        self.slots.insert(key.clone(), Slot::new(waiting, tick));
    }

    /// Removes those slots, to be dropped once the lock is free; says how many of them counted
    /// as members.
    pub(super) fn remove_if(
        &mut self,
        mut goes: impl FnMut(&Slot<M>) -> bool,
    ) -> (Vec<(K, Slot<M>)>, usize) {
        let gone: Vec<_> = self.slots.extract_if(|_, slot| goes(slot)).collect();
        let counted = gone.iter().filter(|(_, slot)| !slot.life.is_down()).count();
        (gone, counted)
    }
}

impl<K: Key, M: Message> House<K, M> {
    /// Passivates a member that is still idle at this tick.
    pub(super) fn passivate_idle(&self, key: &K, incarnation: u64, tick: u32) {
        self.passivate_if(key, incarnation, |slot| slot.is_idle(tick));
    }

    fn passivate_if(&self, key: &K, incarnation: u64, may: impl FnOnce(&Slot<M>) -> bool) {
        let floor = self.floor(key);
        let mut rooms = floor.write();
        let Some(slot) = rooms.slots.get_mut(key) else {
            return;
        };
        let is_live = slot.incarnation == incarnation && matches!(slot.life, Life::Live);
        if !is_live || !may(slot) || !slot.passivate() {
            return;
        }
        if let Some(actor) = &slot.actor {
            let _ = actor.drain(); // marked first, drained after: nothing falls between
        }
        drop(rooms);
        let _ = floor
            .keeper
            .cast(ShardMsg::Leaving(key.clone(), incarnation));
    }
}

impl<K: Key, M: Message> House<K, M> {
    /// Sends to the incarnation after this one.
    fn send_after(&self, key: &K, incarnation: u64, message: M) -> Result<(), M> {
        let mut rooms = self.floor(key).write();
        let (is_open, slot) = (rooms.is_open, rooms.slots.get_mut(key));
        match slot.filter(|slot| slot.incarnation == incarnation && slot.life.is_leaving()) {
            Some(slot) if is_open => return slot.hand_on(message, &self.spec),
            Some(_) => return Err(message),
            None => drop(rooms),
        }
        self.tell(key, message).map_err(|refused| refused.message)
    }
}

impl<K: Key, M: Message> Passivate<K> for House<K, M> {
    fn hand_on(&self, key: &K, incarnation: u64, message: &mut dyn Any) {
        if let Some(slot) = message.downcast_mut::<Option<M>>()
            && let Some(message) = slot.take()
        {
            *slot = self.send_after(key, incarnation, message).err();
        }
    }

    fn tell(&self, key: &K, message: &mut dyn Any) {
        if let Some(slot) = message.downcast_mut::<Option<M>>()
            && let Some(message) = slot.take()
        {
            *slot = Self::tell(self, key, message).err().map(|no| no.message);
        }
    }

    fn passivate(&self, key: &K, incarnation: u64) {
        self.passivate_if(key, incarnation, |_| true);
    }

    fn touch(&self, key: &K, incarnation: u64) {
        let floor = self.floor(key);
        let rooms = floor.read();
        let slot = rooms.slots.get(key);
        if let Some(slot) = slot.filter(|slot| slot.incarnation == incarnation) {
            slot.used
                .store(floor.tick.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// The family's side of an incarnation.
pub(super) struct MemberHost<K: Key, M: Message> {
    pub(super) house: Arc<House<K, M>>,
    pub(super) shard: ActorRef<ShardMsg<K>>,
    pub(super) key: K,
    pub(super) incarnation: u64,
}

impl<K: Key, M: Message> Host for MemberHost<K, M> {
    fn up(&self, cell: &ActorCell, took: Duration) {
        count::started(&self.house.spec.name, took);
        let mut rooms = self.house.floor(&self.key).write();
        let slot = rooms.slots.get_mut(&self.key);
        if let Some(slot) = slot.filter(|slot| slot.incarnation == self.incarnation) {
            slot.up(cell.clone().into());
        }
    }

    fn kind(&self) -> &Name {
        &self.house.spec.name
    }

    fn gone(self: Box<Self>, cause: ExitCause, last: Option<Box<Last>>) {
        let gone = ShardMsg::Gone(self.key, self.incarnation, cause, last);
        let _ = self.shard.cast(gone); // a shard that has ended has killed us
    }
}

/// Room for so many members is kept on each floor, however few there are.
const SPARE: usize = 256;

/// Why members fail to start whose [`Vacancy`](super::Vacancy) nobody has filled.
const NOT_FILLED: &str = "nobody has said how the members of this family are made";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_crowd_that_has_left_is_given_back() {
        let mut rooms: Rooms<u32, ()> = Rooms {
            is_open: true,
            slots: HashMap::new(),
        };
        for key in 0..10_000 {
            rooms.slots.insert(key, Slot::new(Vec::new(), 0));
        }
        for key in 0..10_000 {
            assert!(rooms.forget(&key).is_some());
        }
        assert!(rooms.forget(&0).is_none());
        assert!(rooms.slots.capacity() <= 2 * SPARE);
    }
}
