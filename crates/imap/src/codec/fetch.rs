//! What FETCH can be asked for (RFC 3501 §6.4.5).

use super::{Cursor, Stop};
use crate::respond;

/// One thing to read of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FetchItem {
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822`: everything; sets `\Seen`.
    Rfc822,
    /// `RFC822.HEADER`
    Rfc822Header,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `RFC822.TEXT`: everything behind the header; sets `\Seen`.
    Rfc822Text,
    /// `BODY[…]` or `BODY.PEEK[…]`
    Section(Section),
    /// `UID`
    Uid,
}

/// A part of a message's octets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Section {
    /// Whether `\Seen` stays as it is.
    pub peek: bool,
    /// Numbers down the tree of parts, from 1; empty: the message itself.
    pub part: Vec<u32>,
    /// What of that part.
    pub what: SectionText,
    /// Only so many octets, and from which one on.
    pub partial: Option<Partial>,
}

/// What of a part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SectionText {
    /// All of it.
    All,
    /// Its header (of a message).
    Header,
    /// These fields of its header.
    HeaderFields(Vec<String>),
    /// The fields of its header but these.
    HeaderFieldsNot(Vec<String>),
    /// Its MIME header (of a part).
    Mime,
    /// What is behind its header (of a message).
    Text,
}

/// `<from.count>`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Partial {
    /// The first octet, from 0.
    pub from: u32,
    /// How many, at least one.
    pub count: u32,
}

/// How much of a message must be read to answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Depth {
    /// Only what the mailbox knows of it.
    Row,
    /// Its header.
    Header,
    /// Its octets.
    Body,
}

impl FetchItem {
    /// How much of a message must be read to answer this.
    #[must_use]
    pub fn depth(&self) -> Depth {
        match self {
            Self::Flags | Self::InternalDate | Self::Rfc822Size | Self::Uid => Depth::Row,
            Self::Envelope | Self::Rfc822Header => Depth::Header,
            Self::Body | Self::BodyStructure | Self::Rfc822 | Self::Rfc822Text => Depth::Body,
            Self::Section(section) => section.depth(),
        }
    }

    /// Whether reading this sets `\Seen`.
    #[must_use]
    pub const fn sets_seen(&self) -> bool {
        matches!(
            self,
            Self::Rfc822 | Self::Rfc822Text | Self::Section(Section { peek: false, .. })
        )
    }

    /// The items after the set of a FETCH.
    pub(crate) fn parse_all(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, Stop> {
        if !cursor.eat(b'(') {
            let mut word = cursor.clone();
            let name = word.word();
            let all = [
                Self::Flags,
                Self::InternalDate,
                Self::Rfc822Size,
                Self::Envelope,
                Self::Body,
            ];
            let count = match () {
                () if name.eq_ignore_ascii_case("FAST") => 3,
                () if name.eq_ignore_ascii_case("ALL") => 4,
                () if name.eq_ignore_ascii_case("FULL") => 5,
                () => return Ok(vec![Self::parse(cursor)?]),
            };
            *cursor = word;
            return Ok(all.into_iter().take(count).collect());
        }
        let mut items = Vec::new();
        loop {
            let item = Self::parse(cursor)?;
            if !items.contains(&item) {
                items.push(item);
            }
            if items.len() > ITEMS_MAX {
                return Err(Stop::bad("too many items"));
            }
            if cursor.eat(b')') {
                return Ok(items);
            }
            cursor.space()?;
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let word = cursor.word();
        let plain = PLAIN
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(word));
        let peek = word.eq_ignore_ascii_case("BODY.PEEK");
        match plain {
            Some((Self::Body, _)) if cursor.peek() == Some(b'[') => {
                Section::parse(cursor, false).map(Self::Section)
            }
            Some((item, _)) => Ok(item.clone()),
            None if peek => Section::parse(cursor, true).map(Self::Section),
            None => Err(Stop::bad("an item is unknown")),
        }
    }

    /// Appends the item as a client asks for it.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Section(section) => {
                out.extend_from_slice(if section.peek { b"BODY.PEEK" } else { b"BODY" });
                section.write_brackets(out);
                if let Some(partial) = section.partial {
                    out.push(b'<');
                    respond::number(out, u64::from(partial.from));
                    out.push(b'.');
                    respond::number(out, u64::from(partial.count));
                    out.push(b'>');
                }
            }
            plain => {
                let name = PLAIN.iter().find(|(item, _)| item == plain);
                out.extend_from_slice(name.map_or("", |(_, name)| name).as_bytes());
            }
        }
    }
}

impl Section {
    /// How much of a message must be read to answer this.
    #[must_use]
    pub fn depth(&self) -> Depth {
        match self.what {
            SectionText::All | SectionText::Text | SectionText::Mime => Depth::Body,
            _ if self.part.is_empty() => Depth::Header,
            _ => Depth::Body,
        }
    }

    fn parse(cursor: &mut Cursor<'_>, peek: bool) -> Result<Self, Stop> {
        cursor.expect(b'[', "a section begins with [")?;
        let mut part = Vec::new();
        while cursor.peek().is_some_and(|next| next.is_ascii_digit()) {
            match cursor.number()? {
                0 => return Err(Stop::bad("parts are counted from 1")),
                _ if part.len() == PARTS_MAX => return Err(Stop::bad("the part lies too deep")),
                number => part.push(number),
            }
            if !cursor.eat(b'.') {
                cursor.expect(b']', "a section ends with ]")?;
                let what = SectionText::All;
                let partial = Partial::parse(cursor)?;
                return Ok(Self {
                    peek,
                    part,
                    what,
                    partial,
                });
            }
        }
        let what = SectionText::parse(cursor, &part)?;
        cursor.expect(b']', "a section ends with ]")?;
        let partial = Partial::parse(cursor)?;
        Ok(Self {
            peek,
            part,
            what,
            partial,
        })
    }

    /// Appends `[…]` as both sides write it.
    pub(crate) fn write_brackets(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (n, &number) in self.part.iter().enumerate() {
            if n > 0 {
                out.push(b'.');
            }
            respond::number(out, u64::from(number));
        }
        let (text, fields) = self.what.written();
        if !self.part.is_empty() && !text.is_empty() {
            out.push(b'.');
        }
        out.extend_from_slice(text.as_bytes());
        for (n, field) in fields.iter().enumerate() {
            out.extend_from_slice(if n == 0 { b" (" } else { b" " });
            respond::astring(out, field.as_bytes());
        }
        out.extend_from_slice(if fields.is_empty() { b"]" } else { b")]" });
    }
}

impl SectionText {
    fn parse(cursor: &mut Cursor<'_>, part: &[u32]) -> Result<Self, Stop> {
        let word = cursor.word();
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        match () {
            () if word.is_empty() && part.is_empty() => Ok(Self::All),
            () if is("HEADER") => Ok(Self::Header),
            () if is("TEXT") => Ok(Self::Text),
            () if is("MIME") && !part.is_empty() => Ok(Self::Mime),
            () if is("HEADER.FIELDS") => Ok(Self::HeaderFields(fields(cursor)?)),
            () if is("HEADER.FIELDS.NOT") => Ok(Self::HeaderFieldsNot(fields(cursor)?)),
            () => Err(Stop::bad("the section is unknown")),
        }
    }

    fn written(&self) -> (&'static str, &[String]) {
        match self {
            Self::All => ("", &[]),
            Self::Header => ("HEADER", &[]),
            Self::HeaderFields(fields) => ("HEADER.FIELDS", fields),
            Self::HeaderFieldsNot(fields) => ("HEADER.FIELDS.NOT", fields),
            Self::Mime => ("MIME", &[]),
            Self::Text => ("TEXT", &[]),
        }
    }
}

impl Partial {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Self>, Stop> {
        if !cursor.eat(b'<') {
            return Ok(None);
        }
        let from = cursor.number()?;
        cursor.expect(b'.', "a part of a section is <first.count>")?;
        let count = cursor.number()?;
        cursor.expect(b'>', "a part of a section is <first.count>")?;
        if count == 0 {
            return Err(Stop::bad("a part of a section has at least one octet"));
        }
        Ok(Some(Self { from, count }))
    }

    /// The part of `octets` octets that this selects; empty past their end.
    #[must_use]
    pub fn of(self, octets: usize) -> std::ops::Range<usize> {
        let from = (self.from as usize).min(octets);
        from..from.saturating_add(self.count as usize).min(octets)
    }
}

/// ` (name name …)`
fn fields(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Stop> {
    cursor.space()?;
    cursor.expect(b'(', "names of fields stand in parentheses")?;
    let mut fields = Vec::new();
    loop {
        let field = cursor.text()?;
        if field.is_empty() || !field.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(Stop::bad("that is no name of a field"));
        }
        fields.push(field);
        if cursor.eat(b')') {
            return Ok(fields);
        }
        cursor.space()?;
    }
}

const PLAIN: [(FetchItem, &str); 10] = [
    (FetchItem::Body, "BODY"),
    (FetchItem::BodyStructure, "BODYSTRUCTURE"),
    (FetchItem::Envelope, "ENVELOPE"),
    (FetchItem::Flags, "FLAGS"),
    (FetchItem::InternalDate, "INTERNALDATE"),
    (FetchItem::Rfc822, "RFC822"),
    (FetchItem::Rfc822Header, "RFC822.HEADER"),
    (FetchItem::Rfc822Size, "RFC822.SIZE"),
    (FetchItem::Rfc822Text, "RFC822.TEXT"),
    (FetchItem::Uid, "UID"),
];

/// More than any client asks for; what a line could hold would be answered many times over.
const ITEMS_MAX: usize = 200;

/// Deeper than any message is read.
const PARTS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<FetchItem>, Stop> {
        let mut cursor = Cursor::new(text.as_bytes());
        let items = FetchItem::parse_all(&mut cursor)?;
        cursor.end()?;
        Ok(items)
    }

    #[test]
    fn items_are_read_and_written() {
        for text in [
            "FLAGS",
            "BODY",
            "BODYSTRUCTURE",
            "RFC822.SIZE",
            "BODY[]",
            "BODY.PEEK[]<0.2048>",
            "BODY[HEADER]",
            "BODY[1.2.3]",
            "BODY[1.MIME]",
            "BODY.PEEK[4.2.HEADER.FIELDS.NOT (Date \"a(b\")]<5.1>",
            "BODY[HEADER.FIELDS (From To)]",
            "BODY[TEXT]",
        ] {
            let mut out = Vec::new();
            parse(text).unwrap()[0].write_to(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for bad in [
            "",
            "()",
            "(FLAGS",
            "FLAGS)",
            "FOO",
            "BODY[MIME]",
            "BODY[1.]",
            "BODY[0]",
            "BODY[.1]",
            "BODY[1.2.FOO]",
            "BODY[HEADER.FIELDS ()]",
            "BODY[HEADER.FIELDS]",
            "BODY[]<0.0>",
            "BODY[]<1>",
            "BODY.PEEK",
            "(ALL)",
            "FAST FLAGS",
            "BODY[1",
            "RFC822.PEEK",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn macros_stand_for_lists() {
        assert_eq!(parse("full").unwrap().len(), 5);
        assert_eq!(parse("Fast").unwrap().len(), 3);
        assert_eq!(
            parse("(flags FLAGS uid)").unwrap(),
            [FetchItem::Flags, FetchItem::Uid]
        );
    }

    #[test]
    fn parts_of_sections_end_where_the_section_ends() {
        let partial = Partial {
            from: 5,
            count: u32::MAX,
        };
        assert_eq!(partial.of(7), 5..7);
        assert_eq!(partial.of(3), 3..3);
    }
}
