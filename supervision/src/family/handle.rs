//! The address of a family: what the rest of the house holds.

use std::{
    fmt,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use ractor::{Actor, ActorRef, Message, RpcReplyPort};
use serde::Serialize;
use tokio::sync::oneshot;

use super::{
    context::{Context, Passivate},
    house::{Floor, House},
    refused::{Reason, Refused},
    shard::{self, ShardMsg},
    slot::Slot,
    spec::{FamilySpec, Key},
};
use crate::{
    call::{CallError, answer},
    cause::ExitCause,
    name::Name,
    panic_hook::caught_now,
    place::{Household, Occupant, Past, Standing, ask, written},
    seat::send,
    spec::{ChildSpec, Intensity, Restart, Shutdown, Strategy},
    start::{Start, launch},
    supervisor::Supervisor,
    told::Told,
    tree::{Kind, Status},
};

/// Addresses the members of a family by their keys.
///
/// Like a [`Seat`](crate::Seat) it outlives everybody behind it: it is made first, handed to
/// whoever sends to the family, and put into the tree with [`Family::child`].
pub struct Family<K, M>(Arc<House<K, M>>);

/// The right to say, once, how the members of a family are made: see [`Family::vacant`].
#[must_use = "a family whose vacancy nobody fills starts nobody"]
pub struct Vacancy<K, M>(Arc<House<K, M>>);

/// A member, as it was when it was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Member<K> {
    /// Whose incarnation it is.
    pub key: K,
    /// How it is.
    pub status: Status,
    /// How often it was started again after a crash, since it was last absent.
    pub restarts: u32,
    /// For how long it has been up, in seconds.
    pub alive_seconds: f64,
    /// How many messages wait for it to come up, or to be handled.
    pub waiting: usize,
    /// How it last crashed.
    pub last_cause: Option<String>,
}

impl<K: Key, M: Message> Family<K, M> {
    /// A family whose incarnations are made by `make`: an actor and its arguments.
    ///
    /// `make` runs for each incarnation, in the shard, and builds values: it waits for nothing.
    /// What takes time belongs into the actor's `pre_start`, which holds nobody up but its own
    /// key's messages.
    pub fn new<A: Actor<Msg = M>>(
        spec: FamilySpec<K, M>,
        make: impl Fn(&K, Context<K>) -> (A, A::Arguments) + Send + Sync + 'static,
    ) -> Self
    where
        M: Told,
    {
        let (family, vacancy) = Self::vacant(spec);
        vacancy.fill(make);
        family
    }

    /// A family of which it is said later how its incarnations are made: for families that send
    /// to each other, so that one of them needs the other's address before it can be made.
    ///
    /// Fill the vacancy before the tree is started: a member that is wanted before fails to start.
    pub fn vacant(spec: FamilySpec<K, M>) -> (Self, Vacancy<K, M>) {
        let house = Arc::new(House::new(spec));
        (Self(Arc::clone(&house)), Vacancy(house))
    }

    /// The family as a child of a supervisor: permanent, and given all the time it needs to stop,
    /// because the time limit stands at its members.
    pub fn child(&self) -> ChildSpec {
        let house = &self.0;
        let mut shards = Supervisor::new(house.spec.name.clone(), Strategy::OneForOne)
            .intensity(Intensity::default());
        for place in 0..house.floors.len() {
            let house = Arc::clone(house);
            let start = Start::new(move |berth| shard::start(&house, place, berth));
            let spec = ChildSpec::permanent(format!("shard-{place}"), start);
            shards = shards.child(spec.with_shutdown(Shutdown::Infinity));
        }
        let members = Arc::downgrade(house);
        let start = Start::supervisor(shards);
        let start = Start::new(move |berth| {
            let members = Weak::clone(&members);
            berth.node.houses(members);
            start.start(berth)
        });
        ChildSpec::permanent(house.spec.name.clone(), start).with_shutdown(Shutdown::Infinity)
    }

    /// Sends to the member with this key. If nobody has it, and the family's
    /// [`Birth`](super::Birth) says so, it is started, and the message waits for it.
    ///
    /// # Errors
    ///
    /// [`Refused`] gives the message back, with the reason.
    pub fn cast(&self, key: &K, message: M) -> Result<(), Refused<M>> {
        self.0.cast(key, message)
    }

