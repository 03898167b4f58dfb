//! A message as a tree of parts, each a range of its octets (RFC 2046 §5).

use std::ops::Range;

use crate::{content::Content, header::Header, reader::Reader};

/// A message and its parts. Nothing is copied: parts are ranges of the octets.
///
/// Reading never fails: a multipart without boundaries has no parts, one without an end ends with
/// what holds it, and beyond [`PARTS_MAX`] parts or [`DEPTH_MAX`] levels the rest is one body.
/// Where the RFCs are silent, this is what Dovecot makes of it.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    raw: &'a [u8],
    parts: Vec<Part>,
}

/// The place of a part in [`Message::parts`]; the message itself is [`PartId::ROOT`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PartId(pub(crate) usize);

/// One part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// The header with the empty line at its end. Empty if the part has none.
    pub header: Range<usize>,
    /// What follows, without the line end that belongs to the boundary.
    pub body: Range<usize>,
    /// What kind of tree grows below.
    pub kind: PartKind,
    /// The part above.
    pub parent: Option<PartId>,
    /// The place behind the last part below this one.
    pub(crate) next: usize,
}

/// What a part's body holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PartKind {
    /// Octets.
    Leaf,
    /// A whole message: `message/rfc822`, `message/global`, or anything untyped in a digest. The
    /// one part below is that message.
    Message,
    /// Parts between boundaries. There may be none.
    Multipart,
}

impl PartId {
    /// The message itself.
    pub const ROOT: Self = Self(0);
}

impl<'a> Message<'a> {
    /// Finds the parts of a message.
    #[must_use]
    pub fn read(raw: &'a [u8]) -> Self {
        Self {
            raw,
            parts: Reader::read(raw),
        }
    }

    /// The octets of the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// Every part in the order of the text, each before those below it; the first is the message
    /// itself.
    pub fn parts(&self) -> impl Iterator<Item = (PartId, &Part)> {
        self.parts
            .iter()
            .enumerate()
            .map(|(at, part)| (PartId(at), part))
    }

    /// That part.
    #[must_use]
    pub fn part(&self, id: PartId) -> &Part {
        &self.parts[id.0]
    }

    /// The parts right below that one.
    pub fn children(&self, id: PartId) -> impl Iterator<Item = PartId> + '_ {
        let end = self.parts[id.0].next;
        let mut at = id.0 + 1;
        std::iter::from_fn(move || {
            let child = PartId(at);
            (at < end).then(|| {
                at = self.parts[at].next;
                child
            })
        })
    }

    /// The header of that part.
    #[must_use]
    pub fn header(&self, id: PartId) -> Header<'a> {
        Header::new(&self.raw[self.part(id).header.clone()])
    }

    /// The body of that part, still encoded.
    #[must_use]
    pub fn body(&self, id: PartId) -> &'a [u8] {
        &self.raw[self.part(id).body.clone()]
    }

    /// What the `Content-` fields of that part say.
    #[must_use]
    pub fn content(&self, id: PartId) -> Content<'a> {
        Content::of(self.header(id))
    }

    /// How many lines the body of each part has, by place: IMAP tells them of texts and messages.
    /// Every octet is looked at once, however deep the parts are nested.
    #[must_use]
    pub fn line_counts(&self) -> Vec<u32> {
        let count = |range: Range<usize>| {
            let lines = memchr::memchr_iter(b'\n', &self.raw[range]).count();
            u32::try_from(lines).unwrap_or(u32::MAX)
        };
        let mut lines = vec![0_u32; self.parts.len()];
        let mut headers = vec![0_u32; self.parts.len()];
        for id in (0..self.parts.len()).rev() {
            let part = &self.parts[id];
            let mut at = part.body.start;
            let mut sum = 0_u32;
            for child in self.children(PartId(id)) {
                let below = &self.parts[child.0];
                sum = sum
                    .saturating_add(count(at..below.header.start))
                    .saturating_add(headers[child.0])
                    .saturating_add(lines[child.0]);
                at = below.body.end;
            }
            lines[id] = sum.saturating_add(count(at..part.body.end));
            headers[id] = count(part.header.clone());
        }
        lines
    }
}

impl Part {
    /// The length of the body.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.body.len()
    }
}

