//! One shard of a family: starts members, restarts them, keeps their time.
//!
//! # Owns
//! The lives of the members on its floor, and what time it is for them. Senders look them up, and a
//! member that is up marks itself so. It decides nothing itself: the decisions are each member's
//! [`Core`](super::core::Core)'s.
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
//! Its state kills its members as it is dropped: they are linked to nobody. ractor would tell it of each start and
//! end what their presences tell it as well, keep a table with room for as many as there ever were, and
//! change it under one lock for all actors of the process. The next incarnation starts those again that are restarted
//! after a crash; what waited for them still waits. Temporary ones are given up.
//!
//! # Metrics
//! `heronry_supervision_children`, `…_restarts_total`, `…_given_up_total`,
//! `…_shutdown_timeouts_total`, `…_start_seconds`, `…_stop_seconds`.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, Message};
use tokio::{sync::oneshot, time::Instant};

use self::closing::Closing;
use super::{
    clock::{Clock, from_now},
    context::Context,
    core::{Alarm, Command, Event, Spread},
    house::{House, MemberHost},
    slot::Slot,
    spec::Key,
    wheel::{Spot, Wheel},
};
use crate::{
    cause::ExitCause,
    chance::Chance,
    crash::{Crash, let_go},
    flight::Last,
    metrics as count,
    panic_hook::caught_now,
    place::{ask, written},
    presence::Presence,
    start::{Berth, Child, FrameActor},
    told::Told,
    tree::Node,
};

mod closing;
mod feel;
mod idle;

/// What a shard can be told.
pub(super) enum ShardMsg<K> {
    /// From a presence: nothing of that incarnation is left.
    Gone(K, u64, ExitCause, Option<Box<Last>>),
    /// From the handle: stop this member, and say when it is gone.
    Leave(K, oneshot::Sender<()>),
    /// From a sender: this member is wanted.
    Start(K),
    /// From above: stop everything.
    Stop,
    /// From the clock: something is due.
    Tick,
    /// From a member: it waits for this.
    Wake(K, Duration, Alarm),
}

/// What a shard waits for.
enum Due<K> {
    /// All members must be gone by now.
    Closed,
    /// Feel whether handlers return.
    Feel,
    /// Something that a member waits for.
    Member(K, Alarm),
    /// Look at those whose idle time may be over.
    Turn,
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
    wheel: Wheel<K>,
    /// Whether the wheel will be turned: not while nobody is on it.
    turns: bool,
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
            wheel: Wheel::new(),
            turns: false,
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
            ShardMsg::Start(key) => state.start(key),
            ShardMsg::Stop => state.close(),
            ShardMsg::Tick => state.tick(),
            ShardMsg::Wake(key, after, alarm) => state.at(from_now(after), Due::Member(key, alarm)),
        }
        Ok(())
    }
}

impl<K: Key, M: Message> ShardState<K, M> {
    /// Opens the floor; whoever was on it when the shard before this one crashed is gone by now.
    fn open(&mut self) {
        let house = Arc::clone(&self.house);
        let mut rooms = house.floors[self.place].write();
        rooms.begin_of(self.myself.get_id());
        for slot in rooms.slots.values() {
            slot.moves(Spot::NONE); // it was on another wheel
        }
        let fell = |(key, slot): (&K, &Slot<M>)| (key.clone(), slot.core.is_launched());
        let members: Vec<(K, bool)> = rooms.slots.iter().map(fell).collect();
        drop(rooms);
        for (key, fell) in members {
            let spread = self.spread(fell);
            self.tell(key, Event::Orphan { spread }, None);
        }
        self.feel_later();
    }

    /// Tells a member's core, and does what it says. `last` is the last that is known of an
    /// incarnation that is gone.
    fn tell(&mut self, key: K, event: Event<M>, last: Option<Box<Last>>) {
        let house = Arc::clone(&self.house);
        let (mut rest, mut waiters) = (Vec::new(), Vec::new());
        let mut rooms = house.floors[self.place].write();
        let Some(slot) = rooms.slots.get_mut(&key) else {
            return;
        };
        let (counted, presence) = (slot.counts(), Weak::clone(&slot.presence));
        slot.step(house.now(), event, &house.rules, &mut rest);
        let left = counted && !slot.counts();
        let is_forgotten = rest
            .iter()
            .any(|command| matches!(command, Command::Forget));
        if !slot.core.is_launched() {
            waiters = slot.take_waiters();
            slot.presence = Weak::new();
            let spot = slot.moves(Spot::NONE);
            self.unwatch(spot, |key| rooms.slots.get(key));
        }
        let forgotten = if is_forgotten {
            rooms.forget(&key)
        } else {
            None
        };
        let is_empty = rooms.slots.is_empty();
        drop(rooms);
        if left {
            house.count.fetch_sub(1, Ordering::Relaxed);
            self.count();
        }
        self.carry_out(&key, &presence, rest, last);
        let_go(&house.spec.name, forgotten); // outside the lock, as everything of theirs
        for done in waiters {
            let _ = done.send(()); // whoever waited may have left
        }
        if is_empty && self.closing.is_some() {
            self.myself.stop(None);
        }
    }

