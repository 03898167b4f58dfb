//! Cuts what a client sends into lines, within bounds.

use bytes::Bytes;

/// Octets that have arrived and wait to be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    /// The beginning of a line; at most [`LINE_OCTETS_MAX`].
    carry: Vec<u8>,
    input: Bytes,
    /// The line that goes on here has been refused already.
    skipping: bool,
}

/// What [`Lines::next`] found.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// A whole line, without its end.
    Line(Bytes),
    /// Not a whole line yet.
    Nothing,
    /// A line longer than [`LINE_OCTETS_MAX`]; its rest is skipped.
    Overlong,
}

impl Lines {
    /// Adds what arrived. Nothing is copied if everything before has been read.
    pub(crate) fn push(&mut self, octets: Bytes) {
        if self.input.is_empty() {
            self.input = octets;
        } else {
            self.input = [&self.input[..], &octets[..]].concat().into();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_empty() && self.carry.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next line. A bare LF ends one too: a person may type here, and nothing is passed on.
    pub(crate) fn next(&mut self) -> Found {
        while let Some(lf) = memchr::memchr(b'\n', &self.input) {
            let part = self.input.split_to(lf + 1);
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.carry.len() + part.len() > LINE_OCTETS_MAX {
                self.carry.clear();
                return Found::Overlong;
            }
            if self.carry.is_empty() {
                return Found::Line(without_end(part));
            }
            let mut line = std::mem::take(&mut self.carry);
            line.extend_from_slice(&part);
            return Found::Line(without_end(line.into()));
        }
        let rest = std::mem::take(&mut self.input);
        if self.skipping {
            return Found::Nothing;
        }
        if self.carry.len() + rest.len() >= LINE_OCTETS_MAX {
            self.carry.clear();
            self.skipping = true;
            return Found::Overlong;
        }
        self.carry.extend_from_slice(&rest);
        Found::Nothing
    }
}

fn without_end(line: Bytes) -> Bytes {
    let end = if line.ends_with(b"\r\n") { 2 } else { 1 };
    line.slice(..line.len() - end)
}

/// Longest line, its end included, in octets. Departs from RFC 2449 §4, which allows 255: an
/// answer of AUTH may be longer than that (RFC 5034 §4).
const LINE_OCTETS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(slices: &[&[u8]]) -> Vec<Found> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for slice in slices {
            lines.push(Bytes::copy_from_slice(slice));
            loop {
                match lines.next() {
                    Found::Nothing => break,
                    other => found.push(other),
                }
            }
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn slicing_changes_nothing(
            parts in prop::collection::vec(prop_oneof![
                Just("\r\n".to_owned()), Just("\n".to_owned()), Just("x".repeat(4000)), "[ab]{0,99}",
            ], 0..12),
            cut in 0_usize..20_000,
        ) {
            let whole = parts.concat().into_bytes();
            let (first, second) = whole.split_at(cut.min(whole.len()));
            prop_assert_eq!(all(&[first, second]), all(&[&whole]));
        }
    }
}
