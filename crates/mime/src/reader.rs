//! Finds the parts of a message in one pass: headers, and lines that are boundaries.

use std::{borrow::Cow, ops::Range};

use memchr::{memchr, memmem};

use crate::{
    content::ContentType,
    header::Header,
    structure::{DEPTH_MAX, PARTS_MAX, Part, PartId, PartKind},
};

/// What is known while the message is read.
pub(crate) struct Reader<'a> {
    raw: &'a [u8],
    parts: Vec<Part>,
    /// The parts whose end is not yet known, outermost first.
    open: Vec<Open>,
    /// Of the multiparts among them, outermost first.
    boundaries: Vec<Boundary<'a>>,
}

struct Open {
    id: usize,
    /// Whether untyped parts in it are messages (RFC 2046 §5.1.5).
    is_digest: bool,
}

struct Boundary<'a> {
    part: usize,
    text: Cow<'a, [u8]>,
}

/// A line that is a boundary.
struct Found {
    at: usize,
    level: usize,
    is_last: bool,
}

enum Kind<'a> {
    Leaf,
    Message,
    Multipart {
        boundary: Option<Cow<'a, [u8]>>,
        is_digest: bool,
    },
}

impl<'a> Reader<'a> {
    /// Reads the message from its beginning to its end.
    pub(crate) fn read(raw: &'a [u8]) -> Vec<Part> {
        let mut reader = Self {
            raw,
            parts: Vec::with_capacity(4),
            open: Vec::with_capacity(4),
            boundaries: Vec::new(),
        };
        reader.run();
        reader.parts
    }

    fn run(&mut self) {
        let mut from = self.begin(0);
        while let Some(found) = self.next_boundary(from) {
            let owner = self.boundaries[found.level].part;
            // A line end that already ended the line before is not the boundary's.
            let end = self.before_line_end(found.at).max(from);
            while self.open.last().is_some_and(|open| open.id != owner) {
                self.end(end);
            }
            self.boundaries
                .truncate(found.level + usize::from(!found.is_last));
            from = self.behind_line(found.at);
            if !found.is_last {
                from = self.begin(from);
            }
        }
        while !self.open.is_empty() {
            self.end(self.raw.len());
        }
    }

    /// Begins the part whose header is at `start`, and the messages that begin with its body.
    /// Returns where the innermost body is.
    fn begin(&mut self, mut start: usize) -> usize {
        loop {
            let (mut body, mut is_cut) = self.header_end(start);
            let header = Header::new(&self.raw[start..body]);
            let is_full = self.parts.len() + 1 >= PARTS_MAX || self.open.len() >= DEPTH_MAX;
            let kind = if is_full {
                Kind::Leaf
            } else {
                self.kind(header)
            };
            let own = match &kind {
                Kind::Multipart { boundary, .. } => boundary.as_deref(),
                Kind::Leaf | Kind::Message => None,
            };
            if !is_cut && self.is_other_boundary(body, own) {
                // Without a body the empty line is the line end before the boundary.
                is_cut = true;
                body = self.before_line_end(body).max(start);
            }
            let is_digest = matches!(
                kind,
                Kind::Multipart {
                    is_digest: true,
                    ..
                }
            );
            let place = match kind {
                Kind::Leaf => PartKind::Leaf,
                Kind::Message => PartKind::Message,
                Kind::Multipart { .. } => PartKind::Multipart,
            };
            let id = self.push(start..body, place, is_digest);
            match kind {
                Kind::Message if is_cut => {
                    self.push(body..body, PartKind::Leaf, false);
                    return body;
                }
                Kind::Message => start = body,
                Kind::Multipart {
                    boundary: Some(text),
                    ..
                } if !is_cut => {
                    self.boundaries.push(Boundary { part: id, text });
                    return body;
                }
                Kind::Leaf | Kind::Multipart { .. } => return body,
            }
        }
    }

