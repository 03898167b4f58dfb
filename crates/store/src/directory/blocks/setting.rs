//! Rows set in a block without unpacking the others.

use std::cmp::Ordering;

use super::{BLOCK, Packed, ROWS_MAX, Search, Value, common, put_row, shorten};

/// The block with these rows set, ascending and none before its first one; the others are taken
/// over as they stand. `Some(None)` where that cannot be done: a row is to go, or the block would have
/// more octets, or more than [`ROWS_MAX`] rows. `None` when the block is none.
pub(in crate::directory) fn set(
    rows: &[u8],
    newer: &[Newer<'_>],
    octets_max: usize,
) -> Option<Option<Vec<u8>>> {
    let mut setting = Setting {
        newer,
        common: 0,
        block: Vec::with_capacity(octets_max),
        less: Vec::new(),
        count: newer.len(),
    };
    setting.block.push(BLOCK);
    // What stands before `done` is taken over, or replaced.
    let (mut rest, mut length, mut done) = (rows, 0, 0);
    while !rest.is_empty()
        && let Some((key, value)) = setting.newer.first()
    {
        let begin = rows.len() - rest.len();
        let mut row = Packed::take(&mut rest, length)?;
        length = row.length();
        setting.count += 1;
        let end = rows.len() - rest.len();
        let mut search = Search {
            key,
            common: setting.common,
        };
        let (order, same) = search.look(&row);
        setting.common = search.common;
        if order == Ordering::Less {
            continue;
        }
        setting.block.extend_from_slice(&rows[done..begin]);
        done = end;
        if order == Ordering::Equal {
            let Some(value) = value else {
                return Some(None);
            };
            setting.put_instead(&row, value);
            continue;
        }
        if !setting.put_before(&mut row, same) {
            return Some(None);
        }
    }
    setting.block.extend_from_slice(&rows[done..]);
    while !rest.is_empty() {
        length = Packed::take(&mut rest, length)?.length();
        setting.count += 1;
    }
    while let Some((key, value)) = setting.newer.first() {
        let Some(value) = value else {
            return Some(None);
        };
        setting.put(setting.common, &key[setting.common..], value);
        setting.go_on();
    }
    let fits = setting.block.len() <= octets_max && setting.count <= ROWS_MAX;
    Some(fits.then_some(setting.block))
}

/// A row that is newer than the block; `None`: it is to go.
type Newer<'a> = (&'a [u8], Option<&'a [u8]>);

/// A block in which rows are being set.
struct Setting<'n> {
    /// Those that are left.
    newer: &'n [Newer<'n>],
    /// How much the first of them has in common with the row that was put last.
    common: usize,
    block: Vec<u8>,
    /// A value without its zeros.
    less: Vec<u8>,
    /// How many rows there will be.
    count: usize,
}

impl Setting<'_> {
    /// Puts all of them that come before a row, whose own octets are `same` as those of the first;
    /// then the row itself, or what takes its place. `false` if it is to go.
    fn put_before(&mut self, row: &mut Packed<'_>, mut same: usize) -> bool {
        loop {
            let Some((key, Some(value))) = self.newer.first() else {
                return self.newer.is_empty() && self.put_packed(row);
            };
            // What the row had in common with the one before it, it has with this one, and more.
            if row.shared == self.common {
                row.shared += same;
                row.own = &row.own[same..];
            }
            self.put(self.common, &key[self.common..], value);
            self.go_on();
            let Some((key, value)) = self.newer.first() else {
                return self.put_packed(row);
            };
            let mut search = Search {
                key,
                common: self.common,
            };
            let (order, more) = search.look(row);
            self.common = search.common;
            match (order, value) {
                (Ordering::Less, _) => return self.put_packed(row),
                (Ordering::Equal, Some(value)) => {
                    self.put_instead(row, value);
                    return true;
                }
                (Ordering::Equal, None) => return false,
                (Ordering::Greater, _) => same = more,
            }
        }
    }

    fn put(&mut self, shared: usize, own: &[u8], value: &[u8]) {
        shorten(value, &mut self.less);
        put_row(&mut self.block, (shared, own), value.len(), &self.less);
    }

    /// Puts the first of them in the place of a row.
    fn put_instead(&mut self, row: &Packed<'_>, value: &[u8]) {
        self.put(row.shared, row.own, value);
        self.count -= 1;
        self.go_on();
    }

    fn put_packed(&mut self, row: &Packed<'_>) -> bool {
        let Value { octets, stored } = row.value;
        put_row(&mut self.block, (row.shared, row.own), octets, stored);
        true
    }

    /// The first of them was put.
    fn go_on(&mut self) {
        let Some(((before, _), rest)) = self.newer.split_first() else {
            return;
        };
        self.newer = rest;
        self.common = rest.first().map_or(0, |(key, _)| common(before, key));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::{
        super::{
            count,
            tests::{Rows, packed, rows, rows_of},
        },
        *,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn rows_are_set_as_if_all_were_packed_anew(old in rows(), new in rows(), gone in rows()) {
            prop_assume!(!old.is_empty());
            let whole = packed(&old, usize::MAX);
            let (first, block) = &whole[0];
            let new: Rows = new.into_iter().filter(|(key, _)| key >= first).collect();
            let mut expected = old.clone();
            expected.extend(new.clone());
            let mut expected = packed(&expected, usize::MAX);
            let is_one = expected.len() == 1;
            let expected = expected.remove(0).1;
            let mut newer: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
            newer.extend(new.iter().map(|(key, value)| (&key[..], Some(&value[..]))));
            let all: Vec<Newer<'_>> = newer.iter().map(|(key, value)| (*key, *value)).collect();
            let octets = expected.len();
            if !is_one {
                prop_assert_eq!(set(rows_of(block), &all, 1 << 20), Some(None), "too many rows");
                return Ok(());
            }
            prop_assert_eq!(count(rows_of(&expected)), Some(old.keys().chain(new.keys()).collect::<BTreeSet<_>>().len()));
            prop_assert_eq!(set(rows_of(block), &all, octets), Some(Some(expected)));
            prop_assert_eq!(set(rows_of(block), &all, octets - 1), Some(None));
            newer.extend(gone.keys().filter(|key| *key >= first).map(|key| (&key[..], None)));
            let all: Vec<Newer<'_>> = newer.into_iter().collect();
            if all.iter().any(|(_, value)| value.is_none()) {
                prop_assert_eq!(set(rows_of(block), &all, 1 << 20), Some(None));
            }
        }
    }
}
