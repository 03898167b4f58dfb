//! What keeps the rows and the bodies: memory, or the journal with its directory.

use std::sync::Arc;

use bytes::Bytes;
use mail::Time;

use crate::{
    StoreError,
    batch::Batch,
    keys::Class,
    port::{Body, BodyRef, BodyWriter},
};

/// Tells the time: the house's clock, or a test's.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Is told once whether the batch is durable.
pub(crate) type Ack = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Which state a read sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// What is on stable storage: for readers.
    Durable,
    /// What has been committed, durable or not yet: for whoever decides the next write.
    Newest,
}

/// An ordered map of rows with atomic batches, and bodies. Which rows there are, and what they
/// mean, is the desk's matter.
pub(crate) trait Keeper: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, seen: Seen, class: Class, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Calls `each` for the keys from `from` (inclusive) to `until` (exclusive), ascending, until
    /// it returns `false`. Keys of the class `Mail` that lie in one account come in order; across
    /// accounts they come in any.
    fn scan(
        &self,
        seen: Seen,
        class: Class,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError>;

    /// Changes when committed but not yet durable batches were lost. A batch that was begun
    /// before is refused, because it may rest on what is gone.
    fn generation(&self) -> u64;

    /// Commits a batch; the order of the calls is the order of the batches. An empty one is a
    /// barrier: it is acknowledged when all before it is durable.
    fn commit(&self, batch: Batch, ack: Ack);

    /// Begins a body.
    fn draft(&self) -> BodyWriter;

    /// A body at rest.
    fn read(&self, body: &BodyRef) -> Result<Body, StoreError>;

    /// The digest of a body at rest.
    fn digest(&self, body: &BodyRef) -> Result<[u8; 32], StoreError> {
        self.read(body)?.digest()
    }

    /// Whether nobody works in the background, so that the desk tidies up at once.
    fn is_alone(&self) -> bool {
        false
    }

    /// Whether limited accounts may be listed: an older store would not keep the list.
    fn writes_lists(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// How often the store was opened.
    fn epoch(&self) -> u64;

    /// The time.
    fn now(&self) -> Time;
}
