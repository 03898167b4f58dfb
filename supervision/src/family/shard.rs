//! One shard of a family: starts members, restarts them, keeps their time.
//!
//! # Owns
//! The lives of the members on its floor. Senders only look them up; a member that is up marks
//! itself so; everything else is decided here.
//!
//! # Hears
//! [`ShardMsg`]: from senders that a member is wanted, from presences that one is gone, from
//! members that they passivate, from its clock, and from above that it shall stop.
//!
//! # Says
//! To members: stop, drain or kill. To its supervisor, by its presence: up, and gone.
//!
//! # Supervised by
//! The family's supervisor, permanent.
//!
//! # When it crashes
//! Its members are killed with it. The next incarnation starts those again that are restarted
//! after a crash; what waited for them still waits. Temporary ones are given up.
//!
//! # Metrics
//! `heronry_supervision_children`, `…_restarts_total`, `…_given_up_total`,
//! `…_shutdown_timeouts_total`, `…_start_seconds`, `…_stop_seconds`.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, Message, SupervisionEvent};
use tokio::{sync::oneshot, time::Instant};

use self::closing::{Closing, farewell};
use super::{
    clock::{Clock, from_now},
    context::{Context, Passivate},
    house::{House, MemberHost},
    slot::{IDLE_TICKS, Life, Patience, Sequel, Slot},
    spec::{Idle, Key},
};
use crate::{
    cause::ExitCause,
    chance::Chance,
    core::KILL_GRACE,
    crash::{Crash, let_go},
    flight::Last,
    metrics as count,
    panic_hook::caught_now,
    place::{ask, written},
    presence::Presence,
    seat::send,
    start::{Berth, Child, FrameActor},
    told::Told,
    tree::Node,
};

mod closing;
mod feel;

/// What a shard can be told.
pub(super) enum ShardMsg<K> {
    /// From a presence: nothing of that incarnation is left.
    Gone(K, u64, ExitCause, Option<Box<Last>>),
    /// From the handle: stop this member, and say when it is gone.
    Leave(K, oneshot::Sender<()>),
    /// From a member: it is draining itself.
    Leaving(K, u64),
    /// From a sender: this member is wanted.
    Start(K),
    /// From above: stop everything.
    Stop,
    /// From the clock: something is due.
    Tick,
}

/// What a shard waits for.
enum Due<K> {
    /// All members must be gone by now.
    Closed,
    /// Feel whether handlers return.
    Feel,
    /// A member that is down may be forgotten.
    Forget(K),
    /// A leaving member must be gone by now.
    Left(K, u64),
    /// The pause after the end of that incarnation is over.
    Return(K, u64),
    /// Look for idle members.
    Sweep,
}

/// Starts the shard of that floor.
pub(super) fn start<K: Key, M: Message>(
    house: &Arc<House<K, M>>,
    place: usize,
    berth: Berth,
) -> Result<Child, ExitCause> {
    let keeper = house.floors[place].keeper.clone();
    let presence = Arc::clone(&berth.presence);
    let path = match berth.path.rsplit_once('/') {
        Some((family, _)) => family.to_owned(), // a shard is the family's own affair
        None => berth.path.to_string(),
    };
    let args = Args {
        house: Arc::clone(house),
        place,
        presence,
        path,
        node: Arc::clone(&berth.node),
    };
    let actor = berth.launch(Shard(std::marker::PhantomData), args, Some(keeper), true)?;
    Ok(Child {
        cell: actor.get_cell(),
        ask: ask::<ShardMsg<K>>,
        frame: Some(Box::new(Frame {
            house: Arc::clone(house),
            shard: actor,
        })),
    })
}

/// What the supervisor of the shards holds of one of them.
struct Frame<K, M> {
    house: Arc<House<K, M>>,
    shard: ActorRef<ShardMsg<K>>,
}

impl<K: Key, M: Message> FrameActor for Frame<K, M> {
    /// One shard is stopped only when all are, so all begin now: a family takes no longer than
    /// its slowest member.
    fn shut_down(&self) {
        for floor in &self.house.floors {
            let _ = floor.keeper.cast(ShardMsg::Stop); // who has ended needs no telling
        }
        // One that is just starting has not sat down yet, and would never hear of it.
        let _ = self.shard.cast(ShardMsg::Stop);
    }
}

