//! The supervisor as an actor: carries out what the core decides and tells it what happened.
//!
//! # Owns
//! Its children: their cells, their presences, the alarms set for them.
//!
//! # Hears
//! [`SupervisorMsg`]: from its children's presences that they are up or gone, from its alarms, and
//! from above that it shall stop. No handler of it waits for a child.
//!
//! # Says
//! To its children: stop, drain or kill. To its own supervisor, by its presence: up, and gone.
//!
//! # Supervised by
//! Another supervisor, or nobody: the root.
//!
//! # When it crashes
//! ractor kills its children; its presence holds back the news until they are gone. Its supervisor
//! then starts it again, and so all of them.
//!
//! # Metrics
//! All in [`METRICS`](crate::METRICS).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::{sync::oneshot, time::Instant};

use super::{
    place::{ChildHost, Live, Place},
    roster::{NotStarted, Roster},
};
use crate::{
    alarm::{Alarm, alarm},
    cause::ExitCause,
    core::{Command, Core, Event, Finish},
    crash::{Crash, is_crash, let_go},
    flight::Last,
    metrics as count,
    name::Name,
    presence::Presence,
    spec::{AutoShutdown, ChildSpec, Intensity, Shutdown, Strategy},
    start::Berth,
    told::Told,
    tree::Node,
};

/// What a supervisor can be told.
pub(crate) enum SupervisorMsg {
    /// From an alarm that the core asked for.
    Alarm(u64),
    /// From the root's handle: a new child, behind the others.
    Add(Box<ChildSpec>, oneshot::Sender<Result<(), NotStarted>>),
    /// From its own clock: feel the pulse of the children.
    Feel,
    /// From a child's presence: nothing of that incarnation is left.
    Gone {
        child: usize,
        incarnation: u64,
        cause: ExitCause,
        last: Option<Box<Last>>,
    },
    /// From the root's handle: stop this child and forget it; tells whether there is one.
    Remove(Name, oneshot::Sender<bool>),
    /// From above: stop everything in order.
    Stop,
    /// From a child's presence: that incarnation is up.
    Up { child: usize, incarnation: u64 },
}

impl Told for SupervisorMsg {}

/// The supervisor's handler; all it knows is in its state.
pub(crate) struct SupervisorActor;

/// What an incarnation of a supervisor needs to live.
pub(crate) struct SupervisorArgs {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) roster: Roster,
    pub(crate) path: Name,
    pub(crate) node: Arc<Node>,
    pub(crate) presence: Arc<Presence>,
}

pub(crate) struct SupervisorState {
    core: Core,
    myself: ActorRef<SupervisorMsg>,
    /// Who is restarted with it, should it fall itself.
    roster: Roster,
    /// By the numbers that the core gives out; in their order they were listed or added.
    places: BTreeMap<usize, Place>,
    alarms: HashMap<u64, Alarm>,
    /// The next feeling of pulses, if any child has one.
    feeling: Option<Alarm>,
    epoch: Instant,
    path: Name,
    node: Arc<Node>,
    presence: Arc<Presence>,
}

impl Actor for SupervisorActor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        args: SupervisorArgs,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        Ok(SupervisorState::new(myself, args))
    }

    async fn post_start(
        &self,
        _: ActorRef<SupervisorMsg>,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        state.feel_later();
        state.decide(Event::Begin)
    }

    async fn handle(
        &self,
        _: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMsg::Add(spec, told) => state.add(*spec, told),
            SupervisorMsg::Alarm(alarm) => state.alarm(alarm),
            SupervisorMsg::Feel => state.feel(),
            SupervisorMsg::Gone {
                child,
                incarnation,
                cause,
                last,
            } => state.gone(child, incarnation, cause, last),
            SupervisorMsg::Remove(name, told) => state.remove(&name, told),
            SupervisorMsg::Stop => {
                state.node.stopping();
                state.decide(Event::Stop)
            }
            SupervisorMsg::Up { child, incarnation } => state.up(child, incarnation),
        }
    }

    /// The presences tell all of this, later and in better order.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let_go(&state.path, event);
        Ok(())
    }
}

impl SupervisorState {
    fn new(myself: ActorRef<SupervisorMsg>, args: SupervisorArgs) -> Self {
        let SupervisorArgs {
            strategy,
            intensity,
            auto_shutdown,
            roster,
            path,
            node,
            presence,
        } = args;
        let specs = roster.get();
        let seed = myself.get_id().pid();
        let rules = specs.iter().map(ChildSpec::rule);
        let core = Core::new(strategy, intensity, auto_shutdown, rules, seed);
        let places = specs.into_iter().map(|spec| Place::new(spec, &path, &node));
        let state = Self {
            core,
            myself,
            roster,
            places: places.enumerate().collect(),
            alarms: HashMap::new(),
            feeling: None,
            epoch: Instant::now(),
            path,
            node,
            presence,
        };
        state.show();
        state
    }

