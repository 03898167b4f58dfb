//! Filling a tree with the rows of a checkpoint, which come in the order of their keys.
//!
//! sled writes a page whole after ten changes of it, and both halves of one that it splits: a tree that
//! grows block by block is written more than three times. So the places of some blocks are made first,
//! with nothing in them; while those are few octets the pages split. Then each block is put in its place.

use super::{Packed, Row, Walk, blocks::Packing, broken};

impl Packed {
    /// Adds rows; those that come behind all that are there, ascending, are added fast. Not in one step: it
    /// is for a tree that nobody reads, and that counts for nothing until all of it is there.
    pub(in crate::directory) fn load(&self, rows: Vec<Row>) -> sled::Result<()> {
        if !self.are_behind(&rows)? {
            return self.apply(rows, None);
        }
        let mut packing = Packing::new(self.block_octets);
        for (key, value) in &rows {
            if let Some(value) = value {
                packing.row(key, value);
            }
        }
        let blocks = packing.finish();
        self.with(|tree| {
            for (key, _) in &blocks {
                tree.insert(key, Packing::EMPTY)?;
            }
            for (key, block) in blocks {
                tree.insert(key, block)?;
            }
            Ok(())
        })
    }

    fn are_behind(&self, rows: &[Row]) -> sled::Result<bool> {
        let Some((first, _)) = rows.first() else {
            return Ok(true);
        };
        let region = self.around(first)?;
        if !rows.is_sorted_by(|one, other| one.0 < other.0)
            || region.end.is_some()
            || !region.loose.is_empty()
        {
            return Ok(false);
        }
        let mut last = Walk::new(region.packed()?);
        while let Some((key, _)) = last.next().ok_or_else(broken)? {
            if key >= &**first {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn rows(numbers: impl Iterator<Item = u32>, value: u8) -> Vec<Row> {
        let row = |number: u32| {
            let key = [b"S", &number.to_be_bytes()[..]].concat();
            (Bytes::from(key), Some(Bytes::from(vec![value; 60])))
        };
        numbers.map(row).collect()
    }

    fn value(packed: &Packed, number: u32) -> Option<u8> {
        let key = [b"S", &number.to_be_bytes()[..]].concat();
        packed.get(&key).unwrap().map(|value| value[0])
    }

    #[test]
    fn rows_in_order_are_loaded_and_others_are_applied_all_the_same() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let packed = Packed::new(sled::Tree::clone(&db), 1024);
        packed.load(Vec::new()).unwrap();
        for from in [0, 1000, 2000] {
            packed.load(rows(from..from + 1000, 1)).unwrap();
        }
        // Again, between and before them: each wins over what is there.
        packed.load(rows(2999..3001, 2)).unwrap();
        packed.load(rows((500..600).rev(), 3)).unwrap();
        packed.load(rows(3001..3002, 4)).unwrap();
        let expected = |number: u32| match number {
            500..=599 => Some(3),
            2999..=3000 => Some(2),
            3001 => Some(4),
            ..=2998 => Some(1),
            _ => None,
        };
        for number in 0..3010 {
            assert_eq!(value(&packed, number), expected(number), "{number}");
        }
        let mut found = 0;
        let mut next = Some(sled::IVec::from(b"A"));
        while let Some(at) = next {
            let region = packed.around(&at).unwrap();
            let each = &mut |_: &[u8], _: &[u8]| {
                found += 1;
                true
            };
            next = region.each((&at, b"~"), each).unwrap();
        }
        assert_eq!(found, 3002);
    }

    #[test]
    fn a_tree_that_is_loaded_is_written_little_more_than_once() {
        let written = |load: fn(&Packed, Vec<Row>)| {
            let folder = tempfile::tempdir().unwrap();
            let config = sled::Config::new().path(folder.path());
            let db = config.flush_every_ms(None).open().unwrap();
            let packed = Packed::new(sled::Tree::clone(&db), 4096);
            for from in (0..40_000).step_by(4_000) {
                load(&packed, rows(from..from + 4_000, 7));
            }
            db.flush().unwrap();
            db.size_on_disk().unwrap()
        };
        let applied = written(|packed, rows| packed.apply(rows, None).unwrap());
        let loaded = written(|packed, rows| packed.load(rows).unwrap());
        assert!(loaded * 3 < applied * 2, "{loaded} and {applied} octets");
    }
}