/// What a shard needs to live.
struct Args<K, M> {
    house: Arc<House<K, M>>,
    place: usize,
    presence: Arc<Presence>,
    path: String,
    node: Arc<Node>,
}

impl<K: Key> Told for ShardMsg<K> {}

/// The shard's handler; all it knows is in its state.
struct Shard<K, M>(std::marker::PhantomData<fn() -> (K, M)>);

struct ShardState<K: Key, M: Message> {
    myself: ActorRef<ShardMsg<K>>,
    house: Arc<House<K, M>>,
    place: usize,
    presence: Arc<Presence>,
    /// The family's path.
    path: String,
    node: Arc<Node>,
    clock: Clock<Due<K>>,
    children: metrics::Gauge,
    chance: Chance,
    /// Whether it will look for idle members: not while nobody is there who could be.
    sweeps: bool,
    /// Whether it is stopping, and has lost its patience.
    closing: Option<Closing>,
}

impl<K: Key, M: Message> Actor for Shard<K, M> {
    type Msg = ShardMsg<K>;
    type State = ShardState<K, M>;
    type Arguments = Args<K, M>;

    async fn pre_start(
        &self,
        myself: ActorRef<ShardMsg<K>>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let Args {
            house,
            place,
            presence,
            path,
            node,
        } = args;
        let children = count::children(&house.spec.name);
        let chance_seed = myself.get_id().pid();
        Ok(ShardState {
            myself,
            house,
            place,
            presence,
            path,
            node,
            clock: Clock::new(),
            children,
            chance: Chance(chance_seed),
            sweeps: false,
            closing: None,
        })
    }

    async fn post_start(
        &self,
        _: ActorRef<ShardMsg<K>>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.open();
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<ShardMsg<K>>,
        message: ShardMsg<K>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShardMsg::Gone(key, incarnation, cause, last) => {
                state.gone(key, incarnation, cause, last);
            }
            ShardMsg::Leave(key, done) => state.leave(key, done),
            ShardMsg::Leaving(key, incarnation) => state.expect_end(key, incarnation),
            ShardMsg::Start(key) => state.start(key),
            ShardMsg::Stop => state.close(),
            ShardMsg::Tick => state.tick(),
        }
        Ok(())
    }

    /// The presences tell all of this, later and in better order.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ShardMsg<K>>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let_go(&state.house.spec.name, event);
        Ok(())
    }
}

impl<K: Key, M: Message> ShardState<K, M> {
    /// Opens the floor; whoever was on it when the shard before this one crashed is gone by now.
    fn open(&mut self) {
        let house = Arc::clone(&self.house);
        let mut rooms = house.floors[self.place].write();
        rooms.is_open = true;
        let mut left = Vec::new();
        for (key, slot) in &rooms.slots {
            match slot.life {
                Life::Asleep => {}
                Life::Down { until, .. } => self.at(until, Due::Forget(key.clone())),
                _ => left.push((key.clone(), slot.incarnation)),
            }
        }
        drop(rooms);
        for (key, incarnation) in left {
            self.gone(key, incarnation, ExitCause::Killed, None);
        }
        self.sweep_later();
        self.feel_later();
    }

    /// Starts a member that is wanted and not there.
    fn start(&mut self, key: K) {
        let floor = &self.house.floors[self.place];
        let mut rooms = floor.write();
        let Some(slot) = rooms.slots.get_mut(&key) else {
            return;
        };
        if slot.is_launched || !matches!(slot.life, Life::Coming(_)) {
            return; // started already, or not wanted any more
        }
        let incarnation = floor.next_incarnation();
        let host = MemberHost {
            house: Arc::clone(&self.house),
            shard: self.myself.clone(),
            key: key.clone(),
            incarnation,
        };
        let presence = Arc::new(Presence::new(
            Box::new(host),
            Some(Arc::clone(&self.presence)),
        ));
        slot.incarnation = incarnation;
        slot.is_launched = true;
        slot.presence = Arc::downgrade(&presence);
        let context = Context {
            key: key.clone(),
            incarnation,
            restarts: slot.restarts,
            last_cause: slot.past.as_ref().map(|past| past.last_cause.clone()),
            family: self.house.weak(),
        };
        drop(rooms);
        self.count();
        self.sweep_later();
        let shard = self.myself.get_cell();
        match self.house.launch(context, shard, Arc::clone(&presence)) {
            Ok(actor) => {
                let mut rooms = self.house.floors[self.place].write();
                if let Some(slot) = rooms.slots.get_mut(&key) {
                    slot.actor.get_or_insert(actor); // for a kill during the start
                }
            }
            Err(cause) => presence.ends(cause), // told as we let go of it
        }
    }

