//! IMAP's section numbers, turned into ranges of the message (RFC 3501 §6.4.5).

use std::ops::Range;

use crate::structure::{Message, PartId, PartKind};

/// What is wanted of the part that a section names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Section {
    /// `HEADER`, and what `HEADER.FIELDS` selects from: the header of the message or of the
    /// message in the part, its empty line included.
    Header,
    /// `MIME`: the part's own header.
    Mime,
    /// `TEXT`: what follows that header.
    Text,
    /// Nothing but numbers: the part's body, or the whole message.
    Whole,
}

impl Message<'_> {
    /// The range of a section; `None` when the message has none such. `path` holds the numbers
    /// before the word, as they are written: `1.2.HEADER` is `[1, 2]` and [`Section::Header`].
    #[must_use]
    pub fn section(&self, path: &[u32], section: Section) -> Option<Range<usize>> {
        let Some(id) = self.at_path(path)? else {
            let root = self.part(PartId::ROOT);
            return match section {
                Section::Header => Some(root.header.clone()),
                Section::Mime => None,
                Section::Text => Some(root.body.clone()),
                Section::Whole => Some(0..self.as_bytes().len()),
            };
        };
        let part = self.part(id);
        let within = || (part.kind == PartKind::Message).then(|| self.children(id).next())?;
        match section {
            Section::Header => Some(self.part(within()?).header.clone()),
            Section::Mime => Some(part.header.clone()),
            Section::Text => Some(self.part(within()?).body.clone()),
            Section::Whole => Some(part.body.clone()),
        }
    }

    /// The part that the numbers name, as BODYSTRUCTURE counts them; `Some(None)` for no numbers.
    #[must_use]
    pub fn at_path(&self, path: &[u32]) -> Option<Option<PartId>> {
        let Some((first, rest)) = path.split_first() else {
            return Some(None);
        };
        let mut id = self.numbered(PartId::ROOT, *first)?;
        for &number in rest {
            id = match self.part(id).kind {
                PartKind::Leaf => return None,
                PartKind::Message => self.numbered(self.children(id).next()?, number)?,
                PartKind::Multipart => self.child(id, number)?,
            };
        }
        Some(Some(id))
    }

    /// The part of that number in a message: if it is no multipart, its body is part 1.
    fn numbered(&self, root: PartId, number: u32) -> Option<PartId> {
        if self.part(root).kind == PartKind::Multipart {
            return self.child(root, number);
        }
        (number == 1).then_some(root)
    }

    fn child(&self, id: PartId, number: u32) -> Option<PartId> {
        self.children(id).nth((number as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RAW: &str = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npro\r\n\
        --b\r\nA: b\r\n\r\none\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
        --c\r\nB: x\r\n\r\ntwo.one\r\n--c\r\nB: y\r\n\r\ntwo.two\r\n--c--\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\nthree\r\n--b--\r\n";

    #[test]
    fn sections_are_numbered_as_in_rfc_3501() {
        use Section::{Header, Mime, Text, Whole};
        let message = Message::read(RAW.as_bytes());
        let get = |path: &[u32], section| message.section(path, section).map(|range| &RAW[range]);
        assert_eq!(get(&[], Whole), Some(RAW));
        assert!(get(&[], Header).unwrap().ends_with("boundary=b\r\n\r\n"));
        assert!(get(&[], Text).unwrap().starts_with("pro\r\n--b"));
        assert_eq!(get(&[], Mime), None);
        assert_eq!(get(&[1], Whole), Some("one"));
        assert_eq!(get(&[1], Mime), Some("A: b\r\n\r\n"));
        assert_eq!(get(&[1], Text), None);
        assert_eq!(get(&[1, 1], Whole), None);
        assert_eq!(
            get(&[2], Mime),
            Some("Content-Type: message/rfc822\r\n\r\n")
        );
        assert!(get(&[2], Header).unwrap().starts_with("Subject: inner\r\n"));
        assert!(get(&[2], Text).unwrap().starts_with("--c\r\n"));
        assert_eq!(get(&[2, 2], Whole), Some("two.two"));
        assert_eq!(get(&[2, 2], Mime), Some("B: y\r\n\r\n"));
        assert_eq!(get(&[2, 3], Whole), None);
        assert_eq!(get(&[3, 1], Whole), Some("three"));
        assert_eq!(get(&[3], Text), Some("three"));
        assert_eq!(get(&[3, 2], Whole), None);
        assert_eq!(get(&[0], Whole), None);
    }

    #[test]
    fn a_message_without_parts_is_its_own_part_one() {
        let message = Message::read(b"A: b\r\n\r\nbody");
        assert_eq!(message.section(&[1], Section::Whole), Some(8..12));
        assert_eq!(message.section(&[1], Section::Mime), Some(0..8));
        assert_eq!(message.section(&[2], Section::Whole), None);
        assert_eq!(message.section(&[1, 1], Section::Whole), None);
    }

    proptest! {
        #[test]
        fn no_path_leads_out_of_the_message(path in proptest::collection::vec(0_u32..4, 0..5)) {
            let message = Message::read(RAW.as_bytes());
            for section in [Section::Header, Section::Mime, Section::Text, Section::Whole] {
                if let Some(range) = message.section(&path, section) {
                    prop_assert!(range.start <= range.end && range.end <= RAW.len());
                }
            }
        }
    }
}
