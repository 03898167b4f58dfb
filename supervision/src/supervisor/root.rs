//! The handle of a running tree.

use std::{sync::Arc, time::Duration};

use ractor::{ActorCell, ActorRef};
use tokio::sync::{oneshot, watch};

use crate::{
    cause::ExitCause,
    flight::Last,
    name::Name,
    panic_hook::install_panic_hook,
    place::{Occupant, Place, ask},
    presence::{Host, Presence},
    spec::{ChildSpec, Restart},
    start::launch,
    supervisor::{NotStarted, Supervisor, actor::SupervisorMsg},
    tree::{Node, Tree},
};

/// A running tree. Dropping the handle does not end the tree; [`Root::stop`] does.
#[derive(Clone)]
pub struct Root {
    actor: ActorRef<SupervisorMsg>,
    node: Arc<Node>,
    stage: watch::Receiver<Stage>,
}

impl Root {
    pub(super) async fn start(supervisor: Supervisor) -> Result<Self, ExitCause> {
        install_panic_hook();
        let (name, hook) = (supervisor.name().clone(), supervisor.hook());
        let node = Node::new(name.clone(), hook);
        node.starting(false);
        let (tell, mut stage) = watch::channel(Stage::Starting);
        let host = RootHost {
            tell,
            node: Arc::clone(&node),
        };
        let presence = Arc::new(Presence::new(Box::new(host), None));
        let (actor, args) =
            supervisor.incarnate(&supervisor.roster(), name, Arc::clone(&node), &presence);
        let here = Arc::downgrade(&presence);
        let actor = launch(None, presence, actor, args, None, false)?;
        node.seats(Occupant {
            cell: actor.get_cell(),
            presence: here,
            leads: Some(actor.clone()),
            ask: ask::<SupervisorMsg>,
        });
        let settled = stage
            .wait_for(|stage| !matches!(stage, Stage::Starting))
            .await;
        let ended = match settled.as_deref() {
            Ok(Stage::Gone(cause)) => Some(cause.clone()),
            Ok(_) => None,
            Err(_) => Some(ExitCause::Killed), // the host is never dropped without a last word
        };
        drop(settled);
        match ended {
            Some(cause) => Err(cause),
            None => Ok(Self { actor, node, stage }),
        }
    }

    /// Waits until the tree has ended, by [`Root::stop`] or because the root gave up
    /// ([`ExitCause::Escalated`]).
    pub async fn ended(&self) -> ExitCause {
        let mut stage = self.stage.clone();
        let ended = stage
            .wait_for(|stage| matches!(stage, Stage::Gone(_)))
            .await;
        match ended.as_deref() {
            Ok(Stage::Gone(cause)) => cause.clone(),
            _ => ExitCause::Killed, // its runtime went away
        }
    }

    /// Stops the tree, last child first, each as its spec says, and returns when nothing of it is
    /// left: no descendant is alive, and no state of one.
    ///
    /// The exception is a handler that never comes to an await point: nothing can end it. It is
    /// counted out some seconds after it was killed, and logged as an error.
    pub async fn stop(&self) -> ExitCause {
        let _ = self.actor.cast(SupervisorMsg::Stop); // who has ended needs no telling
        self.ended().await
    }

    /// Starts a child of the supervisor at `path` (as `house/doors`), behind the children that are
    /// there, and returns when it is up. It stays a child until [`Root::stop_child`], also when
    /// the supervisor itself is started again.
    ///
    /// # Errors
    ///
    /// [`NotStarted`] says why; nothing of the child is left then.
    pub async fn start_child(&self, path: &str, spec: ChildSpec) -> Result<(), NotStarted> {
        if spec.significant && spec.restart == Restart::Permanent {
            return Err(NotStarted::Significant(spec.name));
        }
        let missing = || NotStarted::Missing(path.to_owned());
        let node = self.node.find(path).ok_or_else(missing)?;
        let supervisor = node.supervisor().ok_or_else(missing)?;
        let (told, outcome) = oneshot::channel();
        let added = supervisor.cast(SupervisorMsg::Add(Box::new(spec), told));
        added.map_err(|_| NotStarted::Ending)?;
        outcome.await.unwrap_or(Err(NotStarted::Ending))
    }

    /// Stops the child at `path` (as `house/doors/smtp`) as its spec says, and forgets it; returns
    /// when nothing of it is left. False: there is no such child.
    pub async fn stop_child(&self, path: &str) -> bool {
        let Some((above, name)) = path.rsplit_once('/') else {
            return false; // the root is nobody's child
        };
        let above = self.node.find(above).and_then(|node| node.supervisor());
        let Some(supervisor) = above else {
            return false;
        };
        let (told, outcome) = oneshot::channel();
        let asked = supervisor.cast(SupervisorMsg::Remove(name.into(), told));
        // A supervisor that ends takes the child with it.
        asked.is_ok() && outcome.await.unwrap_or(true)
    }

    /// The place at `path`: `house/doors/smtp`, or `house/mailboxes[17]` for the member of a family.
    pub fn place(&self, path: &str) -> Option<Place> {
        Place::find(&self.node, path)
    }

    /// The paths of all actors that are neither supervisors nor families, members included.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.node.paths("", &mut paths);
        paths
    }

    /// Measures how many messages wait for whom, for `heronry_supervision_inbox_depth`. It looks at
    /// every member of every family, so a clock calls it, and not often.
    pub fn measure(&self) {
        self.node.measure();
    }

    /// A picture of the tree: who is alive, since when, how often restarted, why.
    pub fn tree(&self) -> Tree {
        self.node.tree()
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Root").field(self.node.name()).finish()
    }
}

#[derive(Debug)]
enum Stage {
    Gone(ExitCause),
    Starting,
    Up,
}

struct RootHost {
    tell: watch::Sender<Stage>,
    node: Arc<Node>,
}

impl Host for RootHost {
    fn up(&self, _: &ActorCell, _: Duration) {
        self.node.up();
        self.tell.send_replace(Stage::Up);
    }

    fn kind(&self) -> &Name {
        self.node.name()
    }

    fn gone(self: Box<Self>, cause: ExitCause, _: Option<Box<Last>>) {
        self.node.down(&cause);
        self.tell.send_replace(Stage::Gone(cause));
    }
}
