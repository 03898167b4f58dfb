//! Cuts what a client sends into command lines, within bounds and without copying whole lines.

use bytes::Bytes;

/// Octets that have arrived and wait to be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    /// The beginning of a line whose end has not arrived; at most [`LINE_OCTETS_MAX`].
    carry: Vec<u8>,
    /// What has not been looked at.
    input: Bytes,
    /// The line that goes on here has been refused already.
    skipping: bool,
}

/// What [`Lines::next`] found.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// A line that ends with a bare LF, or holds one. The rest up to the next CRLF is skipped:
    /// a line is one command and gets one reply, whatever somebody hid in it.
    BareLf,
    /// A whole line, CRLF not included.
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

    /// The unread octets, for whoever reads no lines.
    pub(crate) const fn rest(&mut self) -> &mut Bytes {
        &mut self.input
    }

    /// Whether nothing is left, not even the beginning of a line.
    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_empty() && self.carry.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> Found {
        if self.skipping && !self.skip() {
            return Found::Nothing;
        }
        let Some(lf) = memchr::memchr(b'\n', &self.input) else {
            return self.keep();
        };
        let part = self.input.split_to(lf + 1);
        if self.carry.len() + part.len() > LINE_OCTETS_MAX {
            self.carry.clear();
            // The whole line is here: nothing is left to skip if it ended as lines do.
            self.skipping = lf == 0 || part[lf - 1] != b'\r';
            return Found::Overlong;
        }
        let line = if self.carry.is_empty() {
            part
        } else {
            let mut line = std::mem::take(&mut self.carry);
            line.extend_from_slice(&part);
            line.into()
        };
        if line.ends_with(b"\r\n") {
            return Found::Line(line.slice(..line.len() - 2));
        }
        self.skipping = true;
        Found::BareLf
    }

    /// Puts the beginning of a line aside until the rest arrives.
    fn keep(&mut self) -> Found {
        if self.carry.len() + self.input.len() >= LINE_OCTETS_MAX {
            // Only a CR that may yet begin the line's end must be remembered.
            let last = self.input.last().copied();
            self.carry.clear();
            self.carry.extend(last.filter(|&last| last == b'\r'));
            self.input.clear();
            self.skipping = true;
            return Found::Overlong;
        }
        self.carry.extend_from_slice(&self.input);
        self.input.clear();
        Found::Nothing
    }

    /// Drops octets up to the next CRLF; whether it was there.
    fn skip(&mut self) -> bool {
        while let Some(lf) = memchr::memchr(b'\n', &self.input) {
            let part = self.input.split_to(lf + 1);
            let before = if lf == 0 {
                self.carry.last()
            } else {
                part.get(lf - 1)
            };
            let ended = before == Some(&b'\r');
            self.carry.clear();
            if ended {
                self.skipping = false;
                return true;
            }
        }
        if let Some(&last) = self.input.last() {
            self.carry.clear();
            self.carry.extend(Some(last).filter(|&last| last == b'\r'));
        }
        self.input.clear();
        false
    }
}

/// Longest line of a dialogue, CRLF included, in octets: what AUTH may need (RFC 4954 §4). Other
/// commands are held to less by their reader.
pub(crate) const LINE_OCTETS_MAX: usize = 12_288;

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
            assert!(lines.carry.len() <= LINE_OCTETS_MAX);
        }
        found
    }

    #[test]
    fn only_crlf_ends_a_line_and_a_bad_line_counts_once() {
        let line = |text: &'static str| Found::Line(Bytes::from_static(text.as_bytes()));
        assert_eq!(
            all(&[b"a\r\nb\nc\nd\r\ne\r", b"\n"]),
            [line("a"), Found::BareLf, line("e")]
        );
        let long = [b"x".repeat(LINE_OCTETS_MAX - 2), b"\r\n".to_vec()].concat();
        assert!(matches!(all(&[&long])[..], [Found::Line(_)]));
        let longer = [b"x", &long[..], b"a\r\n"].concat();
        assert_eq!(all(&[&longer]), [Found::Overlong, line("a")]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn slicing_changes_nothing(
            parts in prop::collection::vec(prop_oneof![
                Just("\r\n".to_owned()), Just("\n".to_owned()), Just("\r".to_owned()),
                Just("x".repeat(LINE_OCTETS_MAX - 1)), "[ab]{0,9}",
            ], 0..12),
            cuts in prop::collection::vec(1_usize..5000, 0..40),
        ) {
            let whole = parts.concat().into_bytes();
            let (mut slices, mut rest) = (Vec::new(), &whole[..]);
            for cut in cuts {
                let (slice, after) = rest.split_at(cut.min(rest.len()));
                slices.push(slice);
                rest = after;
            }
            slices.push(rest);
            prop_assert_eq!(all(&slices), all(&[&whole]));
        }
    }
}
