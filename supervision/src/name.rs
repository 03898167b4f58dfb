//! The name of a child, cheap to clone and to use as a label.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

/// What a child, a seat or a family is called; also its label in metrics and logs.
///
/// Names come from the program and its configuration, never from a peer: they form a closed set.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(Arc<str>);

impl Name {
    /// The name as a metric's label value; shares the text, copies nothing.
    pub(crate) fn label(&self) -> metrics::SharedString {
        metrics::SharedString::from(Arc::clone(&self.0))
    }

    /// `self/child`, the place of a child in the tree.
    pub(crate) fn join(&self, child: &Self) -> Self {
        Self(format!("{}/{}", self.0, child.0).into())
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