    fn carry_out(
        &mut self,
        key: &K,
        presence: &Weak<Presence>,
        commands: Vec<Command<M>>,
        mut last: Option<Box<Last>>,
    ) {
        let house = Arc::clone(&self.house);
        let name = &house.spec.name;
        for command in commands {
            match command {
                Command::Abandon => self.abandon(key, presence),
                Command::Drop(messages) => let_go(name, messages),
                Command::Ended { cause, asked } => {
                    if let Some(asked) = asked {
                        count::stopped(name, asked);
                    }
                    if cause.is_abnormal() {
                        let path = format!("{}[{}]", self.path, written(key));
                        Crash::new(path, &cause, last.take()).tell(self.node.hook());
                    }
                }
                Command::GivenUp { cause, waiting } => {
                    self.give_up(key, &cause);
                    let_go(name, waiting);
                }
                Command::Kill => count::shutdown_timed_out(name),
                Command::LetGo(left) => let_go(name, left),
                Command::Refuse(_, message) => let_go(name, message), // nobody is there to hear it
                Command::Restarts(cause) => count::restarted(name, &cause),
                Command::Wake { after, alarm } => {
                    self.at(from_now(after), Due::Member(key.clone(), alarm));
                }
                Command::Want => self.start(key.clone()),
                Command::Forget => {} // that was done under the lock, and so were these
                Command::Deliver { .. }
                | Command::Drain
                | Command::ShutDown
                | Command::Start { .. } => {}
            }
        }
    }

    /// Starts a member that is wanted and not there.
    fn start(&mut self, key: K) {
        let house = Arc::clone(&self.house);
        let floor = &house.floors[self.place];
        let mut rooms = floor.write();
        let Some(slot) = rooms.slots.get_mut(&key) else {
            return;
        };
        let (incarnation, mut rest) = (floor.next_incarnation(), Vec::new());
        let event = Event::Launch { incarnation };
        slot.step(house.now(), event, &house.rules, &mut rest);
        let Some(Command::Start { incarnation }) = rest.pop() else {
            return; // started already, or not wanted any more
        };
        let host = MemberHost {
            house: Arc::clone(&house),
            shard: self.myself.clone(),
            key: key.clone(),
            incarnation,
        };
        let presence = Arc::new(Presence::new(
            Box::new(host),
            Some(Arc::clone(&self.presence)),
        ));
        slot.presence = Arc::downgrade(&presence);
        let context = Context {
            key: key.clone(),
            incarnation,
            restarts: slot.core.restarts(),
            last_cause: slot.core.last_cause().cloned(),
            family: house.weak(),
        };
        drop(rooms);
        self.count();
        self.watch(&key);
        match house.launch(context, Arc::clone(&presence)) {
            Ok(actor) => {
                let mut rooms = floor.write();
                let slot = rooms.slots.get_mut(&key);
                if let Some(slot) = slot.filter(|slot| slot.core.is_present(incarnation)) {
                    slot.actor.get_or_insert(actor); // for a kill during the start
                }
            }
            Err(cause) => presence.ends(cause), // told as we let go of it
        }
    }

    /// Nothing of that incarnation is left.
    fn gone(&mut self, key: K, incarnation: u64, cause: ExitCause, last: Option<Box<Last>>) {
        let spread = self.spread(cause.is_abnormal());
        let gone = Event::Gone {
            incarnation,
            cause,
            spread,
        };
        self.tell(key, gone, last);
    }

    /// Of those who fell, the first in a moment come back at once, and of a crowd one after the other.
    /// Whoever has gone by itself takes nobody's turn.
    fn spread(&mut self, fell: bool) -> Spread {
        let turn = if fell {
            self.house.turns.next(self.house.now())
        } else {
            Duration::ZERO
        };
        Spread {
            chance: self.chance.next(),
            turn,
        }
    }

    fn give_up(&self, key: &K, cause: &ExitCause) {
        let spec = &self.house.spec;
        count::given_up(&spec.name);
        let told = spec
            .on_give_up
            .as_ref()
            .map(|hook| caught_now(|| hook(key, cause)));
        if let Some(Err(report)) = told {
            tracing::error!(family = %spec.name, %report, "the give-up hook panicked");
        }
    }

    /// Somebody outside wants this member to stop.
    fn leave(&mut self, key: K, done: oneshot::Sender<()>) {
        let mut rooms = self.house.floors[self.place].write();
        match rooms.slots.get_mut(&key) {
            Some(slot) if slot.counts() => slot.notes_waiter(done),
            _ => return, // nobody is there
        }
        drop(rooms);
        self.tell(key, Event::Leave, None);
    }

    fn tick(&mut self) {
        self.clock.rang();
        let now = Instant::now();
        while let Some(due) = self.clock.due(now) {
            match due {
                Due::Closed => self.close_by_force(),
                Due::Feel => self.feel(),
                Due::Member(key, alarm) => self.tell(key, Event::Alarm(alarm), None),
                Due::Turn => self.turn(),
            }
        }
        self.clock.set(&self.myself, || ShardMsg::Tick);
    }

    fn at(&mut self, at: Instant, due: Due<K>) {
        self.clock.at(at, due, &self.myself, || ShardMsg::Tick);
    }

    fn count(&self) {
        self.children
            .set(self.house.count.load(Ordering::Relaxed) as f64);
    }
}

impl<K: Key, M: Message> Drop for ShardState<K, M> {
    /// Until the next incarnation opens it, nothing may be on the floor, nor be put there.
    fn drop(&mut self) {
        let myself = self.myself.get_id();
        self.house.floors[self.place].write().end_of(myself);
    }
}
