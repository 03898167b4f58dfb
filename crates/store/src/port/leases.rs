//! Who owns what: shards, epochs and the fence that every write carries.

use mail::{AccountId, Domain};

use crate::StoreError;

/// One of the 1,024 parts into which all keys (accounts, domains) fall.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Shard(u16);

/// The right to write to a shard, for as long as nobody took it with a higher epoch.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fence {
    /// The shard.
    pub shard: Shard,
    /// Rises each time the shard changes hands or its store is opened anew.
    pub epoch: u64,
}

/// Gives out fences. On a local disk one process owns every shard, and the epoch counts openings.
pub trait Leases: Send + Sync {
    /// The fence for a shard that this process owns.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another owner has it.
    fn fence(&self, shard: Shard) -> Result<Fence, StoreError>;
}

impl Shard {
    /// How many there are.
    pub const COUNT: u16 = 1024;

    /// The shard that an account and all its mailboxes belong to.
    #[must_use]
    pub const fn of_account(account: AccountId) -> Self {
        // Account numbers are dense: the low bits spread them evenly.
        Self((account.0 % Self::COUNT as u64) as u16)
    }

    /// The shard that a domain's outbound queue belongs to (FNV-1a, stable for ever).
    #[must_use]
    pub fn of_domain(domain: &Domain) -> Self {
        let hash = domain
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
                (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
            });
        Self((hash % u64::from(Self::COUNT)) as u16)
    }

    /// The shard of that number, modulo their count: for whoever spreads work evenly.
    #[must_use]
    pub const fn nth(number: u64) -> Self {
        Self((number % Self::COUNT as u64) as u16)
    }

    /// Its number, below [`Shard::COUNT`].
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}
