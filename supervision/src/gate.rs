//! How many may be in at once, in all and for each key.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

/// Lets a number of guests in and no more.
///
/// Two limits: above the soft one a door should stop asking for more ([`Gate::room`]), above the
/// hard one nobody gets in. Both may be changed while guests are inside. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    soft: AtomicUsize,
    hard: AtomicUsize,
    count: AtomicUsize,
    left: Notify,
    /// Rung when the limits change.
    changed: Notify,
}

/// A guest's place inside; free again when this is dropped.
#[must_use = "a pass that is dropped frees the place at once"]
pub struct Pass(Arc<Inside>);

impl Gate {
    /// A gate with these limits; a soft limit above the hard one counts as the hard one.
    pub fn new(soft: usize, hard: usize) -> Self {
        Self(Arc::new(Inside {
            soft: AtomicUsize::new(soft.min(hard)),
            hard: AtomicUsize::new(hard),
            count: AtomicUsize::new(0),
            left: Notify::new(),
            changed: Notify::new(),
        }))
    }

    /// Changes the limits, as [`Gate::new`] sets them. Who is inside stays, however few may be.
    pub fn set_limits(&self, soft: usize, hard: usize) {
        self.0.hard.store(hard, Ordering::Release);
        self.0.soft.store(soft.min(hard), Ordering::Release);
        self.0.left.notify_waiters();
        self.0.changed.notify_waiters();
    }

    /// Waits until nobody is let in any more, whoever is inside.
    pub async fn closed(&self) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable(); // from here on no change is missed
            if self.limits().1 == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Lets one in, unless the hard limit is reached.
    pub fn enter(&self) -> Option<Pass> {
        let hard = self.0.hard.load(Ordering::Acquire);
        let entered = self
            .0
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count < hard).then_some(count + 1)
            });
        entered.is_ok().then(|| Pass(Arc::clone(&self.0)))
    }

    /// How many are inside.
    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Whether the soft limit is reached.
    pub fn is_crowded(&self) -> bool {
        self.count() >= self.0.soft.load(Ordering::Acquire)
    }

    /// Waits until fewer are inside than the soft limit says. It does not let in: between this and
    /// [`Gate::enter`] others may come.
    pub async fn room(&self) {
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            left.as_mut().enable(); // from here on no leaving is missed
            if !self.is_crowded() {
                return;
            }
            left.await;
        }
    }

    /// The soft and the hard limit.
    pub fn limits(&self) -> (usize, usize) {
        (
            self.0.soft.load(Ordering::Acquire),
            self.0.hard.load(Ordering::Acquire),
        )
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let before = self.0.count.fetch_sub(1, Ordering::AcqRel);
        if before <= self.0.soft.load(Ordering::Acquire) {
            self.0.left.notify_waiters();
        }
    }
}

/// A limit for each key of its own: each client network, each account.
///
/// Only keys with somebody inside take memory. Clones are the same gate.
pub struct KeyedGate<K>(Arc<Counts<K>>);

struct Counts<K> {
    hard: AtomicUsize,
    inside: Mutex<HashMap<K, usize>>,
}

/// A guest's place inside, under its key; free again when this is dropped.
#[must_use = "a pass that is dropped frees the place at once"]
pub struct KeyedPass<K: Eq + Hash>(Arc<Counts<K>>, K);

impl<K: Clone + Eq + Hash> KeyedGate<K> {
    /// A gate that lets this many in for each key.
    pub fn new(hard: usize) -> Self {
        Self(Arc::new(Counts {
            hard: AtomicUsize::new(hard),
            inside: Mutex::default(),
        }))
    }

    /// Changes how many may be in for each key. Who is inside stays.
    pub fn set_limit(&self, hard: usize) {
        self.0.hard.store(hard, Ordering::Release);
    }

