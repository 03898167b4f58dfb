//! Blocks: neighbouring rows in one entry of the engine, because an engine's entries are dear.
//!
//! ```text
//! entry:  BLOCK | rows, ascending, each: shared | rest's length | octets of its value | what of them
//!                 is stored | rest | value without zeros
//!         LOOSE | value      newer than what the block before it has under this key
//!         GONE               the same: no row
//! ```
//!
//! A block stands under the key of its first row and is for all keys from there to the next block.
//! `shared`: how many octets of its key a row has in common with the row before it. Numbers are in
//! groups of seven bits, the lowest first. A value in which there is little to leave out (`zeros.rs`)
//! stands as it is; then as much of it is stored as it has. None of this outlives the directory: a
//! checksum is the engine's matter, and another layout is another directory.

mod setting;

use std::cmp::Ordering;

pub(super) use self::setting::set;
use crate::zeros::{leave_out, number_from, number_to, put_back, take};

/// What an entry of the engine is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Entry<'a> {
    /// A block; its rows.
    Block(&'a [u8]),
    /// A row is no more.
    Gone,
    /// A row; its value.
    Loose(&'a [u8]),
}

impl<'a> Entry<'a> {
    /// Reads an entry; `None` when it is none.
    pub(super) fn of(octets: &'a [u8]) -> Option<Self> {
        let (tag, rest) = octets.split_first()?;
        Some(match *tag {
            BLOCK => Self::Block(rest),
            GONE => Self::Gone,
            LOOSE => Self::Loose(rest),
            _ => return None,
        })
    }
}

/// The entry of a row that stands alone.
pub(super) fn alone(value: Option<&[u8]>) -> Vec<u8> {
    match value {
        Some(value) => {
            let mut entry = Vec::with_capacity(1 + value.len());
            entry.push(LOOSE);
            entry.extend_from_slice(value);
            entry
        }
        None => vec![GONE],
    }
}

/// The value of a row in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    octets: usize,
    stored: &'a [u8],
}

impl<'a> Value<'a> {
    /// Its octets, in `room` if they have to be put together; `None` when they cannot be a value.
    pub(super) fn read<'b>(self, room: &'b mut Vec<u8>) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        if self.stored.len() == self.octets {
            return Some(self.stored);
        }
        room.clear();
        let mut stored = self.stored;
        put_back(&mut stored, self.octets, room)?;
        stored.is_empty().then_some(room)
    }
}

/// A row as it stands in a block.
struct Packed<'a> {
    /// How much of its key is that of the row before.
    shared: usize,
    /// The rest of it.
    own: &'a [u8],
    value: Value<'a>,
}

impl<'a> Packed<'a> {
    /// Takes the first row; `None` when that is none. The key of the row before has this length.
    fn take(rows: &mut &'a [u8], length: usize) -> Option<Self> {
        let (shared, own, octets, stored);
        match **rows {
            // Mostly they have an octet each.
            [a, b, c, d, ref rest @ ..] if (a | b | c | d) < 0x80 => {
                [shared, own, octets, stored] = [a, b, c, d].map(usize::from);
                *rows = rest;
            }
            _ => {
                shared = number_from(rows)?;
                own = number_from(rows)?;
                octets = number_from(rows)?;
                stored = number_from(rows)?;
            }
        }
        if shared > length {
            return None;
        }
        let own = take(rows, own)?;
        let stored = take(rows, stored)?;
        let value = Value { octets, stored };
        Some(Self { shared, own, value })
    }

    const fn length(&self) -> usize {
        self.shared + self.own.len()
    }
}

/// Where a key is that is looked for among ascending rows, of which most are passed over without a
/// look at them: a row that has more in common with the one before than that has with the key is
/// before the key as that one is.
struct Search<'k> {
    key: &'k [u8],
    /// How much of it the row before begins with.
    common: usize,
}

impl Search<'_> {
    /// How a row stands to the key, and how much of what it does not share with the row before is
    /// the key's.
    fn look(&mut self, row: &Packed<'_>) -> (Ordering, usize) {
        match row.shared.cmp(&self.common) {
            Ordering::Greater => (Ordering::Less, 0),
            // The row before is before the key, and begins with more of it.
            Ordering::Less => (Ordering::Greater, 0),
            Ordering::Equal => {
                let wanted = &self.key[self.common..];
                let same = common(row.own, wanted);
                let order = row.own.get(same).cmp(&wanted.get(same));
                if order == Ordering::Less {
                    self.common += same;
                }
                (order, same)
            }
        }
    }
}

/// Reads the rows of a block one by one.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    rest: &'a [u8],
    key: Vec<u8>,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(rows: &'a [u8]) -> Self {
        let key = Vec::new();
        Self { rest: rows, key }
    }

    /// The next row. `Some(None)` at the end, `None` where no row can be.
    pub(super) fn next(&mut self) -> Option<Option<(&[u8], Value<'a>)>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        let row = Packed::take(&mut self.rest, self.key.len())?;
        self.key.truncate(row.shared);
        self.key.extend_from_slice(row.own);
        Some(Some((&self.key, row.value)))
    }
}