    /// Shows who stands below.
    fn show(&self) {
        let below = self.places.values().map(|place| Arc::clone(&place.node));
        self.node.supervises(below.collect());
    }

    fn add(
        &mut self,
        spec: ChildSpec,
        told: oneshot::Sender<Result<(), NotStarted>>,
    ) -> Result<(), ActorProcessingErr> {
        if self
            .places
            .values()
            .any(|place| place.spec.name == spec.name)
        {
            let _ = told.send(Err(NotStarted::Exists(spec.name))); // who asked may have left
            return Ok(());
        }
        let mut commands = Vec::new();
        let Some(child) = self.core.add(spec.rule(), &mut commands) else {
            let _ = told.send(Err(NotStarted::Ending));
            return Ok(());
        };
        let mut place = Place::new(spec, &self.path, &self.node);
        place.joining = Some(told);
        self.places.insert(child, place);
        self.show();
        self.feel_later();
        self.carry_out_all(commands)
    }

    fn remove(
        &mut self,
        name: &Name,
        told: oneshot::Sender<bool>,
    ) -> Result<(), ActorProcessingErr> {
        let named = |(_, place): &(&usize, &mut Place)| place.spec.name == *name;
        let Some((&child, place)) = self.places.iter_mut().find(named) else {
            let _ = told.send(false); // who asked may have left
            return Ok(());
        };
        place.leaving.push(told);
        self.roster.remove(name);
        self.decide(Event::Remove { child })
    }

    /// Nothing of it is left, and nothing of it comes back.
    fn forget(&mut self, child: usize) {
        let Some(mut place) = self.places.remove(&child) else {
            return;
        };
        self.roster.remove(&place.spec.name);
        self.show();
        if let Some(told) = place.joining.take() {
            let _ = told.send(Err(NotStarted::Failed(place.last_cause)));
        }
        for told in place.leaving {
            let _ = told.send(true);
        }
    }

    fn decide(&mut self, event: Event) -> Result<(), ActorProcessingErr> {
        let mut commands = Vec::new();
        self.core.step(self.epoch.elapsed(), event, &mut commands);
        self.carry_out_all(commands)
    }

