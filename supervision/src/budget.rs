//! A number of octets that all who hold any have to share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A budget of octets. Clones are the same budget.
///
/// What is taken travels as a [`Permit`] with whatever uses the memory, and comes back when the
/// permit is dropped. Nobody waits for a budget: who gets nothing says "later" to its peer.
#[derive(Clone)]
pub struct Budget(Arc<Purse>);

struct Purse {
    capacity: u64,
    free: AtomicU64,
}

/// A part of a budget; comes back when this is dropped.
#[must_use = "a permit that is dropped gives its octets back at once"]
pub struct Permit {
    purse: Arc<Purse>,
    octets: u64,
}

impl Budget {
    /// A budget of this many octets.
    pub fn new(capacity: u64) -> Self {
        Self(Arc::new(Purse {
            capacity,
            free: AtomicU64::new(capacity),
        }))
    }

    /// Takes this many octets, if they are there.
    pub fn try_take(&self, octets: u64) -> Option<Permit> {
        self.0.take(octets).then(|| Permit {
            purse: Arc::clone(&self.0),
            octets,
        })
    }

    /// How many octets there are in all.
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// How many octets nobody holds.
    pub fn free(&self) -> u64 {
        self.0.free.load(Ordering::Acquire)
    }

    /// How many octets are held.
    pub fn used(&self) -> u64 {
        self.0.capacity - self.free()
    }
}

impl Permit {
    /// How many octets this permit holds.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Takes this many octets more; false, and nothing taken, if they are not there.
    #[must_use = "without the octets the memory must not be used"]
    pub fn try_grow(&mut self, octets: u64) -> bool {
        let took = self.purse.take(octets);
        if took {
            self.octets += octets;
        }
        took
    }

    /// Grows to this many octets in all, if it holds fewer; false if they are not there.
    #[must_use = "without the octets the memory must not be used"]
    pub fn try_reach(&mut self, octets: u64) -> bool {
        self.try_grow(octets.saturating_sub(self.octets))
    }

    /// Gives back all but this many octets.
    pub fn shrink_to(&mut self, octets: u64) {
        let surplus = self.octets.saturating_sub(octets);
        self.octets -= surplus;
        self.purse.give_back(surplus);
    }

    /// Makes one permit of two.
    ///
    /// # Panics
    ///
    /// If they are of different budgets: a fault of the program.
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.purse, &other.purse),
            "permits of different budgets"
        );
        self.octets += std::mem::take(&mut other.octets);
    }

    /// Parts this many octets from it; none if it holds fewer.
    pub fn split(&mut self, octets: u64) -> Option<Self> {
        self.octets = self.octets.checked_sub(octets)?;
        Some(Self {
            purse: Arc::clone(&self.purse),
            octets,
        })
    }
}

impl Purse {
    fn take(&self, octets: u64) -> bool {
        self.free
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| {
                free.checked_sub(octets)
            })
            .is_ok()
    }

    fn give_back(&self, octets: u64) {
        if octets > 0 {
            self.free.fetch_add(octets, Ordering::AcqRel);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.purse.give_back(self.octets);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Budget({} of {} octets free)",
            self.free(),
            self.capacity()
        )
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} octets)", self.octets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn free_and_held_octets_always_add_up_to_the_capacity(
            capacity in 0_u64..1_000,
            steps in proptest::collection::vec((0_u8..6, 0_u64..600), 0..60),
        ) {
            let budget = Budget::new(capacity);
            let mut held: Vec<Permit> = Vec::new();
            for (step, octets) in steps {
                match (step, held.pop()) {
                    (0, last) => {
                        held.extend(last);
                        held.extend(budget.try_take(octets));
                    }
                    (_, None) | (1, Some(_)) => {}
                    (2, Some(mut last)) => {
                        let free = budget.free();
                        prop_assert_eq!(last.try_grow(octets), octets <= free);
                        held.push(last);
                    }
                    (3, Some(mut last)) => {
                        last.shrink_to(octets);
                        held.push(last);
                    }
                    (4, Some(mut last)) => {
                        let part = last.split(octets);
                        held.extend(part);
                        held.push(last);
                    }
                    (_, Some(last)) => match held.last_mut() {
                        Some(before) => before.merge(last),
                        None => held.push(last),
                    },
                }
                let octets: u64 = held.iter().map(Permit::octets).sum();
                prop_assert_eq!(budget.free() + octets, capacity);
                prop_assert_eq!(budget.used(), octets);
            }
            held.clear();
            prop_assert_eq!(budget.free(), capacity);
        }
    }
}
