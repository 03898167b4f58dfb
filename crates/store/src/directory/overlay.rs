//! What is committed and not yet in the engine, in versions: the newest, and the newest durable.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{Partitions, Row};
use crate::{batch::Op, keys::Class};

/// Rows in memory in front of the engine.
#[derive(Debug)]
pub(crate) struct Overlay {
    parts: Vec<RwLock<BTreeMap<Bytes, Slot>>>,
    octets: AtomicUsize,
    /// All up to here is in the engine.
    engine: AtomicU64,
    /// Rung when there is more room.
    easing: (Mutex<()>, Condvar),
}

/// The versions of a key, ascending by LSN. There is always a newest.
#[derive(Debug)]
struct Slot {
    newest: Version,
    /// Mostly empty, and then without an allocation.
    older: Vec<Version>,
    /// The oldest of these is durable, and the engine may lack the ones that were forgotten
    /// before it.
    pruned: bool,
    /// The engine has never seen the key: if it goes before it gets there, nothing has to be
    /// removed.
    fresh: bool,
}

#[derive(Clone, Debug)]
struct Version {
    lsn: u64,
    value: Option<Bytes>,
}

impl Overlay {
    pub(crate) fn new(partitions: usize) -> Self {
        Self {
            parts: (0..partitions).map(|_| RwLock::default()).collect(),
            octets: AtomicUsize::new(0),
            engine: AtomicU64::new(0),
            easing: (Mutex::new(()), Condvar::new()),
        }
    }

    /// How much memory it takes, roughly.
    pub(crate) fn octets(&self) -> usize {
        self.octets.load(Ordering::Relaxed)
    }

    /// All up to that LSN is in the engine, as far as is known here.
    pub(crate) fn engine_has(&self) -> u64 {
        self.engine.load(Ordering::Relaxed)
    }

    /// Says so.
    pub(super) fn set_engine_has(&self, lsn: u64) {
        self.engine.store(lsn, Ordering::Relaxed);
    }

    /// Waits while it takes more memory than that and `may_ease` says that it may become less, but
    /// for a moment only.
    pub(crate) fn wait_for_room(
        &self,
        octets: usize,
        moment: Duration,
        may_ease: impl Fn() -> bool,
    ) {
        let (lock, bell) = &self.easing;
        let is_too_much = |_: &mut ()| self.octets() > octets && may_ease();
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(bell.wait_timeout_while(guard, moment, is_too_much));
    }

    /// Which partition holds a key.
    pub(crate) fn partition(&self, class: Class, key: &[u8]) -> Option<usize> {
        Partitions::of(self.parts.len(), class, key)
    }

    /// Adds a batch. LSNs rise from call to call. All up to `durable` is on stable storage.
    pub(crate) fn stage(&self, lsn: u64, durable: u64, ops: impl Iterator<Item = Op>) {
        let mut held: Option<(usize, RwLockWriteGuard<'_, BTreeMap<Bytes, Slot>>)> = None;
        let (mut octets, mut freed) = (0, 0);
        for op in ops {
            let partition = self.partition(op.class, &op.key);
            let partition = partition.expect("every key of the mail class has an account");
            if held.as_ref().is_none_or(|(number, _)| *number != partition) {
                drop(held.take()); // never two at once
                held = Some((partition, self.write(partition)));
            }
            let Some((_, part)) = &mut held else {
                unreachable!("it was locked just now");
            };
            let key_octets = op.key.len();
            octets += weight(key_octets, op.value.as_ref());
            let version = Version {
                lsn,
                value: op.value,
            };
            match part.entry(op.key) {
                std::collections::btree_map::Entry::Occupied(entry) => {
                    let forget = |version: Version| {
                        freed += weight(key_octets, version.value.as_ref());
                    };
                    entry.into_mut().push(version, durable, forget);
                }
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(Slot {
                        newest: version,
                        older: Vec::new(),
                        pruned: false,
                        fresh: op.fresh,
                    });
                }
            }
        }
        drop(held);
        self.octets.fetch_add(octets, Ordering::Relaxed);
        self.octets.fetch_sub(freed, Ordering::Relaxed);
    }

    /// The value of a key as of an LSN. `None`: the engine knows.
    pub(crate) fn get(&self, partition: usize, key: &[u8], lsn: u64) -> Option<Option<Bytes>> {
        let part = self.read(partition);
        part.get(key)?.at(lsn).map(|version| version.value.clone())
    }