/// More parts than any honest message has (Dovecot stops at the same number).
pub const PARTS_MAX: usize = 10_000;
/// More levels than any honest message has (Dovecot stops at the same number).
pub const DEPTH_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each part on a line: depth, kind, header, body.
    fn shape(raw: &str) -> Vec<String> {
        let message = Message::read(raw.as_bytes());
        let depth =
            |part: &Part| std::iter::successors(part.parent, |id| message.part(*id).parent).count();
        let line = |(_, part): (PartId, &Part)| {
            let (header, body) = (&raw[part.header.clone()], &raw[part.body.clone()]);
            format!("{} {:?} {header:?} {body:?}", depth(part), part.kind)
        };
        message.parts().skip(1).map(line).collect()
    }

    const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\n\n";

    #[test]
    fn parts_lie_between_boundaries_and_the_line_end_is_the_boundarys() {
        let raw = format!("{MIXED}pro\n--b\nA: b\n\none\n\n--b \n\ntwo\n--b--\nepi\n--b\n");
        assert_eq!(
            shape(&raw),
            ["1 Leaf \"A: b\\n\\n\" \"one\\n\"", "1 Leaf \"\\n\" \"two\""]
        );
    }

    #[test]
    fn broken_multiparts_are_read_as_far_as_they_go() {
        assert_eq!(
            shape(&format!("{MIXED}--b\n\nnever ends\n")),
            ["1 Leaf \"\\n\" \"never ends\\n\""]
        );
        assert_eq!(shape(&format!("{MIXED}--b--\n")), [""; 0]);
        assert_eq!(shape(&format!("{MIXED}--b\n--b--\n")), ["1 Leaf \"\" \"\""]);
        assert_eq!(
            shape(&format!("{MIXED}--b\nA: b\n--b--\n")),
            ["1 Leaf \"A: b\" \"\""]
        );
        assert_eq!(shape("Content-Type: multipart/mixed\n\n--b\n"), [""; 0]);
    }

    #[test]
    fn an_outer_boundary_ends_what_is_open_inside() {
        let inner = "Content-Type: multipart/mixed; boundary=b1\n\n";
        let raw = format!("{MIXED}--b\n{inner}--b1\n\nx\n--b\n\ny\n--b1\n--b--\n");
        assert_eq!(
            shape(&raw),
            [
                format!("1 Multipart {inner:?} \"--b1\\n\\nx\""),
                "2 Leaf \"\\n\" \"x\"".to_owned(),
                "1 Leaf \"\\n\" \"y\"".to_owned(),
                "1 Leaf \"\" \"\"".to_owned(),
            ]
        );
    }

    #[test]
    fn untyped_parts_of_a_digest_are_messages() {
        let raw = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: b\n\nx\n--b--\n";
        assert_eq!(
            shape(raw),
            [
                "1 Message \"\\n\" \"A: b\\n\\nx\"",
                "2 Leaf \"A: b\\n\\n\" \"x\""
            ]
        );
    }

    #[test]
    fn lines_are_those_of_the_body() {
        let raw = format!(
            "{MIXED}--b\n\na\nb\n--b\nContent-Type: message/rfc822\n\nC: d\n\ne\n\n--b--\n"
        );
        assert_eq!(Message::read(raw.as_bytes()).line_counts(), [12, 1, 3, 1]);
    }

    #[test]
    fn depth_and_number_of_parts_are_bounded() {
        let deep = "Content-Type: message/rfc822\n\n".repeat(5000);
        let message = Message::read(deep.as_bytes());
        assert_eq!(message.parts().count(), DEPTH_MAX + 1);
        let many = format!("{MIXED}{}", "--b\n\n".repeat(20_000));
        assert_eq!(Message::read(many.as_bytes()).parts().count(), PARTS_MAX);
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_part_above_and_behind_one_another(lines in "(--b\n|--bc\n|--b--\n|--bc--\n|\n|x\n|C|ontent-Type: |message/rfc822|multipart/mixed;|boundary=b|boundary=bc|Content-Type: multipart/digest;boundary=bc\n\n|Content-Type: message/rfc822\n\n){0,40}", bare: bool) {
            let raw = format!("{MIXED}{lines}");
            let raw = if bare { raw } else { raw.replace('\n', "\r\n") };
            let message = Message::read(raw.as_bytes());
            prop_assert_eq!(&message.part(PartId::ROOT).body.end, &raw.len());
            for (id, part) in message.parts() {
                prop_assert!(part.header.end <= part.body.start && part.body.start <= part.body.end);
                let mut at = part.body.start;
                for child in message.children(id) {
                    let below = message.part(child);
                    prop_assert!(below.header.start >= at && below.body.end <= part.body.end);
                    prop_assert_eq!(below.parent, Some(id));
                    at = below.body.end;
                }
                prop_assert!(part.kind != PartKind::Message || message.children(id).count() == 1);
            }
            let lines = message.line_counts();
            for (id, _) in message.parts() {
                let counted = message.body(id).iter().filter(|&&b| b == b'\n').count();
                prop_assert_eq!(lines[id.0] as usize, counted);
            }
        }

        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>) {
            let _ = Message::read(&octets).line_counts();
        }
    }
}
