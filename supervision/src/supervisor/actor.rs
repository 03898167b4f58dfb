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
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::time::Instant;

use crate::{
    alarm::{Alarm, alarm},
    cause::ExitCause,
    core::{Command, Core, Event, Finish, Rule},
    crash::{is_crash, let_go, log_crash},
    metrics as count,
    name::Name,
    presence::{Host, Presence},
    pulse::Pulse,
    spec::{AutoShutdown, ChildSpec, Intensity, Shutdown, Strategy},
    start::{Berth, Child},
    tree::Node,
};

/// What a supervisor can be told.
pub(crate) enum SupervisorMsg {
    /// From an alarm that the core asked for.
    Alarm(u64),
    /// From its own clock: feel the pulse of the children.
    Feel,
    /// From a child's presence: nothing of that incarnation is left.
    Gone {
        child: usize,
        incarnation: u64,
        cause: ExitCause,
    },
    /// From above: stop everything in order.
    Stop,
    /// From a child's presence: that incarnation is up.
    Up { child: usize, incarnation: u64 },
}

/// The supervisor's handler; all it knows is in its state.
pub(crate) struct SupervisorActor;

/// What an incarnation of a supervisor needs to live.
pub(crate) struct SupervisorArgs {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) specs: Arc<Vec<ChildSpec>>,
    pub(crate) path: Name,
    pub(crate) node: Arc<Node>,
    pub(crate) presence: Arc<Presence>,
}

pub(crate) struct SupervisorState {
    core: Core,
    myself: ActorRef<SupervisorMsg>,
    specs: Arc<Vec<ChildSpec>>,
    places: Vec<Place>,
    alarms: HashMap<u64, Alarm>,
    /// The next feeling of pulses, if any child has one.
    feeling: Option<Alarm>,
    epoch: Instant,
    path: Name,
    node: Arc<Node>,
    presence: Arc<Presence>,
}

/// What the shell knows of one child.
struct Place {
    node: Arc<Node>,
    path: Name,
    live: Option<Live>,
    last_cause: ExitCause,
}

