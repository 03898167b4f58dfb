//! How a child is started: the frame's side of it and the actor's.

use std::{fmt, sync::Arc};

use ractor::{Actor, ActorCell, ActorRef, ActorRuntime};

use crate::{
    cause::ExitCause,
    name::Name,
    nest::Nest,
    panic_hook::caught_now,
    place::{Ask, Occupant, ask},
    presence::{Host, Presence},
    seat::Seat,
    supervisor::{Supervisor, actor::SupervisorMsg},
    told::Told,
    tree::Node,
};

/// How a child is started, again and again.
#[derive(Clone)]
pub struct Start(Arc<dyn Fn(Berth) -> Result<Child, ExitCause> + Send + Sync>);

/// Starts an actor made by `make` with arguments made by `args`, and sits it down.
///
/// Both closures run for each incarnation, in the supervisor: they build values and wait for
/// nothing. What takes time belongs into the actor's `pre_start`, which holds nobody up but the
/// siblings listed after it.
pub fn actor<A: Actor<Msg: Told>>(
    make: impl Fn() -> A + Send + Sync + 'static,
    args: impl Fn() -> A::Arguments + Send + Sync + 'static,
    seat: &Seat<A::Msg>,
) -> Start {
    Start::actor(make, args, seat)
}

impl Start {
    /// See [`actor`].
    pub fn actor<A: Actor<Msg: Told>>(
        make: impl Fn() -> A + Send + Sync + 'static,
        args: impl Fn() -> A::Arguments + Send + Sync + 'static,
        seat: &Seat<A::Msg>,
    ) -> Self {
        let seat = seat.clone();
        Self::new(move |berth| {
            let made = caught_now(|| (make(), args()));
            let (actor, args) = made.map_err(ExitCause::Panic)?;
            let actor = berth.launch(actor, args, Some(seat.clone()), true)?;
            Ok(Child {
                cell: actor.get_cell(),
                frame: None,
                ask: ask::<A::Msg>,
            })
        })
    }

    /// A supervisor as a child.
    pub(crate) fn supervisor(supervisor: Supervisor) -> Self {
        let (supervisor, roster) = (Arc::new(supervisor.clone()), supervisor.roster());
        Self::new(move |berth| {
            let (path, node) = (berth.path.clone(), Arc::clone(&berth.node));
            let presence = Arc::clone(&berth.presence);
            let (actor, args) = supervisor.incarnate(&roster, path, node, &presence);
            let actor = berth.launch(actor, args, None, false)?;
            Ok(Child {
                cell: actor.get_cell(),
                frame: Some(Box::new(actor)),
                ask: ask::<SupervisorMsg>,
            })
        })
    }

    pub(crate) fn new(
        start: impl Fn(Berth) -> Result<Child, ExitCause> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(start))
    }

    pub(crate) fn start(&self, berth: Berth) -> Result<Child, ExitCause> {
        (self.0)(berth)
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Start(..)")
    }
}

/// The place that a supervisor has prepared for an incarnation.
pub(crate) struct Berth {
    /// None for the root.
    pub(crate) supervisor: Option<ActorCell>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) path: Name,
    pub(crate) node: Arc<Node>,
}

/// An incarnation that has been started, as its supervisor holds it.
pub(crate) struct Child {
    pub(crate) cell: ActorCell,
    /// A part of the frame is asked to stop by a message, so that it can do so in order.
    pub(crate) frame: Option<Box<dyn FrameActor>>,
    pub(crate) ask: Ask,
}

impl Child {
    /// The incarnation as the tree knows it.
    pub(crate) fn occupant(&self, presence: &Arc<Presence>) -> Occupant {
        Occupant {
            cell: self.cell.clone(),
            presence: Arc::downgrade(presence),
            leads: self.frame.as_ref().and_then(|frame| frame.supervisor()),
            ask: self.ask,
        }
    }
}

/// A supervisor, or something else of the frame that stops in order.
pub(crate) trait FrameActor: Send {
    fn shut_down(&self);

    /// Itself, if it is a supervisor.
    fn supervisor(&self) -> Option<ActorRef<SupervisorMsg>> {
        None
    }
}

impl FrameActor for ActorRef<SupervisorMsg> {
    fn shut_down(&self) {
        let _ = self.cast(SupervisorMsg::Stop); // who has ended needs no telling
    }

    fn supervisor(&self) -> Option<ActorRef<SupervisorMsg>> {
        Some(self.clone())
    }
}

impl Berth {
    pub(crate) fn new(
        supervisor: Option<ActorCell>,
        host: Box<dyn Host>,
        parent: Option<Arc<Presence>>,
        path: Name,
        node: Arc<Node>,
    ) -> Self {
        let presence = Arc::new(Presence::new(host, parent));
        Self {
            supervisor,
            presence,
            path,
            node,
        }
    }

    /// Starts an actor here without waiting for it.
    pub(crate) fn launch<A: Actor<Msg: Told>>(
        self,
        actor: A,
        args: A::Arguments,
        seat: Option<Seat<A::Msg>>,
        up_at_start: bool,
    ) -> Result<ActorRef<A::Msg>, ExitCause> {
        launch(
            self.supervisor,
            self.presence,
            actor,
            args,
            seat,
            up_at_start,
        )
    }
}

/// Starts an actor in its nest, below `supervisor`, without waiting for it.
pub(crate) fn launch<A: Actor<Msg: Told>>(
    supervisor: Option<ActorCell>,
    presence: Arc<Presence>,
    actor: A,
    args: A::Arguments,
    seat: Option<Seat<A::Msg>>,
    up_at_start: bool,
) -> Result<ActorRef<A::Msg>, ExitCause> {
    let nest = Nest::new(actor, seat, presence, up_at_start);
    let launched = match supervisor {
        Some(cell) => ActorRuntime::spawn_linked_instant(None, nest, args, cell),
        None => ActorRuntime::spawn_instant(None, nest, args),
    };
    // The join handle says nothing that the presence does not say, and in better order.
    let (actor, _) = launched.map_err(|error| ExitCause::from_error(error.into()))?;
    Ok(actor)
}