/// The value of a key in a block. `None` when the block is none, as far as it was read.
pub(super) fn find<'a>(rows: &'a [u8], key: &[u8]) -> Option<Option<Value<'a>>> {
    let (mut rest, mut length) = (rows, 0);
    let mut search = Search { key, common: 0 };
    loop {
        // Most are passed over here.
        while let [shared, own, octets, stored, ref behind @ ..] = *rest
            && (shared | own | octets | stored) < 0x80
            && usize::from(shared) > search.common
        {
            if usize::from(shared) > length {
                return None;
            }
            length = usize::from(shared) + usize::from(own);
            rest = behind.get(usize::from(own) + usize::from(stored)..)?;
        }
        if rest.is_empty() {
            return Some(None);
        }
        let row = Packed::take(&mut rest, length)?;
        length = row.length();
        match search.look(&row).0 {
            Ordering::Less => {}
            Ordering::Equal => return Some(Some(row.value)),
            Ordering::Greater => return Some(None),
        }
    }
}

/// How many rows a block has; `None` when it is none.
pub(super) fn count(rows: &[u8]) -> Option<usize> {
    let (mut rest, mut length, mut count) = (rows, 0, 0);
    while !rest.is_empty() {
        length = Packed::take(&mut rest, length)?.length();
        count += 1;
    }
    Some(count)
}

/// Calls `each` for the rows of a block with those changed that are newer, ascending, until it
/// returns `false`. Yields whether it always returned `true`; `None` when the block is none.
pub(super) fn merge<'n>(
    rows: &[u8],
    newer: impl IntoIterator<Item = (&'n [u8], Option<&'n [u8]>)>,
    each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Option<bool> {
    let mut newer = newer.into_iter().peekable();
    let mut walk = Walk::new(rows);
    let mut room = Vec::new();
    while let Some((key, value)) = walk.next()? {
        while let Some((other, value)) = newer.next_if(|(other, _)| *other < key) {
            if value.is_some_and(|value| !each(other, value)) {
                return Some(false);
            }
        }
        let value = match newer.next_if(|(other, _)| *other == key) {
            Some((_, changed)) => changed,
            None => Some(value.read(&mut room)?),
        };
        if value.is_some_and(|value| !each(key, value)) {
            return Some(false);
        }
    }
    for (key, value) in newer {
        if value.is_some_and(|value| !each(key, value)) {
            return Some(false);
        }
    }
    Some(true)
}

/// Puts ascending rows into blocks of about so many octets, and [`ROWS_MAX`] rows at most.
#[derive(Debug)]
pub(super) struct Packing {
    octets: usize,
    /// Rows of the block that is being filled.
    rows: usize,
    /// The blocks that are done, each with the key under which it stands.
    done: Vec<(Vec<u8>, Vec<u8>)>,
    first: Vec<u8>,
    last: Vec<u8>,
    block: Vec<u8>,
    /// A value without its zeros.
    less: Vec<u8>,
}

impl Packing {
    /// A block without rows.
    pub(super) const EMPTY: &[u8] = &[BLOCK];