    /// Lets one in for this key, unless its limit is reached.
    pub fn enter(&self, key: K) -> Option<KeyedPass<K>> {
        let hard = self.0.hard.load(Ordering::Acquire);
        if hard == 0 {
            return None;
        }
        let mut inside = self.0.inside.lock().unwrap_or_else(PoisonError::into_inner);
        match inside.get_mut(&key) {
            Some(count) if *count >= hard => return None,
            Some(count) => *count += 1,
            None => {
                inside.insert(key.clone(), 1);
            }
        }
        drop(inside);
        Some(KeyedPass(Arc::clone(&self.0), key))
    }

    /// How many are inside for this key.
    pub fn count(&self, key: &K) -> usize {
        let inside = self.0.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.get(key).copied().unwrap_or(0)
    }

    /// How many keys have somebody inside.
    pub fn keys(&self) -> usize {
        self.0
            .inside
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl<K> Clone for KeyedGate<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> fmt::Debug for KeyedGate<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedGate")
            .field("hard", &self.0.hard)
            .finish_non_exhaustive()
    }
}

impl<K: Eq + Hash> fmt::Debug for KeyedPass<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedPass")
    }
}

impl<K: Eq + Hash> Drop for KeyedPass<K> {
    fn drop(&mut self) {
        let mut inside = self.0.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inside.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn a_door_that_waits_for_room_goes_on_when_a_guest_leaves() {
        let gate = Gate::new(1, 2);
        let first = gate.enter().unwrap();
        assert!(gate.is_crowded());
        let (waits, ()) = tokio::join!(
            async {
                gate.room().await;
                gate.enter()
            },
            async { drop(first) },
        );
        assert!(waits.is_some());
    }

    #[tokio::test]
    async fn whoever_waits_for_the_end_hears_of_it_and_of_no_other_change() {
        let gate = Gate::new(2, 2);
        let closed = gate.closed();
        tokio::pin!(closed);
        let ends = async |gate: &Gate, soft, hard| {
            gate.set_limits(soft, hard);
            tokio::task::yield_now().await;
        };
        tokio::select! {
            biased;
            () = &mut closed => panic!("it is open"),
            () = ends(&gate, 1, 1) => {}
        }
        gate.set_limits(0, 0);
        closed.await;
        gate.closed().await;
    }

    #[test]
    fn who_is_inside_stays_when_the_limits_change() {
        let (gate, keyed) = (Gate::new(2, 2), KeyedGate::new(2));
        let inside = [gate.enter(), gate.enter()];
        let by_key = [keyed.enter('a'), keyed.enter('a')];
        gate.set_limits(5, 1);
        keyed.set_limit(1);
        assert_eq!((gate.limits(), gate.count()), ((1, 1), 2));
        assert!(gate.enter().is_none() && keyed.enter('a').is_none());
        assert!(keyed.enter('b').is_some());
        gate.set_limits(3, 3);
        keyed.set_limit(3);
        assert!(gate.enter().is_some() && keyed.enter('a').is_some());
        drop((inside, by_key));
        assert_eq!((gate.count(), keyed.keys()), (0, 0));
    }

    proptest! {
        #[test]
        fn nobody_gets_in_above_the_hard_limit_and_every_place_comes_back(
            hard in 0_usize..5,
            moves in proptest::collection::vec((any::<bool>(), 0_u8..3), 0..60),
        ) {
            let (gate, keyed) = (Gate::new(hard, hard), KeyedGate::new(hard));
            let (mut inside, mut by_key) = (Vec::new(), Vec::new());
            for (enters, key) in moves {
                if enters {
                    let (room, pass) = (inside.len() < hard, gate.enter());
                    prop_assert_eq!(pass.is_some(), room);
                    inside.extend(pass);
                    by_key.extend(keyed.enter(key));
                } else {
                    inside.pop();
                    by_key.pop();
                }
                prop_assert_eq!(gate.count(), inside.len());
                prop_assert!(gate.count() <= hard);
                prop_assert!((0..3).all(|key| keyed.count(&key) <= hard));
            }
            drop((inside, by_key));
            prop_assert_eq!((gate.count(), keyed.keys()), (0, 0));
        }
    }
}
