//! The operations of a batch as they stand in a dense frame, which are some three fifths of them.
//!
//! ```text
//! operation: tag * 16 + class (1) | how many octets of its key are those of the key before, from the
//!            second on (1) | how many octets of its key are left (a number) | octets of its value (a
//!            number) | the key's first octet | what is left of the key, and the value, without zeros
//! ```
//!
//! Keys of one message, or of one mailbox, differ in the first octet and at the end. What is read are
//! the operations as they stand in a frame that is not dense.

use bytes::Bytes;

use super::{OpAt, Sealed};
use crate::zeros::{first, leave_out, number_from, number_to, put_back};

impl Sealed {
    /// The same, dense; `None` when that makes them no shorter.
    pub(crate) fn dense(&self) -> Option<Bytes> {
        let mut out = Vec::with_capacity(self.ops.len());
        let mut before: &[u8] = &[];
        for op in &self.index {
            let (key, rest) = self.octets_of(op);
            let (&table, behind) = key.split_first()?;
            let known = before.get(1..).unwrap_or_default();
            let pairs = behind.iter().zip(known).take(usize::from(u8::MAX));
            let shared = pairs.take_while(|(one, other)| one == other).count();
            out.push(op.tag << 4 | op.class as u8);
            out.push(u8::try_from(shared).expect("no more are taken"));
            number_to(&mut out, behind.len() - shared);
            number_to(&mut out, rest.len() - key.len());
            out.push(table);
            leave_out(&rest[1 + shared..], &mut out);
            before = key;
        }
        (out.len() < self.ops.len()).then(|| out.into())
    }

    /// The key of an operation, and the key with the value behind it.
    fn octets_of(&self, op: &OpAt) -> (&[u8], &[u8]) {
        let (key, value, end) = (op.key as usize, op.value as usize, op.end as usize);
        (&self.ops[key..value], &self.ops[key..end])
    }
}

/// The operations of a dense frame; `None` when the octets are not such.
pub(crate) fn read_dense(mut dense: &[u8]) -> Option<Bytes> {
    let mut ops = Vec::with_capacity(2 * dense.len());
    let mut before = 0..0;
    while !dense.is_empty() {
        let tag_and_class = first(&mut dense)?;
        let shared = usize::from(first(&mut dense)?);
        let left = number_from(&mut dense)?;
        let value = number_from(&mut dense)?;
        let table = first(&mut dense)?;
        let key = u16::try_from(left.checked_add(1 + shared)?).ok()?;
        ops.push(tag_and_class >> 4);
        ops.push(tag_and_class & 0xF);
        ops.extend_from_slice(&key.to_le_bytes());
        ops.extend_from_slice(&u32::try_from(value).ok()?.to_le_bytes());
        let at = ops.len();
        ops.push(table);
        if shared > 0 {
            let known = before.start + 1..before.start + 1 + shared;
            if known.end > before.end {
                return None;
            }
            ops.extend_from_within(known);
        }
        put_back(&mut dense, left.checked_add(value)?, &mut ops)?;
        before = at..at + usize::from(key);
    }
    Some(ops.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{batch::Batch, keys::Class};

    type Change = (bool, Vec<u8>, Vec<u8>);

    fn sealed(changes: &[Change]) -> Sealed {
        let mut batch = Batch::new(0);
        for (is_put, key, value) in changes {
            match is_put {
                true => batch.put_fresh(Class::Mail, key, value),
                false => batch.remove(Class::Queue, key),
            }
        }
        batch.seal(&[], &|_, _| Ok(None)).unwrap()
    }

    fn change() -> impl Strategy<Value = Change> {
        let octet = || prop_oneof![2 => Just(0), 1 => any::<u8>()];
        let key = proptest::collection::vec(prop_oneof![Just(0), Just(7)], 1..400);
        (
            any::<bool>(),
            key,
            proptest::collection::vec(octet(), 0..300),
        )
    }

    proptest! {
        #[test]
        fn operations_come_out_of_a_dense_frame_as_they_went_in(
            changes in proptest::collection::vec(change(), 1..12),
        ) {
            let sealed = sealed(&changes);
            if let Some(dense) = sealed.dense() {
                prop_assert!(dense.len() < sealed.ops.len());
                prop_assert_eq!(read_dense(&dense), Some(sealed.ops));
            }
        }

        #[test]
        fn any_octets_in_a_dense_frame_do_no_harm(octets in proptest::collection::vec(0..40_u8, 0..80)) {
            if let Some(ops) = read_dense(&octets) {
                prop_assert!(ops.len() <= 64 * octets.len(), "{} from {}", ops.len(), octets.len());
                let _ = crate::batch::read(&ops, |_| ());
            }
        }
    }

    #[test]
    fn dense_operations_have_these_octets_for_ever() {
        let changes = [
            (
                true,
                b"S\0\0\x0125".to_vec(),
                b"a\0\0\0\0\0\0\x09\0".to_vec(),
            ),
            (false, b"O\0\0\x0127".to_vec(), Vec::new()),
        ];
        let sealed = sealed(&changes);
        let dense = sealed.dense().unwrap();
        let put = [0x34, 0, 5, 9, b'S', 0x3C, 1, b'2', b'5', b'a', 0x10, 9];
        let remove = [0x22, 4, 1, 0, b'O', 1, b'7'];
        assert_eq!(dense[..], [&put[..], &remove[..]].concat());
        assert_eq!(read_dense(&dense), Some(sealed.ops));
    }

    #[test]
    fn operations_without_zeros_stay_as_they_are_when_that_is_shorter() {
        let long = (true, vec![7; 3], vec![7; 40]);
        let is_dense = |changes: &[Change]| sealed(changes).dense().is_some();
        assert!(is_dense(&[long]), "its head alone is shorter");
        let alternating = [0, 1, 2, 3, 4, 5, 6, 7].repeat(40);
        assert!(is_dense(&[(true, vec![7], alternating)]));
        let full = (
            true,
            vec![7],
            [0, 0, 1, 1, 1, 1, 1, 1].map(|n| n + 1).repeat(9),
        );
        assert!(is_dense(&[full]));
    }
}