    /// Nothing of that incarnation is left.
    fn gone(&mut self, key: K, incarnation: u64, cause: ExitCause, last: Option<Box<Last>>) {
        let chance = self.chance.next();
        let spec = &self.house.spec;
        let mut rooms = self.house.floors[self.place].write();
        let slot = rooms.slots.get_mut(&key);
        let Some(slot) = slot.filter(|slot| slot.incarnation == incarnation) else {
            return;
        };
        let (cause, done) = farewell(&mut slot.life, cause, spec);
        let sequel = match self.closing {
            Some(_) => Sequel::Absent(Vec::new()),
            None => slot.gone(&cause, chance, spec),
        };
        let stays = match &sequel {
            Sequel::Absent(_) => false,
            Sequel::GivenUp(_) => slot.life.is_down() && !spec.quarantine.is_zero(),
            Sequel::Rest | Sequel::Return { .. } | Sequel::Sleep => true,
        };
        let forgotten = if stays { None } else { rooms.forget(&key) };
        let is_empty = rooms.slots.is_empty();
        drop(rooms);
        if cause.is_abnormal() {
            let path = format!("{}[{}]", self.path, written(&key));
            Crash::new(path, &cause, last).tell(self.node.hook());
        }
        let_go(&self.house.spec.name, forgotten); // outside the lock: messages may wait in it
        self.follow(key, incarnation, sequel, &cause);
        for done in done {
            let _ = done.send(()); // whoever waited may have left
        }
        if is_empty && self.closing.is_some() {
            self.myself.stop(None);
        }
    }

    fn follow(&mut self, key: K, incarnation: u64, sequel: Sequel<M>, cause: &ExitCause) {
        let house = Arc::clone(&self.house);
        let spec = &house.spec;
        match sequel {
            Sequel::Absent(waiting) => {
                let_go(&spec.name, waiting);
                self.leaves();
            }
            Sequel::GivenUp(waiting) => {
                count::given_up(&spec.name);
                let told = spec
                    .on_give_up
                    .as_ref()
                    .map(|hook| caught_now(|| hook(&key, cause)));
                if let Some(Err(report)) = told {
                    tracing::error!(family = %spec.name, %report, "the give-up hook panicked");
                }
                let_go(&spec.name, waiting);
                self.leaves();
                if !spec.quarantine.is_zero() {
                    self.at(from_now(spec.quarantine), Due::Forget(key));
                }
            }
            Sequel::Rest => {
                self.leaves();
                self.at(from_now(spec.intensity.window), Due::Forget(key));
            }
            Sequel::Sleep => {}
            Sequel::Return { pause, is_restart } => {
                if is_restart {
                    count::restarted(&spec.name, cause);
                }
                if pause.is_zero() {
                    self.start(key);
                } else {
                    self.at(from_now(pause), Due::Return(key, incarnation));
                }
            }
        }
    }

    /// Somebody outside wants this member to stop.
    fn leave(&mut self, key: K, done: oneshot::Sender<()>) {
        let mut rooms = self.house.floors[self.place].write();
        let Some(slot) = rooms.slots.get_mut(&key) else {
            return;
        };
        if slot.life.is_asleep() {
            rooms.forget(&key);
            drop(rooms);
            self.leaves();
            let _ = done.send(()); // nobody is there to be asked
            return;
        }
        let is_asked = slot.leave();
        if let Life::Leaving { waiting, .. } = &mut slot.life {
            waiting.push(done);
        }
        if !is_asked {
            return;
        }
        let (incarnation, is_launched) = (slot.incarnation, slot.is_launched);
        slot.shut_down(self.house.spec.shutdown);
        drop(rooms);
        if is_launched {
            self.expect_end(key, incarnation);
        } else {
            self.gone(key, incarnation, ExitCause::Normal, None); // nobody is there to be asked
        }
    }

    /// A member has been asked to end: it has so much time for it.
    fn expect_end(&mut self, key: K, incarnation: u64) {
        if let Some(limit) = self.patience() {
            self.at(from_now(limit), Due::Left(key, incarnation));
        }
    }

