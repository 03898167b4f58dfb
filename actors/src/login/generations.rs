//! A map that forgets what nobody has asked for in a long time, so that it stays bounded.

use std::{collections::HashMap, hash::Hash};

/// Two generations: what is used moves into the young one; when that is full, it becomes the
/// old one and the old one is forgotten. All operations take constant time.
pub(super) struct Generations<K, V> {
    half: usize,
    old: HashMap<K, V>,
    young: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// A map that holds at most `max` entries, and at least the `max / 2` used last.
    pub(super) fn new(max: usize) -> Self {
        Self {
            half: (max / 2).max(1),
            old: HashMap::new(),
            young: HashMap::new(),
        }
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.old.remove(key);
        self.young.remove(key);
    }

    pub(super) fn len(&self) -> usize {
        self.old.len() + self.young.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_it_may_and_keeps_what_is_used() {
        let mut map = Generations::new(8);
        map.insert(0, "kept");
        for key in 1..1000 {
            assert_eq!(map.get_mut(&0), Some(&mut "kept"));
            map.insert(key, "passing");
            assert!(map.len() <= 8);
        }
        assert_eq!(map.get_mut(&1), None);
        map.remove(&0);
        assert_eq!(map.get_mut(&0), None);
    }
}
