//! Rows packed into blocks in a tree of sled's.
//!
//! sled has 16 entries to a page, a log record to every change, and writes a page whole after ten
//! of them. With a row to an entry, a million queued messages are half a million pages: to open
//! them, to load them and to keep them in memory is slow and large. So rows that come together go
//! together. What changes here and there stands alone at first, next to its block, and goes into
//! it with the others when there are enough of them ([`LOOSE_MAX`]).

use std::{
    ops::Bound,
    sync::{PoisonError, RwLock},
};

use sled::{IVec, Tree};

use super::{
    Row,
    blocks::{self, Entry, Packing, ROWS_MAX, Walk},
};

mod load;

/// A tree of blocks. One thread changes it and opens it anew, any number read it.
pub(super) struct Packed {
    /// A change moves rows from one entry to another, and to open a tree anew takes two steps: nobody
    /// must look in between. `None`: it could not be opened anew.
    tree: RwLock<Option<Tree>>,
    block_octets: usize,
}

/// The entries of all keys from a block's first to before the next block's.
#[derive(Default)]
pub(super) struct Region {
    block: Option<(IVec, IVec)>,
    /// Newer than the block, ascending.
    loose: Vec<(IVec, IVec)>,
    /// Where the next block begins.
    end: Option<IVec>,
}

/// A change of a row.
type Change<'a> = (&'a [u8], Option<&'a [u8]>);

impl Packed {
    pub(super) const fn new(tree: Tree, block_octets: usize) -> Self {
        Self {
            tree: RwLock::new(Some(tree)),
            block_octets,
        }
    }

    /// Looks at the tree itself; nobody changes it meanwhile.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Tree) -> sled::Result<T>) -> sled::Result<T> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        look(there(tree.as_ref())?)
    }

    /// Lets go of the tree, and takes the one that `open` yields in its place. Whoever wants to read
    /// waits as long as that takes.
    pub(super) fn reopen(&self, open: impl FnOnce() -> sled::Result<Tree>) -> sled::Result<()> {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        *tree = None; // it is closed before it is opened
        *tree = Some(open()?);
        Ok(())
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> sled::Result<Option<bytes::Bytes>> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        for entry in there(tree.as_ref())?.range(FIRST..=key).rev() {
            let (at, entry) = entry?;
            match kind(&entry)? {
                Entry::Block(rows) => {
                    let Some(found) = blocks::find(rows, key).ok_or_else(broken)? else {
                        return Ok(None);
                    };
                    let mut room = Vec::new();
                    let value = found.read(&mut room).ok_or_else(broken)?;
                    return Ok(Some(bytes::Bytes::copy_from_slice(value)));
                }
                Entry::Loose(value) if at == key => {
                    return Ok(Some(bytes::Bytes::copy_from_slice(value)));
                }
                Entry::Gone if at == key => return Ok(None),
                Entry::Gone | Entry::Loose(_) => {}
            }
        }
        Ok(None)
    }

    /// The rows around a key, as they are now.
    pub(super) fn around(&self, key: &[u8]) -> sled::Result<Region> {
        self.with(|tree| Region::around(tree, key))
    }

    /// Changes rows in one step, and sets an entry before all of them.
    pub(super) fn apply(
        &self,
        mut rows: Vec<Row>,
        entry: Option<(&[u8], &[u8])>,
    ) -> sled::Result<()> {
        // Of several changes of a row the last one counts: the order of equal keys stays.
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        let mut changes: Vec<Change<'_>> = Vec::with_capacity(rows.len());
        for (key, value) in &rows {
            changes.pop_if(|(before, _)| *before == &**key);
            changes.push((key, value.as_deref()));
        }
        let mut batch = self.with(|tree| self.batch(tree, &changes))?;
        if let Some((key, value)) = entry {
            batch.insert(key, value);
        }
        let tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        there(tree.as_ref())?.apply_batch(batch)
    }

    /// What changes, ascending, make of a tree's entries.
    fn batch(&self, tree: &Tree, changes: &[Change<'_>]) -> sled::Result<sled::Batch> {
        let mut batch = sled::Batch::default();
        let mut rest = changes;
        while let Some((first, _)) = rest.first() {
            let region = Region::around(tree, first)?;
            let end = region.end.as_deref();
            let count = end.map_or(rest.len(), |end| {
                rest.partition_point(|(key, _)| *key < end)
            });
            let (these, others) = rest.split_at(count);
            region.change(these, self.block_octets, &mut batch)?;
            rest = others;
        }
        Ok(batch)
    }
}

