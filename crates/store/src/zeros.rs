//! Octets with the zeros among them left out, and numbers in as few octets as they need.
//!
//! Records are of fixed width, so that they are read fast, and their numbers are mostly small: a third
//! to a half of their octets are zeros. Where many of them lie together, or are written for every
//! message, the zeros are left out:
//!
//! ```text
//! eight octets:   mask, with a bit for each that is not zero, the first one's lowest | those
//! after a mask of ones:   how many times eight octets more follow as they are (1) | those
//! ```
//!
//! At the end there may be fewer than eight. How many octets there are in all is not said.

/// Appends the octets to `out`, without their zeros.
pub(crate) fn leave_out(octets: &[u8], out: &mut Vec<u8>) {
    let mut rest = octets;
    while let Some((group, others)) = rest.split_first_chunk::<GROUP>() {
        rest = others;
        let mask = mask_of(group);
        put_group(group, mask, out);
        if mask == u8::MAX {
            // A mask for each would only make them more.
            let is_full = |group: &&[u8; GROUP]| mask_of(group).count_zeros() <= 1;
            let groups = rest
                .as_chunks::<GROUP>()
                .0
                .iter()
                .take(usize::from(u8::MAX));
            let more = groups.take_while(is_full).count();
            out.push(u8::try_from(more).expect("no more are taken"));
            let (as_they_are, others) = rest.split_at(more * GROUP);
            out.extend_from_slice(as_they_are);
            rest = others;
        }
    }
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        group[..rest.len()].copy_from_slice(rest);
        put_group(&group, mask_of(&group), out);
    }
}

fn put_group(group: &[u8; GROUP], mask: u8, out: &mut Vec<u8>) {
    let mut kept = [mask; 1 + GROUP];
    let (mut left, mut count) = (mask, 1);
    while left != 0 {
        kept[count] = group[left.trailing_zeros() as usize];
        count += 1;
        left &= left - 1;
    }
    out.extend_from_slice(&kept[..count]);
}

/// A bit for each octet that is not zero, the first one's lowest.
const fn mask_of(group: &[u8; GROUP]) -> u8 {
    const LOW: u64 = u64::MAX / 0xFF * 0x7F;
    let word = u64::from_le_bytes(*group);
    // The highest bit of each octet says whether there is any; then all of them come together in
    // the highest octet, where none is in another one's way.
    let any = ((((word & LOW) + LOW) | word) & !LOW) >> 7;
    (any.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// Appends `count` octets to `out`, with the zeros that were left out; `None` when the octets cannot
/// have been made so. It never becomes more than eight times what it is made from.
pub(crate) fn put_back(octets: &mut &[u8], count: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut left = count;
    while left > 0 {
        let mask = first(octets)?;
        let wanted = left.min(GROUP);
        let mut kept = take(octets, mask.count_ones() as usize)?.iter();
        let mut group = [0; GROUP];
        for (bit, octet) in group.iter_mut().enumerate() {
            if mask & (1 << bit) != 0 {
                *octet = *kept.next()?;
            }
        }
        let (group, beyond) = group.split_at(wanted);
        if beyond.iter().any(|&octet| octet != 0) {
            return None;
        }
        out.extend_from_slice(group);
        left -= wanted;
        if mask == u8::MAX {
            let more = usize::from(first(octets)?) * GROUP;
            left = left.checked_sub(more)?;
            out.extend_from_slice(take(octets, more)?);
        }
    }
    Some(())
}

/// Appends a number in groups of seven bits, the lowest first.
pub(crate) fn number_to(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number from the front; `None` when there is none.
pub(crate) fn number_from(octets: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let octet = first(octets)?;
        number |= usize::from(octet & 0x7F) << shift;
        if octet < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes the first octet.
pub(crate) fn first(octets: &mut &[u8]) -> Option<u8> {
    let (&octet, rest) = octets.split_first()?;
    *octets = rest;
    Some(octet)
}

/// Takes so many octets from the front.
pub(crate) fn take<'a>(octets: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = octets.split_at_checked(count)?;
    *octets = rest;
    Some(taken)
}

const GROUP: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn without(octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        leave_out(octets, &mut out);
        out
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![Just(0), any::<u8>()];
        let full = proptest::collection::vec(1..=u8::MAX, 0..3000);
        prop_oneof![proptest::collection::vec(octet, 0..200), full]
    }

    proptest! {
        #[test]
        fn what_was_left_out_is_put_back(octets in octets(), behind in 0..9_usize) {
            let mut less = without(&octets);
            let end = less.len();
            less.resize(end + behind, 7);
            let (mut rest, mut out) = (&less[..], vec![1]);
            prop_assert_eq!(put_back(&mut rest, octets.len(), &mut out), Some(()));
            prop_assert_eq!(&out[1..], &octets[..]);
            prop_assert_eq!(rest, &less[end..], "no more is taken than was made");
        }

        #[test]
        fn any_octets_do_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..60), count in 0..2000_usize) {
            let (mut rest, mut out) = (&octets[..], Vec::new());
            if put_back(&mut rest, count, &mut out).is_some() {
                prop_assert_eq!(out.len(), count);
            }
            prop_assert!(out.len() <= 8 * octets.len());
            let _ = number_from(&mut &octets[..]);
        }

        #[test]
        fn a_number_comes_back(number: usize) {
            let mut out = Vec::new();
            number_to(&mut out, number);
            prop_assert_eq!(number_from(&mut &out[..]), Some(number));
        }
    }

    #[test]
    fn octets_without_their_zeros_are_these_for_ever() {
        assert_eq!(
            without(&[0, 5, 0, 0, 0, 0, 0, 9, 0, 0, 3]),
            [0x82, 5, 9, 4, 3]
        );
        assert_eq!(without(&[0; 16]), [0, 0]);
        let text = without(b"eight of and then eight more\0\0");
        assert_eq!(text, b"\xFFeight of\x02 and then eight \x0Fmore");
    }
}