    fn carry_out_all(&mut self, commands: Vec<Command>) -> Result<(), ActorProcessingErr> {
        for command in commands {
            self.carry_out(command)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, command: Command) -> Result<(), ActorProcessingErr> {
        match command {
            Command::Abandon { child, .. } => self.abandon(child),
            Command::Finish(finish) => return self.finish(finish),
            Command::Forget { child } => self.forget(child),
            Command::Kill { child, .. } => {
                if let Some(place) = self.places.get_mut(&child) {
                    place.kill();
                }
            }
            Command::Start {
                child,
                incarnation,
                restart,
            } => {
                self.start(child, incarnation, restart);
            }
            Command::Stop { child, .. } => {
                if let Some(place) = self.places.get_mut(&child) {
                    place.stop();
                }
            }
            Command::Up => self.presence.up(&self.myself.get_cell()),
            Command::Wake {
                alarm: number,
                after,
            } => {
                let set = alarm(after, &self.myself, SupervisorMsg::Alarm(number));
                self.alarms.insert(number, set);
            }
        }
        Ok(())
    }

    fn start(&mut self, child: usize, incarnation: u64, restart: bool) {
        let Some(place) = self.places.get_mut(&child) else {
            return;
        };
        let spec = &place.spec;
        if restart {
            count::restarted(&spec.name, &place.last_cause);
        }
        place.node.starting(restart);
        let host = ChildHost {
            supervisor: self.myself.clone(),
            child,
            incarnation,
            name: spec.name.clone(),
        };
        let berth = Berth::new(
            Some(self.myself.get_cell()),
            Box::new(host),
            Some(Arc::clone(&self.presence)),
            place.path.clone(),
            Arc::clone(&place.node),
        );
        let presence = Arc::clone(&berth.presence);
        let started = spec.start.start(berth);
        place.live = Some(Live {
            incarnation,
            presence: Arc::downgrade(&presence),
            asked_to_stop: None,
            timed_out: false,
            child: match started {
                Ok(child) => {
                    place.node.seats(child.occupant(&presence));
                    Some(child)
                }
                Err(cause) => {
                    presence.ends(cause); // told as we let go of it
                    None
                }
            },
        });
        self.count_children();
    }

    fn abandon(&mut self, child: usize) {
        let Some(place) = self.places.get_mut(&child) else {
            return;
        };
        let Some(live) = place.live.take() else {
            return;
        };
        if let Some(presence) = live.presence.upgrade() {
            presence.abandon();
        }
        place.last_cause = ExitCause::ShutdownTimeout;
        place.node.down(&place.last_cause);
        tracing::error!(child = %place.path, "was killed and is still there: counted out");
        self.count_children();
    }

    fn finish(&mut self, finish: Finish) -> Result<(), ActorProcessingErr> {
        let child = match finish {
            Finish::Auto | Finish::Stopped => {
                self.myself.stop(None);
                return Ok(());
            }
            Finish::Escalate { child } => {
                count::escalated(&self.path);
                child
            }
            Finish::StartFailed { child } => child,
        };
        let Some(place) = self.places.get(&child) else {
            return Ok(()); // the core never gives up on somebody who is gone for good
        };
        let cause = ExitCause::Escalated {
            child: place.spec.name.clone(),
            cause: Box::new(place.last_cause.clone()),
        };
        tracing::error!(supervisor = %self.path, %cause, "gives up");
        Err(cause.into())
    }

    fn up(&mut self, child: usize, incarnation: u64) -> Result<(), ActorProcessingErr> {
        let Some(place) = self.places.get_mut(&child) else {
            return Ok(()); // of a time that has passed
        };
        let is_news = place
            .live
            .as_ref()
            .is_some_and(|live| live.incarnation == incarnation && live.asked_to_stop.is_none());
        if is_news {
            place.node.up();
            if let Some(told) = place.joining.take() {
                self.roster.add(&place.spec);
                let _ = told.send(Ok(())); // who asked may have left
            }
        }
        self.decide(Event::Up { child, incarnation })
    }

    fn gone(
        &mut self,
        child: usize,
        incarnation: u64,
        mut cause: ExitCause,
        last: Option<Box<Last>>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(place) = self.places.get_mut(&child) else {
            return Ok(()); // gone for good already
        };
        let spec = &place.spec;
        let Some(live) = place.live.take_if(|live| live.incarnation == incarnation) else {
            return Ok(()); // counted out already
        };
        if let Some(asked) = live.asked_to_stop {
            count::stopped(&spec.name, asked.elapsed());
            cause = match (cause.when_asked(live.timed_out), spec.shutdown) {
                (ExitCause::Normal, Shutdown::Drain(_)) => ExitCause::Drained,
                (cause, _) => cause,
            };
        }
        if is_crash(&cause, live.asked_to_stop.is_some()) {
            Crash::new(place.path.to_string(), &cause, last).tell(self.node.hook());
        }
        place.node.down(&cause);
        let abnormal = cause.is_abnormal();
        place.last_cause = cause;
        self.count_children();
        self.decide(Event::Gone {
            child,
            incarnation,
            abnormal,
        })
    }

    fn alarm(&mut self, alarm: u64) -> Result<(), ActorProcessingErr> {
        self.alarms.remove(&alarm);
        self.decide(Event::Alarm(alarm))
    }

    /// Looks for handlers that do not return.
    fn feel(&mut self) -> Result<(), ActorProcessingErr> {
        for place in self.places.values() {
            let spec = &place.spec;
            let (Some(heartbeat), Some(live)) = (spec.heartbeat, &place.live) else {
                continue;
            };
            let busy = live
                .presence
                .upgrade()
                .and_then(|presence| presence.flight().stalled())
                .unwrap_or_default();
            let is_stuck = busy > heartbeat.limit;
            if !place.node.stuck(is_stuck) || !is_stuck {
                continue;
            }
            count::stuck(&spec.name);
            tracing::error!(child = %place.path, ?busy, "does not return from a handler");
            if let (true, Some(child)) = (heartbeat.kill, &live.child) {
                if let Some(presence) = live.presence.upgrade() {
                    presence.flight().is_stuck(true);
                }
                child.cell.kill();
            }
        }
        self.feel_later();
        Ok(())
    }

    fn feel_later(&mut self) {
        let limits = self
            .places
            .values()
            .filter_map(|place| place.spec.heartbeat);
        let after = limits.map(|heartbeat| heartbeat.limit / 2).min();
        let after = after.map(|after| after.max(FEEL_EACH_MIN));
        self.feeling = after.map(|after| alarm(after, &self.myself, SupervisorMsg::Feel));
    }

    fn count_children(&self) {
        let there = self
            .places
            .values()
            .filter(|place| place.live.is_some())
            .count();
        count::children(&self.path).set(there as f64);
    }
}

/// However small the limits, the supervisor has other things to do.
const FEEL_EACH_MIN: Duration = Duration::from_millis(10);