impl Region {
    /// The region of a key.
    fn around(tree: &Tree, key: &[u8]) -> sled::Result<Self> {
        let mut region = Self::default();
        for entry in tree.range(FIRST..=key).rev() {
            let (at, entry) = entry?;
            if matches!(kind(&entry)?, Entry::Block(_)) {
                region.block = Some((at, entry));
                break;
            }
            region.loose.push((at, entry));
        }
        region.loose.reverse();
        let behind = (Bound::Excluded(key), Bound::Unbounded);
        for entry in tree.range::<&[u8], _>(behind) {
            let (at, entry) = entry?;
            // Whoever begins before all keys comes upon what is no row.
            if *at < *FIRST {
                continue;
            }
            if matches!(kind(&entry)?, Entry::Block(_)) {
                region.end = Some(at);
                break;
            }
            region.loose.push((at, entry));
        }
        Ok(region)
    }

    /// Calls `each` for the rows from `from` to before `until`, until it returns `false`. Yields the
    /// key where to go on, if there are more.
    pub(super) fn each(
        self,
        (from, until): (&[u8], &[u8]),
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> sled::Result<Option<IVec>> {
        let mut within = |key: &[u8], value: &[u8]| key < from || (key < until && each(key, value));
        let more = blocks::merge(self.packed()?, self.newer(&[])?, &mut within);
        let more = more.ok_or_else(broken)?;
        Ok(self.end.filter(|end| more && **end < *until))
    }

    /// What is newer than the block: loose rows, and changes that are newer than those.
    fn newer<'a>(&'a self, changes: &[Change<'a>]) -> sled::Result<Vec<Change<'a>>> {
        let mut newer = Vec::with_capacity(self.loose.len() + changes.len());
        let mut changes = changes.iter().copied().peekable();
        for (key, entry) in &self.loose {
            let value = match kind(entry)? {
                Entry::Loose(value) => Some(value),
                Entry::Gone => None,
                Entry::Block(_) => return Err(broken()),
            };
            while let Some(change) = changes.next_if(|(changed, _)| *changed < &**key) {
                newer.push(change);
            }
            newer.push(
                changes
                    .next_if(|(changed, _)| *changed == &**key)
                    .unwrap_or((key, value)),
            );
        }
        newer.extend(changes);
        Ok(newer)
    }

    /// The rows of the block, if there is one.
    fn packed(&self) -> sled::Result<&[u8]> {
        match &self.block {
            Some((_, entry)) => match kind(entry)? {
                Entry::Block(rows) => Ok(rows),
                _ => Err(broken()),
            },
            None => Ok(&[]),
        }
    }

    /// Writes down what becomes of the region's entries.
    fn change(
        &self,
        changes: &[Change<'_>],
        block_octets: usize,
        batch: &mut sled::Batch,
    ) -> sled::Result<()> {
        let own =
            |(at, _): &(IVec, IVec)| changes.binary_search_by(|(key, _)| key.cmp(&&**at)).is_ok();
        let is_small = self
            .block
            .as_ref()
            .is_none_or(|(_, entry)| entry.len() < SMALL_OCTETS);
        // The block's own key is not free for a row that stands alone.
        if is_small
            || changes.len() >= TOGETHER
            || self.loose.len() + changes.len() >= LOOSE_MAX
            || self.block.as_ref().is_some_and(own)
        {
            return self.pack(changes, block_octets, batch);
        }
        let rows = self.packed()?;
        for (key, value) in changes {
            if value.is_none() && blocks::find(rows, key).ok_or_else(broken)?.is_none() {
                batch.remove(*key);
            } else {
                batch.insert(*key, blocks::alone(*value));
            }
        }
        Ok(())
    }

    /// Packs all rows of the region anew.
    fn pack(
        &self,
        changes: &[Change<'_>],
        block_octets: usize,
        batch: &mut sled::Batch,
    ) -> sled::Result<()> {
        let (packed, newer) = (self.packed()?, self.newer(changes)?);
        if let Some((first, _)) = &self.block
            && let Some(block) = blocks::set(packed, &newer, block_octets).ok_or_else(broken)?
        {
            for (key, _) in &self.loose {
                batch.remove(key);
            }
            batch.insert(first, block);
            return Ok(());
        }
        let mut packing = Packing::new(goal(packed, &newer, block_octets)?);
        let all = blocks::merge(packed, newer, &mut |key, value| {
            packing.row(key, value);
            true
        });
        all.ok_or_else(broken)?;
        if let Some((key, _)) = &self.block {
            batch.remove(key);
        }
        for (key, _) in &self.loose {
            batch.remove(key);
        }
        // Of two changes of an entry in a batch the later one counts.
        for (key, block) in packing.finish() {
            batch.insert(key, block);
        }
        Ok(())
    }
}

/// How large the blocks are to be: full ones where rows are added at the end, because the next ones
/// are most likely to be added behind them; else of the same size, with room in each.
fn goal(packed: &[u8], newer: &[Change<'_>], block_octets: usize) -> sled::Result<usize> {
    let weight = |(key, value): &Change<'_>| key.len() + value.map_or(0, <[u8]>::len) + 4;
    let octets = packed.len() + newer.iter().map(weight).sum::<usize>();
    let rows = blocks::count(packed).ok_or_else(broken)? + newer.len();
    let parts = octets.div_ceil(block_octets).max(rows.div_ceil(ROWS_MAX));
    if parts <= 1 {
        return Ok(block_octets);
    }
    let mut last = Walk::new(packed);
    let mut is_behind = true;
    if let Some((first, _)) = newer.first() {
        while let Some((key, _)) = last.next().ok_or_else(broken)? {
            is_behind = key < *first;
        }
    }
    if is_behind {
        return Ok(block_octets);
    }
    Ok(octets / parts + ROW_OCTETS.min(octets / parts / 4))
}

fn there(tree: Option<&Tree>) -> sled::Result<&Tree> {
    tree.ok_or_else(|| sled::Error::Unsupported("it could not be opened anew".to_owned()))
}

fn kind(entry: &IVec) -> sled::Result<Entry<'_>> {
    Entry::of(entry).ok_or_else(broken)
}

/// sled has a checksum to everything: what cannot be read was written so.
fn broken() -> sled::Error {
    sled::Error::ReportableBug("an entry is no rows".to_owned())
}

/// Before every key of ours: they begin with a letter.
const FIRST: &[u8] = b"\x01";

/// So many rows of a region stand alone, at most: a block is written whole for sixteen changes.
const LOOSE_MAX: usize = 16;

/// So many changes of a region at once go into its block: to let each stand alone, and to take it
/// away again when the block is written, is dearer than to write that now.
const TOGETHER: usize = 4;

/// A block smaller than this is written whole for each change.
const SMALL_OCTETS: usize = 512;

/// About the length of a row: so much blocks differ in size.
const ROW_OCTETS: usize = 128;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    type Rows = BTreeMap<Bytes, Bytes>;

    fn tree() -> Tree {
        let db = sled::Config::new().temporary(true).open().unwrap();
        Tree::clone(&db)
    }

    fn entries(packed: &Packed) -> usize {
        packed.with(|tree| Ok(tree.len())).unwrap()
    }

    fn all(packed: &Packed, from: &[u8], until: &[u8]) -> Vec<(Bytes, Bytes)> {
        if from >= until {
            return Vec::new();
        }
        let mut rows = Vec::new();
        let mut next = Some(IVec::from(from));
        while let Some(at) = next {
            let mut each = |key: &[u8], value: &[u8]| {
                let copied = Bytes::copy_from_slice;
                rows.push((copied(key), copied(value)));
                true
            };
            let region = packed.around(&at).unwrap();
            next = region.each((from, until), &mut each).unwrap();
        }
        rows
    }

    fn check(packed: &Packed, expected: &Rows) {
        let rows: Vec<_> = expected.clone().into_iter().collect();
        assert_eq!(all(packed, b"A", b"~"), rows);
        for key in 0..KEYS {
            let key = key_of(key);
            assert_eq!(
                packed.get(&key).unwrap().as_ref(),
                expected.get(&key),
                "{key:?}"
            );
        }
    }

    fn key_of(number: u16) -> Bytes {
        // Some are the beginnings of others.
        let text = format!("k{number:04}");
        Bytes::from(text.trim_end_matches('0').to_owned())
    }

    /// A row by chance: its number, its value's length if it is not removed, and how many more
    /// behind it are treated alike.
    fn change() -> impl Strategy<Value = (u16, Option<usize>, u16)> {
        let value =
            prop_oneof![4 => (0..90_usize).prop_map(Some), 1 => Just(None), 1 => Just(Some(900))];
        (
            0..KEYS,
            value,
            prop_oneof![6 => Just(1_u16), 1 => 1..60_u16],
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_tree_of_blocks_is_a_map(
            rounds in proptest::collection::vec(proptest::collection::vec(change(), 1..20), 1..30),
            from in 0..KEYS,
            until in 0..KEYS,
        ) {
            let packed = Packed::new(tree(), 600);
            let mut expected = Rows::new();
            for (round, changes) in rounds.iter().enumerate() {
                let mut rows = Vec::new();
                for &(first, value, count) in changes {
                    for number in first..KEYS.min(first + count) {
                        let value = value.map(|octets| Bytes::from(vec![round as u8; octets]));
                        rows.push((key_of(number), value.clone()));
                        match value {
                            Some(value) => expected.insert(key_of(number), value),
                            None => expected.remove(&key_of(number)),
                        };
                    }
                }
                packed.apply(rows, Some((b"\0lsn", &[7]))).unwrap();
            }
            check(&packed, &expected);
            let (from, until) = (key_of(from), key_of(until));
            let rows = all(&packed, &from, &until);
            let within = expected.iter().filter(|(key, _)| **key >= from && **key < until);
            prop_assert!(rows.iter().map(|(key, value)| (key, value)).eq(within));
        }
    }

    #[test]
    fn rows_that_come_in_order_are_packed_and_rows_that_all_go_leave_nothing() {
        let packed = Packed::new(tree(), 2048);
        let rows = |from: u32, value: Option<&'static [u8]>| -> Vec<Row> {
            let value = value.map(Bytes::from_static);
            let key =
                |number: u32| Bytes::copy_from_slice(&[b"S", &number.to_be_bytes()[..]].concat());
            (from..from + 100)
                .map(|number| (key(number), value.clone()))
                .collect()
        };
        for from in (0..10_000).step_by(100) {
            packed.apply(rows(from, Some(&[b'x'; 50])), None).unwrap();
        }
        let entries = entries(&packed);
        assert!(entries < 10_000 / 30, "{entries} entries");
        for from in (0..10_000).step_by(100) {
            packed.apply(rows(from, None), None).unwrap();
        }
        assert_eq!(self::entries(&packed), 0);
    }

    #[test]
    fn a_row_that_changes_again_and_again_is_written_without_its_neighbours() {
        let packed = Packed::new(tree(), 4096);
        let rows = (0..40).map(|number| (key_of(number), Some(Bytes::from_static(&[b'x'; 60]))));
        packed.apply(rows.collect(), None).unwrap();
        let before = entries(&packed);
        for round in 0..100_u8 {
            let value = Some(Bytes::from(vec![round; 60]));
            packed.apply(vec![(key_of(23), value)], None).unwrap();
        }
        assert_eq!(entries(&packed), before + 1);
        assert_eq!(packed.get(&key_of(23)).unwrap().unwrap()[0], 99);
    }

    #[test]
    fn whoever_reads_while_rows_are_packed_sees_each_of_them_once() {
        let packed = Packed::new(tree(), 400);
        let rows =
            |value: u8| (0..KEYS).map(move |n| (key_of(n), Some(Bytes::from(vec![value; 20]))));
        packed.apply(rows(0).collect(), None).unwrap();
        let expected = all(&packed, b"A", b"~").len();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 0..200_u8 {
                    // Now a few, which stand alone, now many, which are packed with them.
                    let step = if round % 3 == 0 { 1 } else { 9 };
                    packed
                        .apply(rows(round).step_by(step).collect(), None)
                        .unwrap();
                }
            });
            while !writer.is_finished() {
                let seen = all(&packed, b"A", b"~");
                assert_eq!(seen.len(), expected);
                assert!(seen.is_sorted_by(|one, other| one.0 < other.0));
            }
        });
    }

    const KEYS: u16 = 300;
}
