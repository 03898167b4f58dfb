//! Sets of message numbers, as clients write them (RFC 3501 §9, `sequence-set`).

use std::num::NonZeroU32;

use super::{Cursor, Stop};

/// Sequence numbers or UIDs, in the order in which they were written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SequenceSet(Vec<(Number, Number)>);

/// One end of a range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Number {
    /// That number.
    Is(NonZeroU32),
    /// `*`: the highest there is.
    Last,
}

impl SequenceSet {
    /// A set of these ranges; `None` if there are none.
    #[must_use]
    pub fn new(ranges: Vec<(Number, Number)>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// The ranges; either end may be the higher one.
    #[must_use]
    pub fn ranges(&self) -> &[(Number, Number)] {
        &self.0
    }

    /// Whether `next` can begin a set.
    pub(crate) const fn begins(next: u8) -> bool {
        next.is_ascii_digit() || next == b'*'
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let mut ranges = Vec::new();
        loop {
            let from = number(cursor)?;
            let to = if cursor.eat(b':') {
                number(cursor)?
            } else {
                from
            };
            ranges.push((from, to));
            if !cursor.eat(b',') {
                return Ok(Self(ranges));
            }
        }
    }

    /// Appends the set as a client writes it.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for (n, &(from, to)) in self.0.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            from.write_to(out);
            if to != from {
                out.push(b':');
                to.write_to(out);
            }
        }
    }
}

impl Number {
    /// The number, where `last` is the highest there is.
    #[must_use]
    pub const fn or(self, last: u32) -> u32 {
        match self {
            Self::Is(number) => number.get(),
            Self::Last => last,
        }
    }

    fn write_to(self, out: &mut Vec<u8>) {
        match self {
            Self::Is(number) => crate::respond::number(out, u64::from(number.get())),
            Self::Last => out.push(b'*'),
        }
    }
}

fn number(cursor: &mut Cursor<'_>) -> Result<Number, Stop> {
    if cursor.eat(b'*') {
        return Ok(Number::Last);
    }
    NonZeroU32::new(cursor.number()?)
        .map(Number::Is)
        .ok_or_else(|| Stop::bad("message numbers begin with 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> Option<String> {
        let mut cursor = Cursor::new(text.as_bytes());
        let set = SequenceSet::parse(&mut cursor).ok()?;
        cursor.end().ok()?;
        let mut out = Vec::new();
        set.write_to(&mut out);
        String::from_utf8(out).ok()
    }

    #[test]
    fn sets_are_read_and_written() {
        for text in ["1", "*", "1:*", "2,4:7,9,12:*", "*:4,7:5", "4294967295"] {
            assert_eq!(round(text).as_deref(), Some(text));
        }
        for bad in ["", "0", "1:", "1,", ",1", "a", "1:2:3", "4294967296"] {
            assert_eq!(round(bad), None, "{bad}");
        }
    }
}
