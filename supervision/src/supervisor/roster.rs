//! Who a supervisor's children are: as listed, with those that were added and taken away since.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{cause::ExitCause, name::Name, spec::ChildSpec};

/// The specs of a running supervisor's children; outlives its incarnations, so that a supervisor
/// that falls comes back with the children that it had.
#[derive(Clone)]
pub(crate) struct Roster(Arc<Mutex<Vec<ChildSpec>>>);

/// Why a child was not added.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotStarted {
    /// The supervisor is ending, or ended before the child was up.
    #[error("the supervisor is ending")]
    Ending,
    /// A child has this name already.
    #[error("there is a child named {0} already")]
    Exists(Name),
    /// Its start failed; its spec is gone again.
    #[error("{0}")]
    Failed(ExitCause),
    /// No supervisor stands at this path.
    #[error("there is no supervisor at {0}")]
    Missing(String),
    /// A permanent child never ends by itself, so it cannot be significant.
    #[error("{0} is permanent: it cannot be significant")]
    Significant(Name),
}

impl Roster {
    pub(crate) fn new(specs: &[ChildSpec]) -> Self {
        Self(Arc::new(Mutex::new(specs.to_vec())))
    }

    pub(super) fn get(&self) -> Vec<ChildSpec> {
        self.lock().clone()
    }

    pub(super) fn add(&self, spec: &ChildSpec) {
        self.lock().push(spec.clone());
    }

    pub(super) fn remove(&self, name: &Name) {
        self.lock().retain(|spec| spec.name != *name);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ChildSpec>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
