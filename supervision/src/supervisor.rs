//! A supervisor as data, and how a whole tree is started.

pub(crate) mod actor;
mod place;
mod root;
mod roster;

use std::{fmt, sync::Arc};

pub(crate) use roster::Roster;
pub use {root::Root, roster::NotStarted};

use crate::{
    cause::ExitCause,
    crash::{Crash, CrashHook},
    name::Name,
    presence::Presence,
    spec::{AutoShutdown, ChildSpec, Intensity, Strategy},
    tree::Node,
};

/// Children in order, who is restarted with whom, and how often.
///
/// The order of children is the order of their start; they stop in the reverse order. A
/// supervisor may be a child of another: [`ChildSpec::supervisor`].
#[derive(Clone)]
pub struct Supervisor {
    name: Name,
    strategy: Strategy,
    intensity: Intensity,
    auto_shutdown: AutoShutdown,
    children: Arc<Vec<ChildSpec>>,
    hook: Option<CrashHook>,
}

impl Supervisor {
    /// A supervisor without children.
    pub fn new(name: impl Into<Name>, strategy: Strategy) -> Self {
        Self {
            name: name.into(),
            strategy,
            intensity: Intensity::default(),
            auto_shutdown: AutoShutdown::default(),
            children: Arc::default(),
            hook: None,
        }
    }

    /// Adds a child after those that are there.
    ///
    /// # Panics
    ///
    /// If a child has this name already, or is permanent and significant at once (it never ends
    /// by itself): faults of the program, found when the tree is put together.
    #[must_use]
    pub fn child(mut self, spec: ChildSpec) -> Self {
        let is_new = self.children.iter().all(|child| child.name != spec.name);
        assert!(is_new, "{} has two children named {}", self.name, spec.name);
        let can_end = !spec.significant || spec.restart != crate::spec::Restart::Permanent;
        assert!(
            can_end,
            "{} is permanent: it cannot be significant",
            spec.name
        );
        Arc::make_mut(&mut self.children).push(spec);
        self
    }

    /// Sets how many restarts are borne before it gives up.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Sets when it ends because its significant children have.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// Tells `hook` of every crash in the tree of which this is the root; a nested supervisor tells
    /// the root's. The hook must not wait.
    #[must_use]
    pub fn on_crash(mut self, hook: impl Fn(&Crash) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Starts it as the root of a tree, and returns when all children are up.
    ///
    /// # Errors
    ///
    /// [`ExitCause::StartFailed`] if a child's first start failed; those that had started are
    /// stopped by then.
    pub async fn start(self) -> Result<Root, ExitCause> {
        Root::start(self).await
    }

    pub(crate) fn hook(&self) -> Option<CrashHook> {
        self.hook.clone()
    }

    /// Its children as they are listed.
    pub(crate) fn roster(&self) -> Roster {
        Roster::new(&self.children)
    }

    /// What a new incarnation of it is made of.
    pub(crate) fn incarnate(
        &self,
        roster: &Roster,
        path: Name,
        node: Arc<Node>,
        presence: &Arc<Presence>,
    ) -> (actor::SupervisorActor, actor::SupervisorArgs) {
        let args = actor::SupervisorArgs {
            strategy: self.strategy,
            intensity: self.intensity,
            auto_shutdown: self.auto_shutdown,
            roster: roster.clone(),
            path,
            node,
            presence: Arc::clone(presence),
        };
        (actor::SupervisorActor, args)
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("name", &self.name)
            .field("strategy", &self.strategy)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}
