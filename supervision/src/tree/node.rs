//! One place of the living tree.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use ractor::ActorRef;
use tokio::time::Instant;

use super::{Kind, Status, Tree};
use crate::{
    cause::ExitCause,
    crash::CrashHook,
    metrics as count,
    name::Name,
    place::{Household, Occupant, Past, Standing},
    spec::{ChildSpec, Restart},
    supervisor::actor::SupervisorMsg,
};

/// One place of the living tree; outlives the incarnations that stand there.
pub(crate) struct Node {
    name: Name,
    facts: Mutex<Facts>,
    /// Of a family: knows its members.
    members: OnceLock<Box<dyn Household>>,
    is_permanent: bool,
    hook: Option<CrashHook>,
}

struct Facts {
    kind: Kind,
    status: Status,
    incarnation: u64,
    restarts: u64,
    up_since: Option<Instant>,
    /// The last ends, the newest first.
    causes: VecDeque<(Instant, ExitCause)>,
    children: Vec<Arc<Node>>,
    /// The last incarnation.
    occupant: Option<Occupant>,
}

impl Node {
    /// The root; `hook` is told of crashes below.
    pub(crate) fn new(name: Name, hook: Option<CrashHook>) -> Arc<Self> {
        Self::made(name, hook, true)
    }

    /// A place below this one.
    pub(crate) fn below(&self, spec: &ChildSpec) -> Arc<Self> {
        let is_permanent = spec.restart == Restart::Permanent;
        Self::made(spec.name.clone(), self.hook.clone(), is_permanent)
    }

