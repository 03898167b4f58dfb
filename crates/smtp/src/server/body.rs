//! Finds the end of a message in what a client sends after DATA.
//!
//! A message ends at `CRLF . CRLF` and nowhere else (RFC 5321 §4.1.1.4). A message with a bare LF,
//! a bare CR or a NUL is read to its real end and refused: what others might take for its end
//! cannot be smuggled through us. Dot-stuffing is undone (RFC 5321 §4.5.2). What is handed out are
//! slices of what came in; nothing is copied and nothing is kept but this small state.

use bytes::Bytes;

/// What [`Scanner::scan`] found.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Piece {
    /// A piece of the message.
    Chunk(Bytes),
    /// The end; what follows in the input are commands.
    End,
    /// The input is used up.
    Hungry,
}

/// Why a message cannot be taken; of several defects the greatest is told, so that it does not
/// depend on how the message was cut into segments.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Defect {
    /// An octet that no line of text holds, and that IMAP could not serve (RFC 3501 §9).
    Nul,
    /// More octets than a line may have.
    LongLine,
    /// A CR or LF without the other (RFC 5321 §2.3.8).
    BareLineEnd,
    /// More `Received` fields than a path can have (RFC 5321 §6.3).
    Loop,
    /// More octets than a message may have.
    Size,
}

/// What a message must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) octets_max: u64,
    pub(super) line_octets_max: u64,
    pub(super) received_max: u32,
}

/// Where in a message we are.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    limits: Limits,
    at: At,
    octets: u64,
    line_octets: u64,
    in_header: bool,
    /// How much of `Received:` this line begins with; [`NO_MATCH`] if it begins otherwise.
    matched: u8,
    received: u32,
    defect: Option<Defect>,
}

/// What has been seen last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    /// A CR that may be half a line end.
    Cr,
    /// A dot at the beginning of a line; it belongs to nobody yet.
    Dot,
    /// The same, and a CR.
    DotCr,
    /// CRLF, or nothing at all.
    LineStart,
    /// Something within a line.
    Middle,
}

impl Scanner {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            at: At::LineStart,
            octets: 0,
            line_octets: 0,
            in_header: true,
            matched: 0,
            received: 0,
            defect: None,
        }
    }

    /// What is wrong with the message, as far as it is known.
    pub(super) const fn defect(&self) -> Option<Defect> {
        self.defect
    }

    /// Length of the message so far, in octets, dot-stuffing undone.
    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Takes the next piece from the front of `input`. Pieces of a defective message are not
    /// handed out.
    pub(super) fn scan(&mut self, input: &mut Bytes) -> Piece {
        loop {
            let (run, used, ended) = self.walk(input);
            let chunk = input.split_to(used).slice(run);
            self.octets += chunk.len() as u64;
            if self.octets > self.limits.octets_max {
                self.spoil(Defect::Size);
            }
            if ended && chunk.is_empty() {
                return Piece::End;
            }
            debug_assert!(!ended, "the terminator is a walk of its own");
            if self.defect.is_none() && !chunk.is_empty() {
                return Piece::Chunk(chunk);
            }
            if input.is_empty() {
                return Piece::Hungry;
            }
        }
    }

    /// Walks to the next place where what is handed out is not what came in: a dot at the
    /// beginning of a line. Yields the run to hand out, how much is used up, and whether the
    /// message has ended.
    fn walk(&mut self, input: &[u8]) -> (std::ops::Range<usize>, usize, bool) {
        let mut from = 0;
        let mut here = 0;
        while let Some(&octet) = input.get(here) {
            match (self.at, octet) {
                (At::LineStart, b'.') => {
                    self.at = At::Dot;
                    if here > from {
                        return (from..here, here + 1, false);
                    }
                    here += 1;
                    from = here;
                }
                (At::Dot, b'\r') => {
                    self.at = At::DotCr;
                    here += 1;
                    from = here;
                }
                (At::DotCr, b'\n') => return (here..here, here + 1, true),
                (At::DotCr, _) => {
                    // The CR was part of the message after all; it counts, and nobody gets it.
                    self.octets += 1;
                    self.spoil(Defect::BareLineEnd);
                    self.at = At::Middle;
                }
                (At::Cr, b'\n') => {
                    here += 1;
                    self.end_line();
                }
                (At::Cr, _) => {
                    self.spoil(Defect::BareLineEnd);
                    self.at = At::Middle;
                }
                (At::Dot | At::LineStart | At::Middle, _) => here = self.within_line(input, here),
            }
        }
        (from..here, here, false)
    }

    /// Walks over a line's text, and over its end if that is here too.
    fn within_line(&mut self, input: &[u8], from: usize) -> usize {
        self.at = At::Middle;
        let rest = &input[from..];
        let length = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
        if self.in_header && self.matched != NO_MATCH {
            self.match_received(&rest[..length]);
        }
        self.line_octets += length as u64;
        if self.line_octets > self.limits.line_octets_max {
            self.spoil(Defect::LongLine);
        }
        match rest.get(length) {
            None => return from + length,
            Some(b'\r') if rest.get(length + 1) == Some(&b'\n') => {
                self.end_line();
                return from + length + 2;
            }
            Some(b'\r') => self.at = At::Cr,
            Some(b'\n') => self.spoil(Defect::BareLineEnd),
            Some(_) => self.spoil(Defect::Nul),
        }
        from + length + 1
    }

    fn end_line(&mut self) {
        if self.line_octets == 0 {
            self.in_header = false;
        }
        self.at = At::LineStart;
        self.line_octets = 0;
        self.matched = 0;
    }

    /// Goes on comparing the beginning of a header line with `Received:`.
    fn match_received(&mut self, part: &[u8]) {
        let wanted = &RECEIVED[usize::from(self.matched)..];
        let both = wanted.len().min(part.len());
        if !part[..both].eq_ignore_ascii_case(&wanted[..both]) {
            self.matched = NO_MATCH;
            return;
        }
        self.matched += both as u8;
        if both == wanted.len() {
            self.matched = NO_MATCH;
            self.received += 1;
            if self.received > self.limits.received_max {
                self.spoil(Defect::Loop);
            }
        }
    }

    fn spoil(&mut self, defect: Defect) {
        self.defect = self.defect.max(Some(defect));
    }
}

