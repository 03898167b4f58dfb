//! The supervision tree as the doors of this room see it, before and after it is whole.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use supervision::{Root, Status, Tree};

/// A look at the tree. It is made before the tree, because what looks is part of it.
#[derive(Clone, Debug, Default)]
pub struct TreeView(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    is_closing: AtomicBool,
    root: OnceLock<Root>,
}

impl TreeView {
    /// The tree is whole: this is its root. Said once.
    pub fn show(&self, root: Root) {
        // A second root would be the same one: a process has one tree.
        let _ = self.0.root.set(root);
    }

    /// The house is closing: from now on it is not ready.
    pub fn close(&self) {
        self.0.is_closing.store(true, Ordering::Release);
    }

    /// The tree; none before it is whole.
    #[must_use]
    pub fn tree(&self) -> Option<Tree> {
        self.0.root.get().map(Root::tree)
    }

    /// The root of the tree; none before it is whole.
    #[must_use]
    pub fn root(&self) -> Option<&Root> {
        self.0.root.get()
    }

    /// Whether mail can be taken and served: everything has started and nothing of it is down.
    ///
    /// # Errors
    /// What is not up, for whoever asks.
    pub fn ready(&self) -> Result<(), String> {
        if self.0.is_closing.load(Ordering::Acquire) {
            return Err("closing".to_owned());
        }
        let tree = self.tree().ok_or_else(|| "starting".to_owned())?;
        match first_not_up(&tree) {
            None => Ok(()),
            Some(place) => Err(match &place.last_cause {
                Some(cause) => format!("{} is {}, last: {cause}", place.name, place.status),
                None => format!("{} is {}", place.name, place.status),
            }),
        }
    }
}

/// The first place that is not up. Members of families come and go, and are not looked at.
fn first_not_up(tree: &Tree) -> Option<&Tree> {
    if tree.status != Status::Up {
        return Some(tree);
    }
    tree.children.iter().find_map(first_not_up)
}