    /// Up to `limit` rows from `from` to before `until` as of an LSN, removed ones included, and
    /// the place up to which this is all there is.
    pub(crate) fn some(
        &self,
        partition: usize,
        (from, until): (&[u8], &[u8]),
        lsn: u64,
        limit: usize,
    ) -> (Vec<Row>, Option<Vec<u8>>) {
        let mut rows = Vec::new();
        if from >= until {
            return (rows, None);
        }
        let part = self.read(partition);
        let range = (Bound::Included(from), Bound::Excluded(until));
        for (key, slot) in part.range::<[u8], _>(range) {
            if rows.len() == limit {
                return (rows, Some(key.to_vec()));
            }
            if let Some(version) = slot.at(lsn) {
                rows.push((key.clone(), version.value.clone()));
            }
        }
        (rows, None)
    }

    /// Up to `limit` rows of a partition from `from` on that are to be applied as of an LSN, and
    /// where to go on. A row that came and went is left out.
    pub(crate) fn due(
        &self,
        partition: usize,
        from: &Bytes,
        lsn: u64,
        limit: usize,
    ) -> (Vec<Row>, Option<Bytes>) {
        let mut rows = Vec::new();
        let mut part = self.write(partition);
        for (key, slot) in part.range_mut(from.clone()..) {
            if rows.len() == limit {
                return (rows, Some(key.clone()));
            }
            let Some(value) = slot.at(lsn).map(|version| version.value.clone()) else {
                continue;
            };
            if value.is_some() {
                // From here on the engine may have seen it, whatever happens to it meanwhile.
                slot.fresh = false;
            } else if slot.fresh {
                continue;
            }
            rows.push((key.clone(), value));
        }
        (rows, None)
    }

    /// Forgets what is applied: versions up to `lsn` of the keys from `from` to before `until`.
    pub(crate) fn applied(&self, partition: usize, from: &Bytes, until: Option<&Bytes>, lsn: u64) {
        let mut freed = 0;
        let mut part = self.write(partition);
        let until = until.map_or(Bound::Unbounded, |until| Bound::Excluded(until.clone()));
        let range = (Bound::Included(from.clone()), until);
        part.extract_if(range, |key, slot| {
            let key_octets = key.len();
            let mut forget = |version: &Version| {
                freed += weight(key_octets, version.value.as_ref());
            };
            if slot.newest.lsn <= lsn {
                slot.older.iter().for_each(&mut forget);
                forget(&slot.newest);
                return true;
            }
            slot.older.retain(|version| {
                let keep = version.lsn > lsn;
                if !keep {
                    forget(version);
                    // The engine has what was left of the durable ones.
                    slot.pruned = false;
                }
                keep
            });
            false
        })
        .for_each(drop);
        drop(part);
        self.octets.fetch_sub(freed, Ordering::Relaxed);
        // Under the lock, so that nobody begins to wait between looking and being told.
        drop(self.easing.0.lock());
        self.easing.1.notify_all();
    }

    /// Forgets what was committed after `lsn`: it never became durable.
    pub(crate) fn rollback(&self, lsn: u64) {
        let mut freed = 0;
        for partition in 0..self.parts.len() {
            self.write(partition).retain(|key, slot| {
                while slot.newest.lsn > lsn {
                    freed += weight(key.len(), slot.newest.value.as_ref());
                    match slot.older.pop() {
                        Some(version) => slot.newest = version,
                        None => return false,
                    }
                }
                true
            });
        }
        // By difference, as everybody counts: the follower may be at work at the same time.
        self.octets.fetch_sub(freed, Ordering::Relaxed);
    }

    fn read(&self, partition: usize) -> RwLockReadGuard<'_, BTreeMap<Bytes, Slot>> {
        self.parts[partition]
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, partition: usize) -> RwLockWriteGuard<'_, BTreeMap<Bytes, Slot>> {
        self.parts[partition]
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Adds a version; `forget` is told of each that goes for it.
    fn push(&mut self, version: Version, durable: u64, mut forget: impl FnMut(Version)) {
        if self.newest.lsn == version.lsn {
            forget(std::mem::replace(&mut self.newest, version));
            return;
        }
        if self.newest.lsn <= durable && !self.older.is_empty() {
            // Readers need nothing older than the newest durable one.
            self.older.drain(..).for_each(forget);
            self.pruned = true;
        }
        let before = std::mem::replace(&mut self.newest, version);
        self.older.push(before);
    }

    /// The newest version that is not newer than `lsn`. A reader whose `lsn` is so old that its
    /// version was forgotten gets the oldest that is left: it is durable, and what the engine has
    /// may be older than what the reader was promised.
    fn at(&self, lsn: u64) -> Option<&Version> {
        if self.newest.lsn <= lsn {
            return Some(&self.newest);
        }
        let found = self.older.iter().rev().find(|version| version.lsn <= lsn);
        found.or_else(|| self.older.first().filter(|_| self.pruned))
    }
}

