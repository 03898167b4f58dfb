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

use ractor::{ActorCell, ActorId, ActorRef, Message};
use tokio::time::Instant;

use super::{
    context::{Context, Passivate},
    core::{Command, Event, Left, Room, Rules},
    refused::{Reason, Refused},
    shard::ShardMsg,
    slot::Slot,
    spec::{Birth, FamilySpec, Key},
    turns::Turns,
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
    /// What of it the decisions depend on.
    pub(super) rules: Rules,
    /// How incarnations are made; said once, and not always at the beginning.
    pub(super) launch: OnceLock<Launch<K, M>>,
    /// How they are asked for their reports.
    pub(super) ask: OnceLock<Ask>,
    pub(super) floors: Box<[Floor<K, M>]>,
    /// How many members there are, on all floors.
    pub(super) count: AtomicUsize,
    /// When those who have fallen are started again.
    pub(super) turns: Turns,
    epoch: Instant,
    hasher: RandomState,
}

/// Starts an incarnation.
pub(super) type Launch<K, M> =
    Box<dyn Fn(Context<K>, Arc<Presence>) -> Result<ActorRef<M>, ExitCause> + Send + Sync>;

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
    /// Which incarnation of the shard is in charge. One that was counted out may end much later.
    in_charge: Option<ActorId>,
    pub(super) slots: HashMap<K, Slot<M>>,
}

impl<K: Key, M: Message> Rooms<K, M> {
    /// Opens the floor for this incarnation of the shard. Whoever is on it has been left by one that was counted
    /// out, and would go on beside its successor.
    pub(super) fn begin_of(&mut self, shard: ActorId) {
        self.kill_all();
        (self.in_charge, self.is_open) = (Some(shard), true);
    }

    /// Closes the floor and kills whoever is on it, if this incarnation of the shard is in charge.
    pub(super) fn end_of(&mut self, shard: ActorId) {
        if self.in_charge == Some(shard) {
            (self.in_charge, self.is_open) = (None, false);
            self.kill_all();
        }
    }

