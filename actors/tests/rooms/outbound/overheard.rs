//! A spool that says when the end of an attempt has been recorded.

use std::sync::Arc;

use mail::{Domain, MessageId, Time};
use store::{
    MemoryStore, StoreError,
    port::{
        Accepted, Aside, Body, BodyRef, BodyWriter, DueRow, Fence, NewMail, Pending, Settle, Spool,
        Spooled,
    },
};
use tokio::sync::watch;

/// A spool in memory, and who listens to it.
#[derive(Clone)]
pub(crate) struct Overheard {
    store: MemoryStore,
    settled: Arc<watch::Sender<()>>,
}

impl Overheard {
    pub(crate) fn new(store: MemoryStore) -> Self {
        let settled = Arc::new(watch::Sender::new(()));
        Self { store, settled }
    }

    /// Changes whenever something has been settled.
    pub(crate) fn settled(&self) -> watch::Receiver<()> {
        self.settled.subscribe()
    }
}

impl Spool for Overheard {
    /// In memory it is done when the call returns.
    fn settle(&self, fence: Fence, id: MessageId, what: Vec<(u32, Settle)>) -> Pending<()> {
        let settled = self.store.settle(fence, id, what);
        self.settled.send_replace(());
        settled
    }

    pass! { Spool, store:
        fn draft() -> BodyWriter;
        fn accept(fence: Fence, mail: NewMail) -> Pending<MessageId>;
        fn accept_home(fence: Fence, owners: &[Fence], mail: NewMail) -> Pending<Accepted>;
        fn get(id: MessageId) -> Result<Option<Spooled>, StoreError>;
        fn open(after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError>;
        fn open_local(after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError>;
        fn domains(after: Option<&Domain>, limit: usize) -> Result<Vec<(Domain, u64)>, StoreError>;
        fn due(
            domain: &Domain,
            from: Option<(Time, MessageId, u32)>,
            limit: usize
        ) -> Result<Vec<DueRow>, StoreError>;
        fn failed(after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError>;
        fn set_aside(fence: Fence, id: MessageId, report: String) -> Pending<()>;
        fn release(fence: Fence, id: MessageId) -> Pending<()>;
        fn aside(after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError>;
        fn get_aside(id: MessageId) -> Result<Option<Aside>, StoreError>;
        fn read(body: &BodyRef) -> Result<Body, StoreError>;
    }
}