    /// Whether the line at `at` is a boundary, and not the one that the part itself brings.
    fn is_other_boundary(&self, at: usize, own: Option<&[u8]>) -> bool {
        let Some(found) = self.boundary_at(at) else {
            return false;
        };
        let is_own = own.is_some_and(|own| {
            own.len() >= self.boundaries[found.level].text.len()
                && self.raw[at + 2..].starts_with(own)
        });
        !is_own
    }

    fn push(&mut self, header: Range<usize>, kind: PartKind, is_digest: bool) -> usize {
        let id = self.parts.len();
        self.parts.push(Part {
            body: header.end..header.end,
            header,
            kind,
            parent: self.open.last().map(|open| PartId(open.id)),
            next: 0,
        });
        self.open.push(Open { id, is_digest });
        id
    }

    /// Ends the innermost part that is open.
    fn end(&mut self, end: usize) {
        if let Some(open) = self.open.pop() {
            let next = self.parts.len();
            let part = &mut self.parts[open.id];
            part.next = next;
            part.body.end = end.max(part.body.start);
        }
    }

    fn kind(&self, header: Header<'a>) -> Kind<'a> {
        let Some(field) = header.find("Content-Type") else {
            let is_message = self.open.last().is_some_and(|open| open.is_digest);
            return if is_message {
                Kind::Message
            } else {
                Kind::Leaf
            };
        };
        let value = ContentType::read(field.value);
        if value.is_message() {
            Kind::Message
        } else if value.is_multipart() {
            Kind::Multipart {
                is_digest: value.is("multipart", "digest"),
                boundary: value
                    .params
                    .take("boundary")
                    .filter(|text| !text.is_empty()),
            }
        } else {
            Kind::Leaf
        }
    }

    /// Where the header that begins at `start` ends, and whether a boundary cut it short: the line
    /// end before the boundary is not the header's then.
    fn header_end(&self, start: usize) -> (usize, bool) {
        let mut at = start;
        loop {
            match &self.raw[at..] {
                [] => return (at, false),
                [b'\n', ..] => return (at + 1, false),
                [b'\r', b'\n', ..] => return (at + 2, false),
                [b'-', b'-', ..] if self.boundary_at(at).is_some() => {
                    return (self.before_line_end(at).max(start), true);
                }
                _ => at = self.behind_line(at),
            }
        }
    }

    /// The first boundary of an open multipart from `from` on.
    fn next_boundary(&self, from: usize) -> Option<Found> {
        if self.boundaries.is_empty() || self.parts.len() >= PARTS_MAX {
            return None;
        }
        // Only behind a header that a boundary cut short is this not the beginning of a line.
        if self.raw[..from].ends_with(b"\n")
            && let Some(found) = self.boundary_at(from)
        {
            return Some(found);
        }
        memmem::find_iter(&self.raw[from..], b"\n--")
            .find_map(|line_end| self.boundary_at(from + line_end + 1))
    }

    /// The boundary at the beginning of the line at `at`: the longest that fits, and of equals the
    /// innermost. It need not be the whole line (RFC 2046 §5.1.1).
    fn boundary_at(&self, at: usize) -> Option<Found> {
        let line = self.raw[at..].strip_prefix(b"--")?;
        let fitting = self.boundaries.iter().enumerate();
        let (level, boundary) = fitting
            .filter(|(_, boundary)| line.starts_with(&boundary.text))
            .max_by_key(|(_, boundary)| boundary.text.len())?;
        Some(Found {
            at,
            level,
            is_last: line[boundary.text.len()..].starts_with(b"--"),
        })
    }

    fn behind_line(&self, at: usize) -> usize {
        memchr(b'\n', &self.raw[at..]).map_or(self.raw.len(), |line_end| at + line_end + 1)
    }

    fn before_line_end(&self, at: usize) -> usize {
        match &self.raw[..at] {
            [.., b'\r', b'\n'] => at - 2,
            [.., b'\n'] => at - 1,
            _ => at,
        }
    }
}