    fn kill_all(&self) {
        let there = self.slots.values().filter_map(|slot| slot.actor.as_ref());
        there.for_each(|member| member.kill());
    }
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
                in_charge: None,
                slots: HashMap::new(),
            }),
        };
        let floors = (0..spec.shards.max(1)).map(floor).collect();
        Self {
            rules: Rules::new(&spec),
            spec,
            launch: OnceLock::new(),
            ask: OnceLock::new(),
            floors,
            count: AtomicUsize::new(0),
            turns: Turns::default(),
            epoch: Instant::now(),
            hasher: RandomState::new(),
        }
    }

    /// Starts an incarnation.
    pub(super) fn launch(
        &self,
        context: Context<K>,
        presence: Arc<Presence>,
    ) -> Result<ActorRef<M>, ExitCause> {
        match self.launch.get() {
            Some(launch) => launch(context, presence),
            None => Err(ExitCause::from_error(NOT_FILLED.into())),
        }
    }

    /// The time, as the cores are told it.
    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
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
        match floor.send(key, message) {
            Ok(()) => Ok(()),
            Err(message) => self.admit(floor, key, message, false),
        }
    }

    /// The slow path: nobody who is live has this key.
    fn admit(
        &self,
        floor: &Floor<K, M>,
        key: &K,
        message: M,
        may_start: bool,
    ) -> Result<(), Refused<M>> {
        let cast = |room| Event::Cast { message, room };
        match self.enter(floor, key, may_start, cast) {
            Some((reason, Some(message))) => Err(Refused { message, reason }),
            Some((_, None)) | None => Ok(()),
        }
    }

    /// Starts the member, if it is not there.
    pub(super) fn start(&self, key: &K) -> Result<(), Reason> {
        let start = |room| Event::Start { room };
        match self.enter(self.floor(key), key, true, start) {
            Some((reason, _)) => Err(reason),
            None => Ok(()),
        }
    }

    /// Tells a member what may bring it to life; a refusal, if it is one.
    fn enter(
        &self,
        floor: &Floor<K, M>,
        key: &K,
        may_start: bool,
        event: impl FnOnce(Room) -> Event<M>,
    ) -> Option<(Reason, Option<M>)> {
        let tick = floor.tick.load(Ordering::Relaxed);
        let mut rooms = floor.write();
        if !rooms.is_open {
            return match event(Room::Never) {
                Event::Cast { message, .. } | Event::HandOn { message, .. } => {
                    Some((Reason::Closed, Some(message)))
                }
                _ => Some((Reason::Closed, None)),
            };
        }
        let mut new = None;
        let slot = match rooms.slots.get_mut(key) {
            Some(slot) => slot,
            None => new.insert(Slot::new(tick)),
        };
        let was_there = slot.counts();
        let room = match (was_there, may_start) {
            (false, true) if self.reserve() => Room::Kept,
            (false, true) => Room::None,
            _ => Room::Never,
        };
        let mut rest = Vec::new();
        slot.used.store(tick, Ordering::Relaxed);
        slot.step(self.now(), event(room), &self.rules, &mut rest);
        if room == Room::Kept && !slot.counts() {
            self.count.fetch_sub(1, Ordering::Relaxed); // it was refused
        }
        if let Some(slot) = new.filter(Slot::counts) {
            rooms.slots.insert(key.clone(), slot);
        }
        drop(rooms);
        let mut refusal = None;
        for command in rest {
            match command {
                // A shard that is restarting looks through its floor as it comes up.
                Command::Want => drop(floor.keeper.cast(ShardMsg::Start(key.clone()))),
                Command::Refuse(reason, message) => refusal = Some((reason, message)),
                _ => {} // a message does nothing else
            }
        }
        refusal
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

impl<K: Key, M: Message> House<K, M> {
    /// Passivates a member that is still idle at this tick; whether it was.
    pub(super) fn passivate_idle(&self, key: &K, incarnation: u64, tick: u32) -> bool {
        self.passivate_if(key, incarnation, None, |slot| slot.is_idle(tick))
    }

    fn passivate_if(
        &self,
        key: &K,
        incarnation: u64,
        left: Option<Left>,
        may: impl FnOnce(&Slot<M>) -> bool,
    ) -> bool {
        let floor = self.floor(key);
        let (mut rest, mut is_done) = (Vec::new(), false);
        let mut rooms = floor.write();
        if let Some(slot) = rooms.slots.get_mut(key)
            && may(slot)
        {
            // Marked first, drained after: nothing falls between.
            let event = Event::Passivate { incarnation, left };
            slot.step(self.now(), event, &self.rules, &mut rest);
            is_done = !slot.core.is_live();
        }
        drop(rooms);
        for command in rest {
            if let Command::Wake { after, alarm } = command {
                let _ = floor.keeper.cast(ShardMsg::Wake(key.clone(), after, alarm));
            }
        }
        is_done
    }

    /// Sends to the incarnation after this one.
    fn send_after(&self, key: &K, incarnation: u64, message: M) -> Result<(), M> {
        let floor = self.floor(key);
        let refusal = self.enter(floor, key, false, |_| Event::HandOn {
            incarnation,
            message,
        });
        match refusal {
            Some((_, Some(message))) => Err(message),
            Some((_, None)) | None => Ok(()),
        }
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

    fn passivate(&self, key: &K, incarnation: u64, left: Option<Left>) {
        self.passivate_if(key, incarnation, left, |_| true);
    }

    fn left(&self, key: &K, incarnation: u64) -> Option<Left> {
        let mut rooms = self.floor(key).write();
        rooms.slots.get_mut(key)?.core.take_left(incarnation)
    }

    fn touch(&self, key: &K, incarnation: u64) {
        let floor = self.floor(key);
        let rooms = floor.read();
        let slot = rooms.slots.get(key);
        if let Some(slot) = slot.filter(|slot| slot.core.incarnation() == incarnation) {
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
        let (house, incarnation) = (&self.house, self.incarnation);
        let mut rooms = house.floor(&self.key).write();
        let slot = rooms.slots.get_mut(&self.key);
        if let Some(slot) = slot.filter(|slot| slot.core.is_present(incarnation)) {
            let mut rest = Vec::new(); // to come up asks for nothing
            slot.seat(cell);
            slot.step(
                house.now(),
                Event::Up { incarnation },
                &house.rules,
                &mut rest,
            );
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

/// Room for so many members is kept on each floor, however few there are: some 5 KiB.
const SPARE: usize = 16;

/// Why members fail to start whose [`Vacancy`](super::Vacancy) nobody has filled.
const NOT_FILLED: &str = "nobody has said how the members of this family are made";

#[cfg(test)]
mod tests {
    use ractor::{Actor, ActorProcessingErr};
    use tokio::time::timeout;

    use super::*;

    /// In time that does not pass for real.
    const LONG: Duration = Duration::from_secs(3_600);

    struct Idler;

    impl Actor for Idler {
        type Msg = ();
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_was_counted_out_leaves_nobody_behind_and_touches_nobody_of_its_successor()
    {
        let (earlier, later) = (ActorId::Local(1), ActorId::Local(2));
        let mut rooms: Rooms<u32, ()> = Rooms {
            is_open: false,
            in_charge: None,
            slots: HashMap::new(),
        };
        rooms.begin_of(earlier);
        let (left, left_ends) = Idler::spawn(None, Idler, ()).await.unwrap();
        let slot = rooms.slots.entry(7).or_insert_with(|| Slot::new(0));
        slot.actor = Some(left);
        rooms.begin_of(later);
        timeout(LONG, left_ends).await.unwrap().unwrap();
        let (member, member_ends) = Idler::spawn(None, Idler, ()).await.unwrap();
        rooms.slots.get_mut(&7).unwrap().actor = Some(member);
        rooms.end_of(earlier);
        tokio::task::yield_now().await;
        assert!(rooms.is_open && !member_ends.is_finished());
        rooms.end_of(later);
        timeout(LONG, member_ends).await.unwrap().unwrap();
        assert!(!rooms.is_open);
    }

    #[test]
    fn the_room_of_a_crowd_that_has_left_is_given_back() {
        let mut rooms: Rooms<u32, ()> = Rooms {
            is_open: true,
            in_charge: None,
            slots: HashMap::new(),
        };
        for key in 0..10_000 {
            rooms.slots.insert(key, Slot::new(0));
        }
        for key in 0..10_000 {
            assert!(rooms.forget(&key).is_some());
        }
        assert!(rooms.forget(&0).is_none());
        assert!(rooms.slots.capacity() <= 2 * SPARE);
    }
}
