//! Who is alive: the supervision tree as data, as text, as JSON and as Graphviz.

mod node;

use std::fmt;

use serde::Serialize;

pub(crate) use self::node::Node;

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
    /// How many messages wait for it, at least: those an actor sends to itself are not counted. Of
    /// a family: for all members.
    pub inbox_depth: usize,
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
    /// It was passivated, and wakes with the next message.
    Asleep,
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
        if self.inbox_depth > 0 {
            write!(f, ", inbox depth {}", self.inbox_depth)?;
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
            Self::Asleep => "asleep",
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
            Self::Asleep | Self::Down => "grey",
            Self::Starting | Self::Stopping => "orange",
            Self::Stuck => "red",
            Self::Up => "green",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cause::ExitCause;

    #[test]
    fn a_tree_is_drawn_as_text_as_json_and_as_graphviz() {
        let (root, left, right) = (
            Node::new("house".into(), None),
            Node::new("store".into(), None),
            Node::new("doors".into(), None),
        );
        root.supervises(vec![left, Arc::clone(&right)]);
        right.supervises(vec![Node::new("smtp".into(), None)]);
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
