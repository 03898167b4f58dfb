//! How far a long piece of work has come.

use std::sync::Arc;

/// What is being done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// Bodies are compared with their digests; counted in bodies.
    Bodies,
    /// A checkpoint is put into the directory; counted in octets.
    Checkpoint,
    /// The old directory is compared with the new one; counted in partitions.
    Compare,
    /// The journal is applied to the directory; counted in segments.
    Journal,
    /// The journal's checksums are looked at; counted in segments.
    Segments,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// So much of it is done.
    pub done: u64,
    /// So much of it there is.
    pub total: u64,
}

/// Is told now and then.
pub type Teller = Arc<dyn Fn(Progress) + Send + Sync>;

/// For whoever does not want to know.
pub(super) fn nobody() -> Teller {
    Arc::new(|_| ())
}
