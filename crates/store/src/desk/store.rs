//! The store as the ports see it, over whatever keeps its rows.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use mail::{MessageId, Time};

use super::{
    domains::Domains,
    heads::Heads,
    limits::{HouseLimits, Unlimited},
    locks::Locks,
    stamps::Stamps,
};
use crate::{
    StoreError,
    batch::Batch,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Fence, Leases, Pending, Shard},
};

/// A store that implements all four ports. Use it as [`MemoryStore`](crate::MemoryStore) or
/// [`DiskStore`](crate::DiskStore). Cheap to clone: clones are the same store.
#[derive(Debug)]
pub struct Store<K> {
    pub(crate) keeper: Arc<K>,
    pub(super) desk: Arc<Desk>,
}

/// What the desk itself remembers: nothing that is not also in the rows.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) locks: Locks,
    pub(super) heads: Heads,
    pub(super) stamps: Stamps,
    pub(super) domains: Domains,
    pub(super) limits: HouseLimits,
    pub(super) unlimited: Unlimited,
    ids: Ids,
}

#[derive(Debug)]
struct Ids {
    latest: AtomicU64,
    sequence: AtomicU64,
    chance: RandomState,
}

/// A store that does not keep what it stands on.
pub(crate) struct WeakStore<K> {
    keeper: Weak<K>,
    desk: Arc<Desk>,
}

impl<K> WeakStore<K> {
    /// The store, if anybody still has it.
    pub(crate) fn upgrade(&self) -> Option<Store<K>> {
        Some(Store {
            keeper: self.keeper.upgrade()?,
            desk: self.desk.clone(),
        })
    }
}

impl<K> Store<K> {
    pub(crate) fn downgrade(&self) -> WeakStore<K> {
        WeakStore {
            keeper: Arc::downgrade(&self.keeper),
            desk: self.desk.clone(),
        }
    }
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self {
            keeper: self.keeper.clone(),
            desk: self.desk.clone(),
        }
    }
}

impl<K: Keeper> Store<K> {
    /// A store over that keeper; beginnings of bodies may take so many octets of memory.
    pub(crate) fn over(keeper: Arc<K>, heads_octets: usize) -> Self {
        Self {
            keeper,
            desk: Arc::new(Desk {
                locks: Locks::new(),
                heads: Heads::new(heads_octets),
                stamps: Stamps::new(),
                domains: Domains::default(),
                limits: HouseLimits::default(),
                unlimited: Unlimited::new(),
                ids: Ids {
                    latest: AtomicU64::new(0),
                    sequence: AtomicU64::new(0),
                    chance: RandomState::new(),
                },
            }),
        }
    }

    /// Begins a batch. It must be begun before the first row is read for it.
    pub(super) fn begin(&self) -> Batch {
        Batch::new(self.keeper.generation())
    }

    /// Begins a batch for an owner.
    pub(super) fn begin_as(&self, fence: Fence) -> Result<Batch, StoreError> {
        if fence.epoch == self.keeper.epoch() {
            Ok(self.begin())
        } else {
            Err(StoreError::Fenced)
        }
    }

    /// Commits, and yields `value` when it is durable.
    pub(super) fn commit<T: Send + 'static>(&self, batch: Batch, value: T) -> Pending<T> {
        let (promise, pending) = Pending::promise();
        let ack = move |result: Result<(), StoreError>| promise.keep(result.map(|()| value));
        self.keeper.commit(batch, Box::new(ack));
        pending
    }

    /// Commits what makes old what is remembered with a [`Stamp`](super::stamps::Stamp).
    pub(super) fn commit_and_forget(&self, batch: Batch) -> Pending<()> {
        let (promise, pending) = Pending::promise();
        let desk = self.desk.clone();
        let ack = move |result| {
            desk.stamps.forget();
            promise.keep(result);
        };
        self.keeper.commit(batch, Box::new(ack));
        self.desk.stamps.forget();
        pending
    }

    /// Purges what a call has left to be purged, where nobody else does.
    pub(super) fn tidy(&self) {
        while self.keeper.is_alone() && matches!(self.purge_some(), Ok(Some(_))) {}
    }

    /// The newest value of a key: what the next write has to rest on.
    pub(super) fn newest(&self, class: Class, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.keeper.get(Seen::Newest, class, key)
    }

    /// The durable value of a key.
    pub(super) fn durable(&self, class: Class, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.keeper.get(Seen::Durable, class, key)
    }

    /// Calls `each` for the rows that begin with `prefix`, until it returns `false` or fails.
    pub(super) fn each(
        &self,
        seen: Seen,
        class: Class,
        prefix: &[u8],
        each: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.span(seen, class, prefix, &keys::after(prefix), each)
    }

    /// Calls `each` for the rows from `from` to before `until`, until it returns `false` or fails.
    pub(super) fn span(
        &self,
        seen: Seen,
        class: Class,
        from: &[u8],
        until: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut failed = None;
        self.keeper
            .scan(seen, class, from, until, &mut |key, value| {
                each(key, value).unwrap_or_else(|error| {
                    failed = Some(error);
                    false
                })
            })?;
        failed.map_or(Ok(()), Err)
    }

    /// A number for a message: it rises with the time of acceptance, and no other store gives it
    /// out, because it also holds the shard and 32 bits of chance.
    pub(super) fn new_id(&self, shard: Shard, arrived: Time) -> MessageId {
        let ids = &self.desk.ids;
        let millis = ids.latest.fetch_max(arrived.0, Ordering::Relaxed);
        let millis = u128::from(millis.max(arrived.0) & ((1 << 48) - 1));
        let sequence = ids.sequence.fetch_add(1, Ordering::Relaxed);
        let chance = ids.chance.hash_one((sequence, arrived)) & 0xFFFF_FFFF;
        MessageId(
            millis << 80
                | u128::from(shard.number()) << 64
                | u128::from(sequence & 0xFFFF_FFFF) << 32
                | u128::from(chance),
        )
    }
}

impl<K: Keeper> Leases for Store<K> {
    fn fence(&self, shard: Shard) -> Result<Fence, StoreError> {
        Ok(Fence {
            shard,
            epoch: self.keeper.epoch(),
        })
    }
}

/// A call that failed before it reached the keeper fails at once.
pub(super) fn settled<T>(result: Result<Pending<T>, StoreError>) -> Pending<T> {
    result.unwrap_or_else(|error| Pending::ready(Err(error)))
}

pub(super) fn missing(what: impl Into<String>) -> StoreError {
    StoreError::Missing { what: what.into() }
}

/// A key of the directory that cannot be one of ours.
pub(super) fn damaged_key(class: Class, key: &[u8]) -> StoreError {
    StoreError::Damage {
        what: format!("the key {key:02x?} of class {class:?}"),
    }
}
