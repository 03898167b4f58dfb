//! The short locks under which decisions are made.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use mail::{AccountId, MessageId};

/// Stripes of locks. They are taken in this order: directory of accounts, message, account.
#[derive(Debug)]
pub(super) struct Locks {
    house: Mutex<()>,
    messages: [Mutex<()>; STRIPES],
    accounts: [Mutex<()>; STRIPES],
}

impl Locks {
    pub(super) fn new() -> Self {
        Self {
            house: Mutex::new(()),
            messages: std::array::from_fn(|_| Mutex::new(())),
            accounts: std::array::from_fn(|_| Mutex::new(())),
        }
    }

    pub(super) fn house(&self) -> MutexGuard<'_, ()> {
        lock(&self.house)
    }

    pub(super) fn message(&self, id: MessageId) -> MutexGuard<'_, ()> {
        // The low half of an id is sequence and chance: every bit of it spreads.
        lock(&self.messages[((id.0 >> 32) as usize ^ id.0 as usize) % STRIPES])
    }

    pub(super) fn account(&self, id: AccountId) -> MutexGuard<'_, ()> {
        lock(&self.accounts[Self::stripe(id)])
    }

    /// The lock of that stripe of accounts.
    pub(super) fn accounts_of(&self, stripe: usize) -> MutexGuard<'_, ()> {
        lock(&self.accounts[stripe])
    }

    /// The same, if nobody has it.
    pub(super) fn try_accounts_of(&self, stripe: usize) -> Option<MutexGuard<'_, ()>> {
        match self.accounts[stripe].try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Which lock is an account's: nobody may take the same one twice.
    pub(super) const fn stripe(id: AccountId) -> usize {
        id.0 as usize % STRIPES
    }
}

/// The locks guard no data: after a panic of their holder nothing is half done.
fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) const STRIPES: usize = 64;