    fn made(name: Name, hook: Option<CrashHook>, is_permanent: bool) -> Arc<Self> {
        let facts = Facts {
            kind: Kind::Actor,
            status: Status::Down,
            incarnation: 0,
            restarts: 0,
            up_since: None,
            causes: VecDeque::new(),
            children: Vec::new(),
            occupant: None,
        };
        Arc::new(Self {
            name,
            facts: Mutex::new(facts),
            members: OnceLock::new(),
            is_permanent,
            hook,
        })
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// A supervisor stands here, with these places below.
    pub(crate) fn supervises(&self, children: Vec<Arc<Self>>) {
        let mut facts = self.facts();
        facts.kind = Kind::Supervisor;
        facts.children = children;
    }

    /// This incarnation stands here.
    pub(crate) fn seats(&self, occupant: Occupant) {
        self.facts().occupant = Some(occupant);
    }

    /// Who is told of crashes.
    pub(crate) fn hook(&self) -> Option<&CrashHook> {
        self.hook.as_ref()
    }

    /// The family that stands here.
    pub(crate) fn household(&self) -> Option<&dyn Household> {
        self.members.get().map(|members| &**members)
    }

    /// What is known of this place.
    pub(crate) fn standing(&self) -> Standing {
        let inbox_depth = self.inbox_depth();
        let facts = self.facts();
        let causes = facts.causes.iter();
        Standing {
            kind: match self.household() {
                Some(_) => Kind::Family,
                None => facts.kind,
            },
            status: facts.status,
            incarnation: facts.incarnation,
            restarts: facts.restarts,
            alive: facts
                .up_since
                .map_or(Duration::ZERO, |since| since.elapsed()),
            causes: causes
                .map(|(at, cause)| Past::new(cause, Some(*at)))
                .collect(),
            inbox_depth,
            is_permanent: self.is_permanent,
            occupant: facts.occupant.clone(),
        }
    }

    /// How many messages wait for the actor here, or for the members of the family here.
    fn inbox_depth(&self) -> usize {
        if let Some(household) = self.household() {
            return household.depth();
        }
        let presence = self
            .facts()
            .occupant
            .as_ref()
            .map(|there| there.presence.clone());
        let presence = presence.and_then(|presence| presence.upgrade());
        presence.map_or(0, |presence| presence.flight().inbox().depth())
    }

    /// Measures how many messages wait here and below.
    pub(crate) fn measure(&self) {
        let (kind, children) = {
            let facts = self.facts();
            (facts.kind, facts.children.clone())
        };
        if self.household().is_some() || kind == Kind::Actor {
            count::inbox_depth(&self.name).set(self.inbox_depth() as f64);
        } else {
            children.iter().for_each(|child| child.measure());
        }
    }

    /// Adds the paths of all actors below `above`.
    pub(crate) fn paths(&self, above: &str, paths: &mut Vec<String>) {
        let path = match above {
            "" => self.name.to_string(),
            above => format!("{above}/{}", self.name),
        };
        if let Some(household) = self.household() {
            let keys = household.keys().into_iter();
            return paths.extend(keys.map(|key| format!("{path}[{key}]")));
        }
        let (kind, children) = {
            let facts = self.facts();
            (facts.kind, facts.children.clone())
        };
        match kind {
            Kind::Supervisor => children.iter().for_each(|child| child.paths(&path, paths)),
            Kind::Actor | Kind::Family => paths.push(path),
        }
    }

    /// Whom to tell, if a supervisor stands here. A family's supervisors are its own affair.
    pub(crate) fn supervisor(&self) -> Option<ActorRef<SupervisorMsg>> {
        match self.members.get() {
            Some(_) => None,
            None => self.facts().occupant.as_ref()?.leads.clone(),
        }
    }

    /// The place at `path`, which begins with the name of this one.
    pub(crate) fn find(self: &Arc<Self>, path: &str) -> Option<Arc<Self>> {
        let below = path.strip_prefix(&*self.name)?;
        if below.is_empty() {
            return Some(Arc::clone(self));
        }
        let below = below.strip_prefix('/')?;
        let children = self.facts().children.clone();
        children.iter().find_map(|child| child.find(below))
    }

    /// A family stands here.
    pub(crate) fn houses(&self, members: impl Household + 'static) {
        let _ = self.members.set(Box::new(members)); // the same family each time
    }

    pub(crate) fn starting(&self, restart: bool) {
        let mut facts = self.facts();
        facts.status = Status::Starting;
        facts.incarnation += 1;
        facts.restarts += u64::from(restart);
    }

    pub(crate) fn up(&self) {
        let mut facts = self.facts();
        facts.status = Status::Up;
        facts.up_since = Some(Instant::now());
    }

    pub(crate) fn stopping(&self) {
        self.facts().status = Status::Stopping;
    }

    /// Notes whether it is stuck; says whether that is news.
    pub(crate) fn stuck(&self, stuck: bool) -> bool {
        let mut facts = self.facts();
        let (from, to) = match stuck {
            true => (Status::Up, Status::Stuck),
            false => (Status::Stuck, Status::Up),
        };
        let news = facts.status == from;
        if news {
            facts.status = to;
        }
        news
    }

    pub(crate) fn down(&self, cause: &ExitCause) {
        let mut facts = self.facts();
        facts.status = Status::Down;
        facts.up_since = None;
        facts.causes.push_front((Instant::now(), cause.clone()));
        facts.causes.truncate(CAUSES_MAX);
    }

    /// A picture of this place and everything below.
    pub(crate) fn tree(&self) -> Tree {
        // Before the lock: who looks at an incarnation as it ends may be the one who tells of it.
        let inbox_depth = self.inbox_depth();
        let children = self.facts().children.clone();
        let children: Vec<_> = children.iter().map(|child| child.tree()).collect();
        let facts = self.facts();
        let members = self.household().map(Household::count);
        Tree {
            name: self.name.to_string(),
            kind: if members.is_some() {
                Kind::Family
            } else {
                facts.kind
            },
            status: facts.status,
            incarnation: facts.incarnation,
            restarts: facts.restarts,
            alive_seconds: facts
                .up_since
                .map_or(0.0, |since| since.elapsed().as_secs_f64()),
            inbox_depth,
            last_cause: facts.causes.front().map(|(_, cause)| cause.to_string()),
            members,
            // A family's shards are its own affair as long as they are well.
            children: match members {
                Some(_) => children
                    .into_iter()
                    .filter(|shard| shard.restarts > 0)
                    .collect(),
                None => children,
            },
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many ends of a place are remembered.
const CAUSES_MAX: usize = 5;