    pub(super) const fn new(octets: usize) -> Self {
        Self {
            octets,
            rows: 0,
            done: Vec::new(),
            first: Vec::new(),
            last: Vec::new(),
            block: Vec::new(),
            less: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) {
        shorten(value, &mut self.less);
        let octets = self.block.len() + key.len() + self.less.len();
        if !self.block.is_empty() && (octets > self.octets || self.rows == ROWS_MAX) {
            self.end();
        }
        if self.block.is_empty() {
            self.block.push(BLOCK);
            self.first.clear();
            self.first.extend_from_slice(key);
            self.last.clear();
            self.rows = 0;
        }
        self.rows += 1;
        let shared = common(&self.last, key);
        let own = (shared, &key[shared..]);
        put_row(&mut self.block, own, value.len(), &self.less);
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    /// The blocks, each with the key under which it stands.
    pub(super) fn finish(mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.end();
        self.done
    }

    fn end(&mut self) {
        if !self.block.is_empty() {
            let block = std::mem::take(&mut self.block);
            self.done.push((self.first.clone(), block));
        }
    }
}

/// A value without its zeros, or as it is.
fn shorten(value: &[u8], less: &mut Vec<u8>) {
    less.clear();
    leave_out(value, less);
    if less.len() + LEFT_OUT_MIN > value.len() {
        less.clear();
        less.extend_from_slice(value);
    }
}

fn put_row(block: &mut Vec<u8>, (shared, own): (usize, &[u8]), octets: usize, stored: &[u8]) {
    for number in [shared, own.len(), octets, stored.len()] {
        number_to(block, number);
    }
    block.extend_from_slice(own);
    block.extend_from_slice(stored);
}

/// How many octets two keys begin with that are the same.
fn common(one: &[u8], other: &[u8]) -> usize {
    let most = one.len().min(other.len());
    let mut same = 0;
    while same < most && one[same] == other[same] {
        same += 1;
    }
    same
}

/// Whoever looks for a row goes over half of its block.
pub(super) const ROWS_MAX: usize = 64;

/// To save less is not worth putting it together again.
const LEFT_OUT_MIN: usize = 4;

const LOOSE: u8 = 1;
const GONE: u8 = 2;
const BLOCK: u8 = 3;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

    pub(super) fn rows() -> impl Strategy<Value = Rows> {
        let key = proptest::collection::vec(b'a'..b'e', 1..6);
        let octet = prop_oneof![Just(0), any::<u8>()];
        let value = proptest::collection::vec(octet, 0..200);
        proptest::collection::btree_map(key, value, 0..60)
    }

    pub(super) fn packed(rows: &Rows, octets: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut packing = Packing::new(octets);
        for (key, value) in rows {
            packing.row(key, value);
        }
        packing.finish()
    }

    pub(super) fn rows_of(block: &[u8]) -> &[u8] {
        match Entry::of(block) {
            Some(Entry::Block(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn rows_come_out_of_their_blocks_as_they_went_in(rows in rows(), octets in 1..1000_usize) {
            let (mut out, mut room) = (Rows::new(), Vec::new());
            for (first, block) in packed(&rows, octets) {
                let mut walk = Walk::new(rows_of(&block));
                let mut at = Some(first);
                while let Some((key, value)) = walk.next().unwrap() {
                    if let Some(first) = at.take() {
                        prop_assert_eq!(&first, key, "it stands under its first key");
                    }
                    let value = value.read(&mut room).unwrap().to_vec();
                    let found = find(rows_of(&block), key).unwrap().unwrap();
                    prop_assert_eq!(found.read(&mut room).unwrap(), &value);
                    out.insert(key.to_vec(), value);
                }
            }
            prop_assert_eq!(out, rows);
        }

        #[test]
        fn a_block_has_what_it_has_and_nothing_else(rows in rows(), others in rows()) {
            let whole = packed(&rows, usize::MAX);
            let block = whole.first().map_or(&[][..], |(_, block)| rows_of(block));
            let beginnings = rows.keys().map(|key| &key[..key.len() - 1]);
            for key in others.keys().map(|key| &key[..]).chain(beginnings) {
                let found = find(block, key).unwrap();
                let mut room = Vec::new();
                let found = found.map(|value| value.read(&mut room).unwrap().to_vec());
                prop_assert_eq!(found.as_ref(), rows.get(key), "{:?}", key);
            }
        }

        #[test]
        fn what_is_newer_wins_over_what_a_block_has(old in rows(), new in rows(), gone in rows()) {
            let whole = packed(&old, usize::MAX);
            let block = whole.first().map_or(&[][..], |(_, block)| rows_of(block));
            let mut newer: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
            newer.extend(gone.keys().map(|key| (&key[..], None)));
            newer.extend(new.iter().map(|(key, value)| (&key[..], Some(&value[..]))));
            let mut expected = old.clone();
            expected.retain(|key, _| !gone.contains_key(key));
            expected.extend(new.clone());
            let mut out = Rows::new();
            let all = merge(block, newer.clone(), &mut |key, value| {
                out.insert(key.to_vec(), value.to_vec()).is_none()
            });
            prop_assert_eq!((all, &out), (Some(true), &expected));
            let mut count = 0;
            let all = merge(block, newer, &mut |_, _| {
                count += 1;
                count < 2
            });
            prop_assert_eq!(all, Some(expected.len() < 2));
        }

        #[test]
        fn octets_that_are_no_block_do_no_harm(octets in proptest::collection::vec(0..9_u8, 0..40)) {
            let mut walk = Walk::new(&octets);
            while let Some(Some((_, value))) = walk.next() {
                let _ = value.read(&mut Vec::new());
            }
            let _ = merge(&octets, [], &mut |_, _| true);
            let _ = find(&octets, &[1, 2, 3, 4, 5]);
            let _ = set(&octets, &[(&[1, 2], Some(&[3])), (&[1, 2, 4], Some(&[5]))], 4096);
        }
    }

    #[test]
    fn a_row_larger_than_a_block_has_one_of_its_own() {
        let rows = [("a", 3), ("b", 5000), ("c", 3), ("d", 3)];
        let rows = rows.map(|(key, octets)| (key.as_bytes().to_vec(), vec![7; octets]));
        let blocks = packed(&rows.into_iter().collect(), 4096);
        let firsts: Vec<&[u8]> = blocks.iter().map(|(first, _)| &first[..]).collect();
        assert_eq!(firsts, [b"a", b"b", b"c"]);
    }
}
