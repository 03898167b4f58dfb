//! Who is alive: the supervision tree as data, as text, as JSON and as Graphviz.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use ractor::ActorRef;
use serde::Serialize;
use tokio::time::Instant;

use crate::{cause::ExitCause, name::Name, supervisor::actor::SupervisorMsg};

/// One place of the supervision tree and everything below it, as it was when it was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Tree {
    /// What it is called among its siblings.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How it is.
    pub status: Status,
    /// Which incarnation this is; 1 is the first, 0 means that there has been none.
    pub incarnation: u64,
    /// How often it was started again since its supervisor started.
    pub restarts: u64,
    /// For how long the present incarnation has been up, in seconds.
    pub alive_seconds: f64,
    /// How the last incarnation ended, if there was one.
    pub last_cause: Option<String>,
    /// Of a family: how many members are alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<usize>,
    /// Of a supervisor: its children, in the order in which they start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
}

/// What stands at a place of the tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An actor.
    Actor,
    /// Many actors by key.
    Family,
    /// A supervisor.
    Supervisor,
}

/// How it is with whoever stands there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has ended, and is not started again for the time being.
    Down,
    /// It is being started.
    Starting,
    /// It has not returned from a handler for longer than its spec allows.
    Stuck,
    /// It was asked to stop and is still there.
    Stopping,
    /// It is well.
    Up,
}

impl Tree {
    /// The tree as Graphviz text.
    pub fn to_dot(&self) -> String {
        let mut dot = "digraph supervision {\n  rankdir=LR; node [shape=box];\n".to_owned();
        self.dot(&mut dot, &mut 0);
        dot.push_str("}\n");
        dot
    }

    /// The tree as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a tree is made of strings, numbers and lists")
    }

    /// The place at `path`, child by child below this one.
    pub fn find(&self, path: &[&str]) -> Option<&Self> {
        match path {
            [] => Some(self),
            [first, rest @ ..] => self
                .children
                .iter()
                .find(|child| child.name == *first)?
                .find(rest),
        }
    }

    /// Writes this place and all below; returns its number.
    fn dot(&self, dot: &mut String, last: &mut usize) -> usize {
        let number = *last;
        let (shape, colour) = (self.kind.shape(), self.status.colour());
        let label = format!("{:?}", self.to_string());
        dot.push_str(&format!(
            "  n{number} [label={label}, shape={shape}, color={colour}];\n"
        ));
        for child in &self.children {
            *last += 1;
            let below = child.dot(dot, last);
            dot.push_str(&format!("  n{number} -> n{below};\n"));
        }
        number
    }

    fn draw(&self, text: &mut String, indent: &str) {
        text.push_str(&self.to_string());
        text.push('\n');
        let count = self.children.len();
        for (place, child) in (1..).zip(&self.children) {
            let (branch, below) = if place == count {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            text.push_str(indent);
            text.push_str(branch);
            child.draw(text, &format!("{indent}{below}"));
        }
    }

    /// The tree as text, one line a place.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.draw(&mut text, "");
        text
    }
}

/// One line: the place without what is below it.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {:.1} s",
            self.name, self.status, self.alive_seconds
        )?;
        if let Some(members) = self.members {
            write!(f, ", {members} members")?;
        }
        if self.restarts > 0 {
            write!(f, ", {} restarts", self.restarts)?;
        }
        match &self.last_cause {
            Some(cause) => write!(f, ", last: {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Starting => "starting",
            Self::Stuck => "stuck",
            Self::Stopping => "stopping",
            Self::Up => "up",
        })
    }
}

impl Kind {
    fn shape(self) -> &'static str {
        match self {
            Self::Actor => "box",
            Self::Family => "folder",
            Self::Supervisor => "ellipse",
        }
    }
}

impl Status {
    fn colour(self) -> &'static str {
        match self {
            Self::Down => "grey",
            Self::Starting | Self::Stopping => "orange",
            Self::Stuck => "red",
            Self::Up => "green",
        }
    }
}

/// One place of the living tree; outlives the incarnations that stand there.
pub(crate) struct Node {
    name: Name,
    facts: Mutex<Facts>,
    /// Of a family: counts its members.
    members: OnceLock<Box<dyn Fn() -> usize + Send + Sync>>,
}

struct Facts {
    kind: Kind,
    status: Status,
    incarnation: u64,
    restarts: u64,
    up_since: Option<Instant>,
    last_cause: Option<String>,
    children: Vec<Arc<Node>>,
    /// Of a supervisor: its last incarnation.
    supervisor: Option<ActorRef<SupervisorMsg>>,
}

impl Node {
    pub(crate) fn new(name: Name) -> Arc<Self> {
        let facts = Facts {
            kind: Kind::Actor,
            status: Status::Down,
            incarnation: 0,
            restarts: 0,
            up_since: None,
            last_cause: None,
            children: Vec::new(),
            supervisor: None,
        };
        Arc::new(Self {
            name,
            facts: Mutex::new(facts),
            members: OnceLock::new(),
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

    /// This is the incarnation of the supervisor that stands here.
    pub(crate) fn led_by(&self, supervisor: &ActorRef<SupervisorMsg>) {
        self.facts().supervisor = Some(supervisor.clone());
    }

    /// Whom to tell, if a supervisor stands here. A family's supervisors are its own affair.
    pub(crate) fn supervisor(&self) -> Option<ActorRef<SupervisorMsg>> {
        match self.members.get() {
            Some(_) => None,
            None => self.facts().supervisor.clone(),
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

    /// A family stands here; `members` counts who is alive.
    pub(crate) fn houses(&self, members: impl Fn() -> usize + Send + Sync + 'static) {
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
        facts.last_cause = Some(cause.to_string());
    }

    /// A picture of this place and everything below.
    pub(crate) fn tree(&self) -> Tree {
        let facts = self.facts();
        let members = self.members.get().map(|members| members());
        let children: Vec<_> = facts.children.iter().map(|child| child.tree()).collect();
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
            last_cause: facts.last_cause.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_drawn_as_text_as_json_and_as_graphviz() {
        let (root, left, right) = (
            Node::new("house".into()),
            Node::new("store".into()),
            Node::new("doors".into()),
        );
        root.supervises(vec![left, Arc::clone(&right)]);
        right.supervises(vec![Node::new("smtp".into())]);
        right.starting(true);
        right.down(&ExitCause::Killed);
        let tree = root.tree();
        assert_eq!(
            tree.to_text(),
            "house down 0.0 s\n\
             ├─ store down 0.0 s\n\
             └─ doors down 0.0 s, 1 restarts, last: killed\n   \
                └─ smtp down 0.0 s\n"
        );
        assert!(
            tree.to_json()
                .contains(r#""name":"smtp","kind":"actor","status":"down""#)
        );
        assert!(tree.to_dot().contains("n2 -> n3;"));
        assert_eq!(tree.find(&["doors", "smtp"]).unwrap().name, "smtp");
    }
}
