//! A set of numbers, kept as spans.

use std::ops::RangeInclusive;

use crate::respond;

/// Numbers as ascending spans that neither meet nor overlap: a mailbox's UIDs are mostly a few.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// The set of no numbers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The numbers of these spans, which may come in any order and overlap; a span that ends
    /// before it begins is empty.
    #[must_use]
    pub fn of_spans(mut spans: Vec<(u32, u32)>) -> Self {
        spans.retain(|(first, last)| first <= last);
        spans.sort_unstable();
        let mut whole = Self::new();
        for (first, last) in spans {
            whole.push_span(first, last);
        }
        whole
    }

    /// Adds a number that is not below any other.
    pub fn push(&mut self, number: u32) {
        self.push_span(number, number);
    }

    /// Adds a span that begins at or after the beginning of the last one.
    fn push_span(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => self.0.push((first, last)),
        }
    }

    /// The spans.
    pub fn spans(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.0.iter().map(|&(first, last)| first..=last)
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.spans().flatten()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0
            .iter()
            .map(|&(first, last)| u64::from(last - first) + 1)
            .sum()
    }

    /// Whether the number is one of them.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < number);
        self.0.get(at).is_some_and(|&(first, _)| first <= number)
    }

    /// The numbers that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::new();
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(&&(a_first, a_last)), Some(&&(b_first, b_last))) = (a.peek(), b.peek()) {
            let (first, last) = (a_first.max(b_first), a_last.min(b_last));
            if first <= last {
                both.push_span(first, last);
            }
            if a_last < b_last {
                a.next();
            } else {
                b.next();
            }
        }
        both
    }

    /// Takes these numbers away; they ascend.
    pub fn remove(&mut self, numbers: &[u32]) {
        let mut rest = Vec::with_capacity(self.0.len());
        let mut gone = numbers.iter().copied().peekable();
        for &(mut first, last) in &self.0 {
            while gone.next_if(|&number| number < first).is_some() {}
            while let Some(number) = gone.next_if(|&number| number <= last) {
                if first < number {
                    rest.push((first, number - 1));
                }
                first = number.saturating_add(1);
                if number == u32::MAX {
                    break;
                }
            }
            if first <= last && !(last == u32::MAX && numbers.last() == Some(&u32::MAX)) {
                rest.push((first, last));
            }
        }
        self.0 = rest;
    }

    /// Appends the set as `1:3,7`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for (n, &(first, last)) in self.0.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            respond::range(out, first, last);
        }
    }
}

impl FromIterator<u32> for Ranges {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        Self::of_spans(numbers.into_iter().map(|number| (number, number)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = BTreeSet<u32>> {
        proptest::collection::btree_set(prop_oneof![0..40_u32, u32::MAX - 3..=u32::MAX], 0..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn spans_mean_the_numbers_they_were_made_of(a in set(), b in set()) {
            let mut ranges: Ranges = a.iter().copied().collect();
            prop_assert_eq!(ranges.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(ranges.count(), a.len() as u64);
            for number in 0..45 {
                prop_assert_eq!(ranges.contains(number), a.contains(&number));
            }
            let other: Ranges = b.iter().copied().collect();
            let both: Ranges = a.intersection(&b).copied().collect();
            prop_assert_eq!(ranges.intersection(&other), both);
            ranges.remove(&b.iter().copied().collect::<Vec<_>>());
            let rest: Ranges = a.difference(&b).copied().collect();
            prop_assert_eq!(ranges, rest);
        }
    }
}
