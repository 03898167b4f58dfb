//! One place of a running tree, to be looked at and acted upon.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use ractor::{ActorCell, ActorRef};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    cause::ExitCause,
    flight::Recent,
    presence::Presence,
    supervisor::actor::SupervisorMsg,
    told::{Answer, Inquiry, Told},
    tree::{Kind, Node, Status},
    trial::{Blow, Harm},
};

/// A place of the tree: `house/doors` or, in a family, `house/mailboxes[17]`. It outlives the
/// incarnations that stand there.
#[derive(Clone)]
pub struct Place {
    path: String,
    node: Arc<Node>,
    /// Of a member: its key, as it is written.
    key: Option<String>,
}

/// A place as it was when it was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Sight {
    /// Where it is.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// How it is.
    pub status: Status,
    /// Which incarnation stands there; of a member: of how many that its shard has started.
    pub incarnation: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// For how long the present incarnation has been up, in seconds.
    pub alive_seconds: f64,
    /// For how long its handler has been running since it last made progress, in seconds, if it
    /// is.
    pub busy_seconds: Option<f64>,
    /// Whether its handler waits for somebody who may take his time: see [`waits`](crate::waits).
    pub is_waiting: bool,
    /// How many messages wait for it, at least: those it sends to itself are not counted.
    pub inbox_depth: usize,
    /// What the handler has in hand, if it said so.
    pub in_hand: Option<String>,
    /// What it tells of itself.
    pub report: Option<Value>,
    /// The last messages, the newest first.
    pub recent: Vec<Recent>,
    /// Its last ends, the newest first; of a member, its last crash.
    pub causes: Vec<Past>,
}

/// How an incarnation ended.
#[derive(Clone, Debug, Serialize)]
pub struct Past {
    /// How long ago, in seconds, if it was noted.
    pub ago_seconds: Option<f64>,
    /// [`ExitCause::kind`].
    pub kind: &'static str,
    /// In words, with the location of a panic.
    pub cause: String,
    /// The stack at a panic, if it was taken.
    pub backtrace: Option<String>,
}

/// Who stands at a place.
#[derive(Clone)]
pub(crate) struct Occupant {
    pub(crate) cell: ActorCell,
    pub(crate) presence: Weak<Presence>,
    pub(crate) leads: Option<ActorRef<SupervisorMsg>>,
    pub(crate) ask: Ask,
}

/// Asks an actor for its report.
pub(crate) type Ask = fn(&ActorCell) -> Option<Answer>;

/// A family, as the tree sees it.
pub(crate) trait Household: Send + Sync {
    /// How many members are alive.
    fn count(&self) -> usize;
    /// How many messages wait for members.
    fn depth(&self) -> usize;
    /// The keys of all members, as they are written.
    fn keys(&self) -> Vec<String>;
    /// The member with this key.
    fn member(&self, key: &str) -> Option<Standing>;
    /// Who is there of all members, with their keys as they are written.
    fn occupants(&self) -> Vec<(String, Occupant)>;
}

/// What the tree knows of a place.
pub(crate) struct Standing {
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    pub(crate) incarnation: u64,
    pub(crate) restarts: u64,
    pub(crate) alive: Duration,
    pub(crate) inbox_depth: usize,
    pub(crate) causes: Vec<Past>,
    pub(crate) is_permanent: bool,
    pub(crate) occupant: Option<Occupant>,
}