    /// Sends to the member with this key, if there is one; starts nobody.
    ///
    /// # Errors
    ///
    /// [`Refused`] gives the message back, with the reason.
    pub fn tell(&self, key: &K, message: M) -> Result<(), Refused<M>> {
        self.0.tell(key, message)
    }

    /// Casts the message that `build` makes of a reply port, and waits at most `timeout` for the
    /// reply.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`]: the message was not taken. [`CallError::Dropped`]: the member
    /// ended, or dropped the port. [`CallError::Timeout`]: it may still act on the message later.
    pub async fn call<T: Send + 'static>(
        &self,
        key: &K,
        build: impl FnOnce(RpcReplyPort<T>) -> M,
        timeout: Duration,
    ) -> Result<T, CallError> {
        answer(timeout, |port| {
            self.cast(key, build(port))
                .map_err(|refused| CallError::Refused(refused.reason))
        })
        .await
    }

    /// Starts the member with this key; nothing happens if it is there.
    ///
    /// # Errors
    ///
    /// Why it cannot be: closed, full, given up, or its predecessor is just ending.
    pub fn start(&self, key: &K) -> Result<(), Reason> {
        self.0.start(key)
    }

    /// Stops the member with this key as the spec says, and returns once nothing of it is left.
    /// Messages that come meanwhile are for the next incarnation. False if nobody had the key.
    pub async fn stop_entity(&self, key: &K) -> bool {
        let (done, gone) = oneshot::channel();
        let floor = self.0.floor(key);
        if floor
            .keeper
            .cast(ShardMsg::Leave(key.clone(), done))
            .is_err()
        {
            return false;
        }
        gone.await.is_ok()
    }

    /// How many members are there.
    pub fn len(&self) -> usize {
        self.0.count()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is hardly room for more: three quarters of the places are taken.
    pub fn is_crowded(&self) -> bool {
        let places = self.0.spec.members_max;
        self.len() >= places - places / 4
    }

    /// Whether somebody with this key is there.
    pub fn contains(&self, key: &K) -> bool {
        self.0
            .floor(key)
            .read()
            .slots
            .get(key)
            .is_some_and(Slot::counts)
    }

    /// The keys of all who are there, in no order.
    pub fn keys(&self) -> Vec<K> {
        self.keys_if(|_| true)
    }

    /// Those of the keys of all who are there that `is` wants, in no order.
    pub fn keys_if(&self, mut is: impl FnMut(&K) -> bool) -> Vec<K> {
        let mut keys = Vec::new();
        for floor in &self.0.floors {
            let rooms = floor.read();
            let there = rooms.slots.iter().filter(|(_, slot)| slot.counts());
            keys.extend(there.map(|(key, _)| key).filter(|key| is(key)).cloned());
        }
        keys
    }

    /// All who are there, as they are now, in no order.
    pub fn members(&self) -> Vec<Member<K>> {
        let (mut members, now) = (Vec::with_capacity(self.len()), self.0.now());
        for floor in &self.0.floors {
            for (key, slot) in &floor.read().slots {
                members.push(Member {
                    key: key.clone(),
                    status: slot.core.status(),
                    restarts: slot.core.restarts(),
                    alive_seconds: slot.core.up_for(now).as_secs_f64(),
                    waiting: slot.waiting(),
                    last_cause: slot.core.last_cause().map(ToString::to_string),
                });
            }
        }
        members
    }

    /// Calls `f` for each live member. Keep it short: it runs under the lock of a shard, and must
    /// not send to this family.
    pub fn for_each(&self, mut f: impl FnMut(&K, &ActorRef<M>)) {
        for floor in &self.0.floors {
            for (key, slot) in &floor.read().slots {
                if let (true, Some(actor)) = (slot.core.is_live(), &slot.actor) {
                    f(key, actor);
                }
            }
        }
    }

    /// Sends each live member the message that `build` makes for it; tells how many took it.
    /// Members that sleep are woken for it; others that are not up are not told. It does not count
    /// against idling.
    pub fn broadcast(&self, mut build: impl FnMut(&K) -> M) -> usize {
        let mut told = 0;
        let mut asleep = Vec::new();
        for floor in &self.0.floors {
            for (key, slot) in &floor.read().slots {
                match (slot.core.is_live(), &slot.actor, &slot.inbox) {
                    (true, Some(actor), Some(inbox)) => {
                        told += usize::from(send(actor, inbox, build(key)).is_ok());
                    }
                    _ if slot.core.is_asleep() => asleep.push(key.clone()),
                    _ => {}
                }
            }
        }
        for key in asleep {
            told += usize::from(self.tell(&key, build(&key)).is_ok());
        }
        told
    }

    /// What the family is called.
    pub fn name(&self) -> &Name {
        &self.0.spec.name
    }
}