/// Octets of a row, and of what the map adds to it.
fn weight(key: usize, value: Option<&Bytes>) -> usize {
    key + value.map_or(0, Bytes::len) + 160
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(key: &'static str, value: Option<&'static str>, fresh: bool) -> Op {
        Op {
            class: Class::Queue,
            key: Bytes::from_static(key.as_bytes()),
            value: value.map(|value| Bytes::from_static(value.as_bytes())),
            fresh,
        }
    }

    fn get(overlay: &Overlay, key: &str, lsn: u64) -> Option<Option<Bytes>> {
        overlay.get(1, key.as_bytes(), lsn)
    }

    fn start() -> Bytes {
        Bytes::new()
    }

    #[test]
    fn readers_see_the_newest_version_that_is_not_newer_than_theirs() {
        let overlay = Overlay::new(4);
        overlay.stage(5, 0, [op("a", Some("1"), false)].into_iter());
        overlay.stage(7, 5, [op("a", Some("2"), false)].into_iter());
        overlay.stage(9, 5, [op("a", None, false)].into_iter());
        assert_eq!(get(&overlay, "a", 4), None);
        assert_eq!(get(&overlay, "a", 6), Some(Some("1".into())));
        assert_eq!(get(&overlay, "a", 8), Some(Some("2".into())));
        assert_eq!(get(&overlay, "a", u64::MAX), Some(None));
        overlay.rollback(7);
        assert_eq!(get(&overlay, "a", u64::MAX), Some(Some("2".into())));
        overlay.rollback(0);
        assert_eq!(get(&overlay, "a", u64::MAX), None);
        assert_eq!(overlay.octets(), 0);
    }

    #[test]
    fn what_came_and_went_never_reaches_the_engine() {
        let overlay = Overlay::new(4);
        overlay.stage(
            1,
            0,
            [op("new", Some("1"), true), op("old", Some("1"), false)].into_iter(),
        );
        overlay.stage(
            2,
            1,
            [op("new", None, false), op("old", None, false)].into_iter(),
        );
        let (rows, more) = overlay.due(1, &start(), 2, 9);
        assert_eq!(rows, [("old".into(), None)]);
        assert_eq!(more, None);
        overlay.applied(1, &start(), None, 2);
        assert_eq!(overlay.octets(), 0);
    }

    #[test]
    fn a_key_that_the_engine_has_seen_is_fresh_no_more() {
        let overlay = Overlay::new(4);
        overlay.stage(1, 0, [op("a", Some("1"), true)].into_iter());
        overlay.stage(2, 0, [op("a", None, false)].into_iter());
        let (rows, _) = overlay.due(1, &start(), 1, 9);
        assert_eq!(rows, [("a".into(), Some("1".into()))]);
        overlay.applied(1, &start(), None, 1);
        let (rows, _) = overlay.due(1, &start(), 2, 9);
        assert_eq!(rows, [("a".into(), None)]);
        overlay.applied(1, &start(), None, 2);
        assert_eq!(overlay.octets(), 0);
    }

    #[test]
    fn every_octet_that_is_counted_is_uncounted() {
        let overlay = Overlay::new(4);
        for lsn in 1..=1000 {
            // A row that every batch changes, some of them twice, while the disk keeps up.
            let ops = [op("hot", Some("1"), false), op("hot", Some("2"), false)];
            overlay.stage(lsn, lsn - 1, ops.into_iter().skip(lsn as usize % 2));
        }
        assert!(overlay.octets() < 1000, "{} octets", overlay.octets());
        overlay.rollback(999);
        overlay.applied(1, &start(), None, 999);
        assert_eq!(overlay.octets(), 0);
    }

    #[test]
    fn a_reader_that_is_overtaken_sees_something_later_and_nothing_earlier() {
        let overlay = Overlay::new(4);
        overlay.stage(5, 4, [op("a", Some("1"), true)].into_iter());
        // The reader has looked up what is durable (5), and is slow.
        overlay.stage(7, 5, [op("a", Some("2"), false)].into_iter());
        overlay.stage(9, 7, [op("a", None, false)].into_iter());
        assert_eq!(get(&overlay, "a", 5), Some(Some("2".into())));
        let (rows, _) = overlay.some(1, (b"a", b"b"), 5, 9);
        assert_eq!(rows, [("a".into(), Some("2".into()))]);
        // What is not durable yet is not seen for it: not once the engine has the rest, either.
        overlay.due(1, &start(), 7, 9);
        overlay.applied(1, &start(), None, 7);
        overlay.stage(11, 7, [op("a", Some("3"), true)].into_iter());
        assert_eq!(get(&overlay, "a", 5), None);
    }

    #[test]
    fn a_later_operation_of_a_batch_wins() {
        let overlay = Overlay::new(4);
        let ops = [op("a", Some("1"), false), op("a", Some("2"), false)];
        overlay.stage(1, 0, ops.into_iter());
        assert_eq!(get(&overlay, "a", 1), Some(Some("2".into())));
    }
}