impl Place {
    /// The place at `path` of the tree below `root`.
    pub(crate) fn find(root: &Arc<Node>, path: &str) -> Option<Self> {
        let (family, key) = match path.strip_suffix(']').and_then(|path| path.split_once('[')) {
            Some((family, key)) => (family, Some(key.to_owned())),
            None => (path, None),
        };
        let place = Self {
            path: path.to_owned(),
            // A name may have brackets of its own: `[::1]:25`.
            node: root.find(path).or_else(|| root.find(family))?,
            key: key.filter(|_| root.find(path).is_none()),
        };
        place.standing().map(|_| place)
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Looks at it; waits at most `limit` for its report. None: nobody has this key any more.
    pub async fn look(&self, limit: Duration) -> Option<Sight> {
        let standing = self.standing()?;
        let occupant = standing.occupant;
        let presence = occupant.as_ref().and_then(|there| there.presence.upgrade());
        let last = presence.as_ref().map(|presence| presence.flight().last());
        let busy = presence.as_ref().and_then(|there| there.flight().busy());
        let is_waiting = presence
            .as_ref()
            .is_some_and(|there| there.flight().is_waiting());
        drop(presence); // who keeps it keeps the incarnation
        let last = last.unwrap_or_default();
        let report = match occupant.and_then(|there| (there.ask)(&there.cell)) {
            Some(report) => timeout(limit, report).await.ok().flatten(),
            None => None,
        };
        Some(Sight {
            path: self.path.clone(),
            kind: standing.kind,
            status: standing.status,
            incarnation: standing.incarnation,
            restarts: standing.restarts,
            alive_seconds: standing.alive.as_secs_f64(),
            busy_seconds: busy.map(|busy| busy.as_secs_f64()),
            is_waiting,
            inbox_depth: standing.inbox_depth,
            in_hand: last.in_hand.map(|subject| subject.to_string()),
            report,
            recent: last.recent,
            causes: standing.causes,
        })
    }

    /// Ends the present incarnation, so that its supervisor starts the next one, and returns when
    /// nothing of it is left. What is permanent is asked to stop, and killed if it does not within
    /// five seconds; everything else is killed, because after an orderly end it would not come
    /// back. False: nobody is there.
    pub async fn restart(&self) -> bool {
        let Some(standing) = self.standing() else {
            return false;
        };
        let Some(Occupant {
            cell,
            presence,
            leads,
            ..
        }) = standing.occupant
        else {
            return false;
        };
        match (leads, standing.is_permanent) {
            (Some(supervisor), _) => drop(supervisor.cast(SupervisorMsg::Stop)),
            (None, true) => cell.stop(None),
            (None, false) => cell.kill(),
        }
        let asked = Instant::now();
        let mut is_killed = false;
        while presence.strong_count() > 0 {
            if !is_killed && asked.elapsed() > PATIENCE {
                cell.kill();
                is_killed = true;
            } else if asked.elapsed() > 2 * PATIENCE {
                return false; // it never comes to an await point
            }
            sleep(LOOK).await;
        }
        true
    }

    /// Whether a family stands there; its members have places of their own.
    pub fn is_family(&self) -> bool {
        self.key.is_none() && self.node.household().is_some()
    }

    pub(crate) fn occupant(&self) -> Option<Occupant> {
        self.standing()?.occupant
    }

    /// The members of the family that stands there, with their paths, in the order of these.
    pub(crate) fn members(&self) -> Vec<(String, Occupant)> {
        let family = self.node.household().filter(|_| self.key.is_none());
        let mut members = family.map_or_else(Vec::new, Household::occupants);
        for (key, _) in &mut members {
            *key = format!("{}[{key}]", self.path);
        }
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        members
    }

    fn standing(&self) -> Option<Standing> {
        match &self.key {
            None => Some(self.node.standing()),
            Some(key) => self.node.household()?.member(key),
        }
    }
}

impl Occupant {
    /// Aims a blow; a kill strikes at once. False: it is gone, or a supervisor, which has no
    /// messages to be struck with.
    pub(crate) fn suffers(&self, blow: &Arc<Blow>) -> bool {
        match (blow.harm(), self.presence.upgrade()) {
            (Harm::Kill, _) => {
                self.cell.kill();
                blow.has_struck();
            }
            (_, Some(presence)) if self.leads.is_none() => presence.flight().aim(blow),
            _ => return false,
        }
        true
    }
}

impl Past {
    pub(crate) fn new(cause: &ExitCause, at: Option<Instant>) -> Self {
        let backtrace = cause.panic().and_then(|report| report.backtrace.as_ref());
        Self {
            ago_seconds: at.map(|at| at.elapsed().as_secs_f64()),
            kind: cause.kind(),
            cause: cause.to_string(),
            backtrace: backtrace.map(ToString::to_string),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.path).finish()
    }
}

/// Asks an actor that hears `M` for its report.
pub(crate) fn ask<M: Told>(cell: &ActorCell) -> Option<Answer> {
    let Inquiry { message, report } = M::inspect()?;
    let actor: ActorRef<M> = cell.clone().into();
    actor.send_message(message).ok().map(|()| report)
}

/// A key as it is written in a path: its `Debug` form without quotes and without the names of
/// types, so that `AccountId(17)` is `17`.
pub(crate) fn written(key: &impl fmt::Debug) -> String {
    let (mut text, mut word, mut wrapped) = (String::new(), String::new(), Vec::new());
    for letter in format!("{key:?}").chars() {
        match letter {
            '"' => {}
            '(' => {
                wrapped.push(!word.is_empty());
                if word.is_empty() {
                    text.push('(');
                }
                word.clear();
            }
            ')' => {
                text.push_str(&std::mem::take(&mut word));
                if wrapped.pop() != Some(true) {
                    text.push(')');
                }
            }
            letter if letter.is_alphanumeric() || letter == '_' => word.push(letter),
            letter => {
                text.push_str(&std::mem::take(&mut word));
                text.push(letter);
            }
        }
    }
    text + &word
}

/// How long who is asked to stop has for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether it is gone.
const LOOK: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[allow(dead_code, reason = "it is written by its Debug form")]
    struct Id(u64);

    #[test]
    fn a_key_is_written_without_the_names_of_types() {
        assert_eq!(written(&17), "17");
        assert_eq!(written(&Id(17)), "17");
        assert_eq!(written(&"mx.example.org"), "mx.example.org");
        assert_eq!(written(&(Id(3), "a b", 4)), "(3, a b, 4)");
    }
}