impl<K: Key, M: Message> Vacancy<K, M> {
    /// Incarnations are made by `make`, as in [`Family::new`].
    pub fn fill<A: Actor<Msg = M>>(
        self,
        make: impl Fn(&K, Context<K>) -> (A, A::Arguments) + Send + Sync + 'static,
    ) where
        M: Told,
    {
        let _ = self.0.ask.set(ask::<M>);
        let launch = move |context: Context<K>, presence| {
            let made = caught_now(|| {
                let key = context.key().clone();
                make(&key, context)
            });
            let (actor, args) = made.map_err(ExitCause::Panic)?;
            launch(None, presence, actor, args, None, true) // linked to nobody: see `shard`
        };
        // There is one vacancy for each house, and this ends it.
        let _ = self.0.launch.set(Box::new(launch));
    }
}

impl<K, M> House<K, M> {
    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl<K: Key, M: Message> House<K, M> {
    /// Who is there of this member.
    fn occupant(&self, slot: &Slot<M>) -> Option<Occupant> {
        Some(Occupant {
            cell: slot.actor.as_ref()?.get_cell(),
            presence: Weak::clone(&slot.presence),
            leads: None,
            ask: *self.ask.get()?,
        })
    }

    /// The house, as its members hold it.
    pub(super) fn weak(self: &Arc<Self>) -> Weak<dyn Passivate<K>> {
        let house: Arc<dyn Passivate<K>> = Arc::clone(self) as _;
        Arc::downgrade(&house)
    }
}

impl<K: Key, M: Message> Household for Weak<House<K, M>> {
    fn count(&self) -> usize {
        self.upgrade().map_or(0, |house| house.count())
    }

    fn keys(&self) -> Vec<String> {
        let Some(house) = self.upgrade() else {
            return Vec::new();
        };
        let keys = Family(house).keys();
        keys.iter().map(written).collect()
    }

    fn depth(&self) -> usize {
        let Some(house) = self.upgrade() else {
            return 0;
        };
        let floors = house.floors.iter();
        let depth = |floor: &Floor<K, M>| {
            floor
                .read()
                .slots
                .values()
                .map(Slot::waiting)
                .sum::<usize>()
        };
        floors.map(depth).sum()
    }

    fn member(&self, key: &str) -> Option<Standing> {
        let house = self.upgrade()?;
        house.floors.iter().find_map(|floor| {
            let rooms = floor.read();
            let (_, slot) = rooms.slots.iter().find(|(own, _)| written(own) == key)?;
            let last_cause = slot.core.last_cause();
            Some(Standing {
                kind: Kind::Actor,
                status: slot.core.status(),
                inbox_depth: slot.waiting(),
                incarnation: slot.core.incarnation(),
                restarts: u64::from(slot.core.restarts()),
                alive: slot.core.up_for(house.now()),
                causes: last_cause
                    .map(|cause| Past::new(cause, None))
                    .into_iter()
                    .collect(),
                is_permanent: house.spec.restart == Restart::Permanent,
                occupant: house.occupant(slot),
            })
        })
    }

    fn occupants(&self) -> Vec<(String, Occupant)> {
        let Some(house) = self.upgrade() else {
            return Vec::new();
        };
        let mut occupants = Vec::with_capacity(house.count());
        for floor in &house.floors {
            let rooms = floor.read();
            let there = rooms.slots.iter();
            let there = there.filter_map(|(key, slot)| Some((written(key), house.occupant(slot)?)));
            occupants.extend(there);
        }
        occupants
    }
}

impl<K, M> Clone for Family<K, M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, M> fmt::Debug for Vacancy<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vacancy").field(&self.0.spec.name).finish()
    }
}

impl<K, M> fmt::Debug for Family<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.0.spec.name).finish()
    }
}