/// An incarnation that is there.
struct Live {
    incarnation: u64,
    child: Option<Child>,
    presence: Weak<Presence>,
    pulse: Option<Arc<Pulse>>,
    asked_to_stop: Option<Instant>,
    timed_out: bool,
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
            SupervisorMsg::Alarm(alarm) => state.alarm(alarm),
            SupervisorMsg::Feel => state.feel(),
            SupervisorMsg::Gone {
                child,
                incarnation,
                cause,
            } => state.gone(child, incarnation, cause),
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
            specs,
            path,
            node,
            presence,
        } = args;
        let rules = specs.iter().map(|spec| Rule {
            restart: spec.restart,
            shutdown: spec.shutdown,
            backoff: spec.backoff,
            significant: spec.significant,
        });
        let seed = myself.get_id().pid();
        let core = Core::new(strategy, intensity, auto_shutdown, rules, seed);
        let place = |spec: &ChildSpec| Place {
            node: Node::new(spec.name.clone()),
            path: path.join(&spec.name),
            live: None,
            last_cause: ExitCause::Normal,
        };
        let places: Vec<_> = specs.iter().map(place).collect();
        node.supervises(places.iter().map(|place| Arc::clone(&place.node)).collect());
        Self {
            core,
            myself,
            specs,
            places,
            alarms: HashMap::new(),
            feeling: None,
            epoch: Instant::now(),
            path,
            node,
            presence,
        }
    }

    fn decide(&mut self, event: Event) -> Result<(), ActorProcessingErr> {
        let mut commands = Vec::new();
        self.core.step(self.epoch.elapsed(), event, &mut commands);
        for command in commands {
            self.carry_out(command)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, command: Command) -> Result<(), ActorProcessingErr> {
        match command {
            Command::Abandon { child, .. } => self.abandon(child),
            Command::Finish(finish) => return self.finish(finish),
            Command::Kill { child, .. } => self.kill(child),
            Command::Start {
                child,
                incarnation,
                restart,
            } => {
                self.start(child, incarnation, restart);
            }
            Command::Stop { child, .. } => self.stop(child),
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
        let (spec, place) = (&self.specs[child], &mut self.places[child]);
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
        let pulse = spec.heartbeat.map(|_| Arc::new(Pulse::default()));
        let berth = Berth::new(
            Some(self.myself.get_cell()),
            Box::new(host),
            Some(Arc::clone(&self.presence)),
            pulse.clone(),
            place.path.clone(),
            Arc::clone(&place.node),
        );
        let presence = Arc::clone(&berth.presence);
        let started = spec.start.start(berth);
        place.live = Some(Live {
            incarnation,
            presence: Arc::downgrade(&presence),
            pulse,
            asked_to_stop: None,
            timed_out: false,
            child: match started {
                Ok(child) => Some(child),
                Err(cause) => {
                    presence.ends(cause); // told as we let go of it
                    None
                }
            },
        });
        self.count_children();
    }

    fn stop(&mut self, child: usize) {
        let (spec, place) = (&self.specs[child], &mut self.places[child]);
        let Some(live) = &mut place.live else { return };
        live.asked_to_stop = Some(Instant::now());
        place.node.stopping();
        let Some(child) = &live.child else { return };
        let presence = live.presence.upgrade();
        let has_begun = presence.is_some_and(|presence| presence.has_begun());
        match (&child.frame, spec.shutdown) {
            (Some(frame), _) => frame.shut_down(),
            // A drain before it is linked would make its start fail: it has nothing to drain yet.
            (None, Shutdown::Drain(_)) if has_begun => {
                let _ = child.cell.drain(); // who has ended needs no telling
            }
            (None, _) => child.cell.stop(None),
        }
    }

    fn kill(&mut self, child: usize) {
        let place = &mut self.places[child];
        let Some(live) = &mut place.live else { return };
        match live.asked_to_stop {
            Some(_) => {
                live.timed_out = true;
                count::shutdown_timed_out(&self.specs[child].name);
                tracing::warn!(child = %place.path, "did not stop in time and is killed");
            }
            None => live.asked_to_stop = Some(Instant::now()),
        }
        place.node.stopping();
        if let Some(child) = &live.child {
            child.cell.kill();
        }
    }

    fn abandon(&mut self, child: usize) {
        let place = &mut self.places[child];
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
        let cause = Box::new(self.places[child].last_cause.clone());
        let cause = ExitCause::Escalated {
            child: self.specs[child].name.clone(),
            cause,
        };
        tracing::error!(supervisor = %self.path, %cause, "gives up");
        Err(cause.into())
    }

    fn up(&mut self, child: usize, incarnation: u64) -> Result<(), ActorProcessingErr> {
        let place = &self.places[child];
        let is_news = place
            .live
            .as_ref()
            .is_some_and(|live| live.incarnation == incarnation && live.asked_to_stop.is_none());
        if is_news {
            place.node.up();
        }
        self.decide(Event::Up { child, incarnation })
    }

    fn gone(
        &mut self,
        child: usize,
        incarnation: u64,
        mut cause: ExitCause,
    ) -> Result<(), ActorProcessingErr> {
        let (spec, place) = (&self.specs[child], &mut self.places[child]);
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
            log_crash(&place.path, &cause);
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
        for (spec, place) in self.specs.iter().zip(&self.places) {
            let (Some(heartbeat), Some(live)) = (spec.heartbeat, &place.live) else {
                continue;
            };
            let busy = live
                .pulse
                .as_ref()
                .and_then(|pulse| pulse.busy())
                .unwrap_or_default();
            let is_stuck = busy > heartbeat.limit;
            if !place.node.stuck(is_stuck) || !is_stuck {
                continue;
            }
            count::stuck(&spec.name);
            tracing::error!(child = %place.path, ?busy, "does not return from a handler");
            if let (true, Some(child)) = (heartbeat.kill, &live.child) {
                child.cell.kill();
            }
        }
        self.feel_later();
        Ok(())
    }

    fn feel_later(&mut self) {
        let limits = self.specs.iter().filter_map(|spec| spec.heartbeat);
        let after = limits.map(|heartbeat| heartbeat.limit / 2).min();
        let after = after.map(|after| after.max(FEEL_EACH_MIN));
        self.feeling = after.map(|after| alarm(after, &self.myself, SupervisorMsg::Feel));
    }

    fn count_children(&self) {
        let there = self
            .places
            .iter()
            .filter(|place| place.live.is_some())
            .count();
        count::children(&self.path).set(there as f64);
    }
}

struct ChildHost {
    supervisor: ActorRef<SupervisorMsg>,
    child: usize,
    incarnation: u64,
    name: Name,
}

impl Host for ChildHost {
    fn up(&self, _: &ActorCell, took: Duration) {
        count::started(&self.name, took);
        let (child, incarnation) = (self.child, self.incarnation);
        // A supervisor that has ended has killed us already.
        let _ = self
            .supervisor
            .cast(SupervisorMsg::Up { child, incarnation });
    }

    fn gone(self: Box<Self>, cause: ExitCause) {
        let (child, incarnation) = (self.child, self.incarnation);
        let _ = self.supervisor.cast(SupervisorMsg::Gone {
            child,
            incarnation,
            cause,
        });
    }
}

/// However small the limits, the supervisor has other things to do.
const FEEL_EACH_MIN: Duration = Duration::from_millis(10);
