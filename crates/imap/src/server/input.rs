//! What has been heard and not been read: one command at a time, bounded.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use crate::codec::{Literal, literal_at_end};

/// What has been heard and not been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    octets: BytesMut,
    /// Where the line begins that is being looked for.
    line: usize,
    /// Up to here there is no line end.
    scanned: usize,
    /// How much of the command is literals.
    literals: usize,
    /// How many literals it has.
    literal_count: usize,
}

/// A line's end was looked for.
pub(super) enum Line {
    /// Where it is: behind the line's text, and behind its end.
    Ends(usize, usize),
    /// It has not been heard.
    Open,
    /// The command is longer than allowed.
    TooLong,
}

impl Input {
    /// Takes what has been heard; without a copy if nothing waits and nobody shares it.
    pub(super) fn feed(&mut self, octets: Bytes) {
        if self.octets.is_empty() {
            match octets.try_into_mut() {
                Ok(octets) => self.octets = octets,
                Err(octets) => self.octets = BytesMut::from(&octets[..]),
            }
        } else {
            self.octets.extend_from_slice(&octets);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Looks for the end of the command's current line. A bare LF ends it, too.
    pub(super) fn line(&mut self, octets_max: usize) -> Line {
        let found = memchr::memchr(b'\n', &self.octets[self.scanned..]);
        let end = found.map_or(self.octets.len(), |at| self.scanned + at);
        self.scanned = end;
        if end - self.literals > octets_max {
            return Line::TooLong;
        }
        if found.is_none() {
            return Line::Open;
        }
        let text = match self.octets[self.line..end].last() {
            Some(b'\r') => end - 1,
            _ => end,
        };
        Line::Ends(text, end + 1)
    }

    /// The command up to there.
    pub(super) fn upto(&self, end: usize) -> &[u8] {
        &self.octets[..end]
    }

    /// The last line of the command up to there.
    pub(super) fn last_line(&self, end: usize) -> &[u8] {
        &self.octets[self.line..end]
    }

    /// What of a command that is longer than `octets_max` is worth reading.
    pub(super) fn beginning(&self, octets_max: usize) -> &[u8] {
        &self.octets[..self.octets.len().min(octets_max).min(BEGINNING_OCTETS)]
    }

    /// How long the command's literals are, and how many, with one more of that length.
    pub(super) fn literals_with(&self, octets: u64) -> (u64, usize) {
        let all = (self.literals as u64).saturating_add(octets);
        (all, self.literal_count + 1)
    }

    /// The command goes on behind a literal that begins at `from`.
    pub(super) fn expect_literal(&mut self, from: usize, octets: usize) {
        self.literals += octets;
        self.literal_count += 1;
        self.line = from + octets;
        self.scanned = self.line;
    }

    /// Whether the literal has been heard to its end.
    pub(super) fn has_literal(&self) -> bool {
        self.octets.len() >= self.line
    }

    /// Forgets the command, which ended there.
    pub(super) fn consume(&mut self, end: usize) {
        if end >= self.octets.len() {
            self.clear(); // an idle connection keeps no buffer
        } else {
            self.octets.advance(end);
            self.line = 0;
            self.scanned = 0;
            self.literals = 0;
            self.literal_count = 0;
        }
    }

    /// The line that the command ends with so far has been found: the command up to there.
    pub(super) fn current(&self) -> Option<&[u8]> {
        let command = self.octets.get(..self.scanned)?;
        let is_whole = self.octets.get(self.scanned) == Some(&b'\n');
        is_whole.then(|| command.strip_suffix(b"\r").unwrap_or(command))
    }

    /// Takes the command whose text ends at `text`, and forgets it up to `end`.
    pub(super) fn take_command(&mut self, text: usize, end: usize) -> Bytes {
        let octets = if end >= self.octets.len() {
            mem::take(self).octets // an idle connection keeps no buffer
        } else {
            let octets = self.octets.split_to(end);
            self.consume(0);
            octets
        };
        let mut command = octets.freeze();
        command.truncate(text);
        command
    }

    /// Takes up to `left` octets of a literal that is not gathered.
    pub(super) fn take(&mut self, left: u64) -> Bytes {
        let count =
            usize::try_from(left).map_or(self.octets.len(), |left| left.min(self.octets.len()));
        let taken = self.octets.split_to(count).freeze();
        if self.octets.is_empty() {
            self.clear();
        }
        taken
    }

    /// Reads past a line of any length. Once it has ended: the literal that it announced, if
    /// any.
    pub(super) fn skip_line(&mut self) -> Option<Option<Literal>> {
        let Some(at) = memchr::memchr(b'\n', &self.octets) else {
            // What a line ends with is all that matters.
            let excess = self.octets.len().saturating_sub(LINE_END_OCTETS);
            self.octets.advance(excess);
            if excess > 0 {
                self.octets = BytesMut::from(&self.octets[..]);
            }
            return None;
        };
        let line = &self.octets[..at];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = &line[line.len().saturating_sub(LINE_END_OCTETS - 1)..];
        let literal = literal_at_end(line);
        self.consume(at + 1);
        Some(literal)
    }
}

/// Enough for `{18446744073709551615+}` and a line end. The line is cut to one octet less
/// than what is kept, so that it makes no difference where it was cut by the network.
const LINE_END_OCTETS: usize = 32;

/// Enough for any tag that makes sense.
const BEGINNING_OCTETS: usize = 256;