    /// A member that was asked to end has had its time.
    fn overdue(&mut self, key: K, incarnation: u64) {
        let mut rooms = self.house.floors[self.place].write();
        let slot = rooms.slots.get_mut(&key);
        let Some(slot) = slot.filter(|slot| slot.incarnation == incarnation) else {
            return;
        };
        let presence = match slot.lose_patience() {
            None => return,
            Some(Patience::Killed) => None,
            Some(Patience::Lost(presence)) => Some(presence),
        };
        drop(rooms);
        match presence {
            None => {
                count::shutdown_timed_out(&self.house.spec.name);
                self.at(from_now(KILL_GRACE), Due::Left(key, incarnation));
            }
            Some(presence) => {
                self.abandon(&key, presence);
                self.gone(key, incarnation, ExitCause::ShutdownTimeout, None);
            }
        }
    }

    fn tick(&mut self) {
        self.clock.rang();
        let now = Instant::now();
        while let Some(due) = self.clock.due(now) {
            match due {
                Due::Closed => self.close_by_force(),
                Due::Feel => self.feel(),
                Due::Forget(key) => self.forget(&key),
                Due::Left(key, incarnation) => self.overdue(key, incarnation),
                Due::Return(key, incarnation) => self.returns(key, incarnation),
                Due::Sweep => self.sweep(),
            }
        }
        self.clock.set(&self.myself, || ShardMsg::Tick);
    }

    /// A pause is over; perhaps that of an end which another one has followed meanwhile.
    fn returns(&mut self, key: K, incarnation: u64) {
        let is_present = {
            let rooms = self.house.floors[self.place].read();
            let slot = rooms.slots.get(&key);
            slot.is_some_and(|slot| slot.incarnation == incarnation)
        };
        if is_present {
            self.start(key);
        }
    }

    fn forget(&mut self, key: &K) {
        let mut rooms = self.house.floors[self.place].write();
        let over = |slot: &Slot<M>| matches!(slot.life, Life::Down { until, .. } if until <= Instant::now());
        if rooms.slots.get(key).is_some_and(over) {
            rooms.forget(key);
        }
    }

    /// Looks for members that have been idle for eight ticks.
    fn sweep(&mut self) {
        let house = Arc::clone(&self.house);
        let floor = &house.floors[self.place];
        let tick = floor.tick.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let (is_anybody_there, idle): (bool, Vec<_>) = {
            let rooms = floor.read();
            let idle = rooms.slots.iter().filter(|(_, slot)| slot.is_idle(tick));
            let idle = idle.map(|(key, slot)| (key.clone(), slot.incarnation, slot.address()));
            let is_anybody_there = rooms.slots.values().any(|slot| slot.is_launched);
            (is_anybody_there, idle.collect())
        };
        for (key, incarnation, actor) in idle {
            match (house.spec.idle, actor) {
                (Idle::Ask(_, ask), Some((actor, inbox))) => {
                    house.touch(&key, incarnation); // asked again after the same time
                    if let Ok(message) = caught_now(|| ask(&key)) {
                        let _ = send(&actor, &inbox, message); // who is ending is not idle
                    }
                }
                (Idle::Passivate(_), _) => house.passivate_idle(&key, incarnation, tick),
                (Idle::Ask(..) | Idle::Never, _) => {}
            }
        }
        self.sweeps = false;
        if is_anybody_there {
            self.sweep_later();
        }
    }

    /// Looks for idle members a little later. Nobody there: whoever comes sees to it.
    fn sweep_later(&mut self) {
        if !self.sweeps
            && let Some(eighth) = self.eighth()
        {
            self.sweeps = true;
            self.at(from_now(eighth), Due::Sweep);
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

    fn at(&mut self, at: Instant, due: Due<K>) {
        self.clock.at(at, due, &self.myself, || ShardMsg::Tick);
    }

    /// One member less is there.
    fn leaves(&self) {
        self.house.count.fetch_sub(1, Ordering::Relaxed);
        self.count();
    }

    fn count(&self) {
        self.children
            .set(self.house.count.load(Ordering::Relaxed) as f64);
    }
}

impl<K: Key, M: Message> Drop for ShardState<K, M> {
    /// Until the next incarnation opens it, nothing may be put on the floor.
    fn drop(&mut self) {
        self.house.floors[self.place].write().is_open = false;
    }
}
