//! A family as data.

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use crate::{
    cause::ExitCause,
    name::Name,
    spec::{Backoff, Heartbeat, Intensity, Restart, Shutdown},
};

/// What can be the key of a family's members.
pub trait Key: Clone + Eq + fmt::Debug + Hash + Send + Sync + 'static {}

impl<K: Clone + Eq + fmt::Debug + Hash + Send + Sync + 'static> Key for K {}

/// What all members of a family have in common.
#[derive(Clone)]
pub struct FamilySpec<K, M> {
    /// Unique among its siblings; also the label `kind` in metrics and logs.
    pub name: Name,
    /// When a member that has ended is started again.
    pub restart: Restart,
    /// How a member is stopped. A passivated member is always drained, within the same time.
    pub shutdown: Shutdown,
    /// How many restarts of one member are borne before it is given up.
    pub intensity: Intensity,
    /// How long to wait before a restart; none: at once.
    pub backoff: Option<Backoff>,
    /// When a member whose handler does not return is reported; none: never.
    pub heartbeat: Option<Heartbeat>,
    /// What brings a member to life.
    pub birth: Birth,
    /// Whether a crashed member is started again at once.
    pub revive: Revive,
    /// What happens to a member that nobody has sent anything to for a while.
    pub idle: Idle<K, M>,
    /// How many messages may wait for a member that is not up.
    pub buffer_max: usize,
    /// How many members may be there at a time.
    pub members_max: usize,
    /// Whether a member that was passivated stays in the books, asleep.
    pub sleeps: bool,
    /// Over how many supervisors the members are spread.
    pub shards: usize,
    /// For how long a member that was given up is refused; zero: it may come back at once.
    pub quarantine: Duration,
    pub(super) on_give_up: Option<GiveUp<K>>,
}

/// Told of a member that crashed and is not started again.
pub(super) type GiveUp<K> = Arc<dyn Fn(&K, &ExitCause) + Send + Sync>;

/// What brings a member to life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Birth {
    /// Only [`Family::start`](super::Family::start): connections.
    Explicit,
    /// The first message: mailboxes, queues, attempts.
    OnMessage,
}

/// When a crashed member is started again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revive {
    /// Within microseconds, or after the pause that its [`Backoff`] says.
    AtOnce,
    /// With the next message.
    OnMessage,
}

/// What happens to a member that nobody has sent anything to for a while.
///
/// The time is kept in eighths: it may take an eighth longer.
pub enum Idle<K, M> {
    /// It is told so by this message, again and again, and may passivate itself.
    Ask(Duration, fn(&K) -> M),
    /// Nothing.
    Never,
    /// It is passivated.
    Passivate(Duration),
}

impl<K, M> FamilySpec<K, M> {
    /// Members that are always started again.
    pub fn permanent(name: impl Into<Name>) -> Self {
        Self::new(name, Restart::Permanent)
    }

    /// Members that are never started again.
    pub fn temporary(name: impl Into<Name>) -> Self {
        Self::new(name, Restart::Temporary)
    }

    /// Members that are started again after a crash.
    pub fn transient(name: impl Into<Name>) -> Self {
        Self::new(name, Restart::Transient)
    }

    /// The same, but members are started by [`Family::start`](super::Family::start) only.
    #[must_use]
    pub fn explicit(mut self) -> Self {
        self.birth = Birth::Explicit;
        self
    }

    /// The same, passivating members that have been idle for this long.
    #[must_use]
    pub fn passivate_after(mut self, idle: Duration) -> Self {
        self.idle = Idle::Passivate(idle);
        self
    }

    /// The same, telling members that have been idle for this long with the message made by `ask`.
    #[must_use]
    pub fn ask_after(mut self, idle: Duration, ask: fn(&K) -> M) -> Self {
        self.idle = Idle::Ask(idle, ask);
        self
    }

    /// The same, keeping members in the books that were passivated: they are asleep, until a
    /// message wakes them.
    #[must_use]
    pub fn sleeping(mut self) -> Self {
        self.sleeps = true;
        self
    }

    /// The same, stopping members in another way.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// The same, bearing another number of restarts of one member.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// The same, restarting a member after a pause.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// The same, watching for members whose handlers do not return.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// The same, with at most this many members at a time.
    #[must_use]
    pub fn with_members_max(mut self, members_max: usize) -> Self {
        self.members_max = members_max;
        self
    }

    /// The same, refusing a member that was given up for this long.
    #[must_use]
    pub fn with_quarantine(mut self, quarantine: Duration) -> Self {
        self.quarantine = quarantine;
        self
    }

    /// The same, telling `hook` of each member that crashed and is not started again: it failed
    /// too often, or is temporary. Messages that waited for it are dropped after the hook
    /// returns. The hook must not wait.
    #[must_use]
    pub fn on_give_up(mut self, hook: impl Fn(&K, &ExitCause) + Send + Sync + 'static) -> Self {
        self.on_give_up = Some(Arc::new(hook));
        self
    }

    fn new(name: impl Into<Name>, restart: Restart) -> Self {
        Self {
            name: name.into(),
            restart,
            shutdown: Shutdown::Stop(Duration::from_secs(5)),
            intensity: Intensity::default(),
            backoff: None,
            heartbeat: None,
            birth: Birth::OnMessage,
            revive: Revive::AtOnce,
            idle: Idle::Never,
            buffer_max: BUFFER_MAX,
            members_max: usize::MAX,
            sleeps: false,
            shards: SHARDS,
            quarantine: Duration::ZERO,
            on_give_up: None,
        }
    }

    /// Whether messages for a member that is leaving wait for its next incarnation.
    pub(super) fn has_next(&self) -> bool {
        self.birth == Birth::OnMessage && self.restart != Restart::Temporary
    }
}

impl<K, M> Clone for Idle<K, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, M> Copy for Idle<K, M> {}

impl<K, M> fmt::Debug for Idle<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(after, _) => f.debug_tuple("Ask").field(after).finish(),
            Self::Never => f.write_str("Never"),
            Self::Passivate(after) => f.debug_tuple("Passivate").field(after).finish(),
        }
    }
}

impl<K, M> fmt::Debug for FamilySpec<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FamilySpec")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

/// A member starts within microseconds: more than this has gone wrong.
const BUFFER_MAX: usize = 1_024;

/// One supervisor restarts some 20,000 children a second; a storm in one must not stall the rest.
const SHARDS: usize = 16;