const RECEIVED: &[u8] = b"Received:";

/// More than the length of [`RECEIVED`].
const NO_MATCH: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        octets_max: 12,
        line_octets_max: 5,
        received_max: 0,
    };

    /// What is handed out, what is wrong, and what is left over.
    type Read = (Vec<u8>, Option<Defect>, Option<Vec<u8>>);

    fn scanned(slices: &[&[u8]]) -> Read {
        let mut scanner = Scanner::new(LIMITS);
        let mut found = Vec::new();
        for (number, slice) in slices.iter().enumerate() {
            let mut input = Bytes::copy_from_slice(slice);
            loop {
                match scanner.scan(&mut input) {
                    Piece::Chunk(chunk) => found.extend_from_slice(&chunk),
                    Piece::End => {
                        let rest = [&[&input[..]], &slices[number + 1..]].concat().concat();
                        return (found, scanner.defect(), Some(rest));
                    }
                    Piece::Hungry => break,
                }
            }
        }
        (found, scanner.defect(), None)
    }

    /// The same, written without any thought of speed.
    fn expected(whole: &[u8]) -> Read {
        let ends = |at: usize| {
            whole[at..].starts_with(b".\r\n") && (at == 0 || whole[..at].ends_with(b"\r\n"))
        };
        let end = (0..whole.len()).find(|&at| ends(at));
        let body = &whole[..end.unwrap_or(whole.len())];
        let mut message = Vec::new();
        for (at, &octet) in body.iter().enumerate() {
            let first = at == 0 || body[..at].ends_with(b"\r\n");
            if octet != b'.' || !first {
                message.push(octet);
            }
        }
        let text = String::from_utf8_lossy(&message).into_owned();
        let header = text.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        let header = if text.starts_with("\r\n") {
            String::new()
        } else {
            header
        };
        let bare = text.replace("\r\n", "").contains(['\r', '\n']);
        let length = |line: &str| line.bytes().filter(|b| !b"\r\n\0".contains(b)).count();
        let long = text.split("\r\n").any(|line| length(line) > 5);
        let received = header
            .split("\r\n")
            .any(|line| line.starts_with("received:"));
        let defect = [
            (message.len() > 12, Defect::Size),
            (received, Defect::Loop),
            (bare, Defect::BareLineEnd),
            (long, Defect::LongLine),
            (text.contains('\0'), Defect::Nul),
        ];
        let defect = defect
            .into_iter()
            .find(|(there, _)| *there)
            .map(|(_, defect)| defect);
        (message, defect, end.map(|end| whole[end + 3..].to_vec()))
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let words: &[&[u8]] = &[b"a", b".", b"\r", b"\n", b"\r\n", b"\r\n.", b".\r\n", b"\0"];
        let word = prop::sample::select(words);
        prop::collection::vec(word, 0..16).prop_map(|words| words.concat())
    }

    #[test]
    fn a_header_field_is_known_wherever_its_name_is_cut() {
        let whole = b"A:\r\nReCeived:\r\n\r\n.\r\n";
        for cut in 0..whole.len() {
            let (_, defect, rest) = scanned(&[&whole[..cut], &whole[cut..]]);
            assert_eq!(
                (defect, rest),
                (Some(Defect::Size), Some(Vec::new())),
                "{cut}"
            );
        }
        for other in [
            &b"AReceived:\r\n.\r\n"[..],
            b"\r\nReceived:\r\n.\r\n",
            b"Received\r\n.\r\n",
        ] {
            let (_, defect, _) = scanned(&[other]);
            assert_ne!(defect, Some(Defect::Loop), "{other:?}");
        }
        assert_eq!(scanned(&[b"Received:\r\n.\r\n"]).1, Some(Defect::Loop));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_fast_reader_agrees_with_the_slow_one(
            whole in octets(), cuts in prop::collection::vec(0_usize..9, 0..9),
        ) {
            let (mut slices, mut rest) = (Vec::new(), &whole[..]);
            for cut in cuts {
                let (slice, after) = rest.split_at(cut.min(rest.len()));
                slices.push(slice);
                rest = after;
            }
            slices.push(rest);
            let (message, defect, after) = expected(&whole);
            let (found, found_defect, found_after) = scanned(&slices);
            prop_assert_eq!(&found_after, &after);
            if after.is_some() {
                prop_assert_eq!(found_defect, defect);
            }
            if found_defect.is_none() && after.is_some() {
                prop_assert_eq!(found, message);
            }
        }
    }
}
