//! A search, ready to be put to messages (RFC 3501 §6.4.4).
//!
//! [`Program`] knows the keys and the numbers; what a message is like it asks a [`Subject`],
//! lazily and the cheap things first: a message whose flags decide is never read.

mod needle;

use mail::{Flags, Keyword, Time};
use needle::Needle;

use crate::{
    Ranges, View,
    codec::{AddressField, Date, SearchKey, When},
};

/// A message that is asked what it is like. Texts are UTF-8, decoded (RFC 2047, RFC 2045 §6).
pub trait Subject {
    /// Why it could not be read.
    type Error;

    /// Its sequence number.
    fn sequence(&self) -> u32;

    /// Its system flags.
    fn flags(&self) -> Flags;

    /// Whether it carries the keyword.
    fn has_keyword(&self, keyword: &Keyword) -> bool;

    /// Whether it is recent to this session.
    fn is_recent(&self) -> bool;

    /// Its internal date.
    fn received(&self) -> Time;

    /// Its length in octets.
    fn octets(&self) -> u64;

    /// The day in its `Date` field, as written there: its zone is disregarded.
    ///
    /// # Errors
    /// When it cannot be read; so for all that follow.
    fn sent(&mut self) -> Result<Option<Date>, Self::Error>;

    /// Whether the test holds for the value of a header field of that name.
    ///
    /// # Errors
    /// When it cannot be read.
    fn header(&mut self, name: &str, test: &mut Test<'_>) -> Result<bool, Self::Error>;

    /// Whether the test holds for a text of a field with addresses: its value, and each address
    /// as `name <local@domain>`, without comments.
    ///
    /// # Errors
    /// When it cannot be read.
    fn addresses(&mut self, field: AddressField, test: &mut Test<'_>) -> Result<bool, Self::Error>;

    /// Whether the test holds for the text of a part.
    ///
    /// # Errors
    /// When it cannot be read.
    fn body(&mut self, test: &mut Test<'_>) -> Result<bool, Self::Error>;

    /// Whether the test holds for the text of a part or for a field of a header, of the message
    /// or of a part, as `name: value`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn text(&mut self, test: &mut Test<'_>) -> Result<bool, Self::Error>;
}

/// A question put to a text.
pub type Test<'a> = dyn FnMut(&str) -> bool + 'a;

/// How much of a message a search may have to read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Cost {
    /// Only what the mailbox knows of it.
    Row,
    /// Its header.
    Header,
    /// Its octets.
    Body,
}

/// A search, ready to be put to messages.
#[derive(Clone, Debug)]
pub struct Program {
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Address(AddressField, Needle),
    All,
    And(Vec<Self>),
    Body(Needle),
    Flag(Flags, bool),
    Header(String, Needle),
    Keyword(Keyword, bool),
    Larger(u64),
    Not(Box<Self>),
    Or(Vec<Self>),
    Received(When, Date),
    Recent(bool),
    Sent(When, Date),
    /// Sequence numbers, and UIDs as the sequence numbers that they have in the view.
    Sequence(Ranges),
    Smaller(u64),
    Text(Needle),
}

impl Program {
    /// Makes a search ready; sets of numbers mean what they mean in the view now.
    #[must_use]
    pub fn new(key: &SearchKey, view: &View) -> Self {
        Self {
            node: Node::new(key, view),
        }
    }

    /// How much of a message this may have to read.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.node.cost()
    }

    /// The messages that can match at all, as sequence numbers: no others need be asked.
    #[must_use]
    pub fn candidates(&self, view: &View) -> Ranges {
        match &self.node {
            Node::Sequence(ranges) => ranges.clone(),
            Node::And(nodes) => nodes
                .iter()
                .fold(view.all(), |candidates, node| match node {
                    Node::Sequence(ranges) => candidates.intersection(ranges),
                    _ => candidates,
                }),
            _ => view.all(),
        }
    }

    /// Whether the message matches.
    ///
    /// # Errors
    /// When the subject cannot be read.
    pub fn matches<S: Subject + ?Sized>(&self, subject: &mut S) -> Result<bool, S::Error> {
        self.node.matches(subject)
    }
}

impl Node {
    fn new(key: &SearchKey, view: &View) -> Self {
        let all = |keys: &[SearchKey]| {
            let mut nodes: Vec<_> = keys.iter().map(|key| Self::new(key, view)).collect();
            nodes.sort_by_key(Self::cost); // stable: among equals the client's order holds
            nodes
        };
        match key {
            SearchKey::Address(field, text) => Self::Address(*field, Needle::new(text)),
            SearchKey::All => Self::All,
            SearchKey::And(keys) => Self::And(all(keys)),
            SearchKey::Body(text) => Self::Body(Needle::new(text)),
            SearchKey::Flag(flag, on) => Self::Flag(*flag, *on),
            SearchKey::Header(name, text) => Self::Header(name.clone(), Needle::new(text)),
            SearchKey::Keyword(keyword, on) => Self::Keyword(keyword.clone(), *on),
            SearchKey::Larger(octets) => Self::Larger(*octets),
            SearchKey::Not(key) => Self::Not(Box::new(Self::new(key, view))),
            SearchKey::Or(keys) => Self::Or(all(keys)),
            SearchKey::Received(when, date) => Self::Received(*when, *date),
            SearchKey::Recent(on) => Self::Recent(*on),
            SearchKey::Sent(when, date) => Self::Sent(*when, *date),
            SearchKey::Sequence(set) => Self::Sequence(view.within(set)),
            SearchKey::Smaller(octets) => Self::Smaller(*octets),
            SearchKey::Text(text) => Self::Text(Needle::new(text)),
            SearchKey::Uid(set) => Self::Sequence(view.by_uid(set)),
        }
    }

    fn cost(&self) -> Cost {
        match self {
            Self::And(nodes) | Self::Or(nodes) => {
                nodes.iter().map(Self::cost).max().unwrap_or(Cost::Row)
            }
            Self::Not(node) => node.cost(),
            Self::Address(..) | Self::Header(..) | Self::Sent(..) => Cost::Header,
            Self::Body(_) | Self::Text(_) => Cost::Body,
            _ => Cost::Row,
        }
    }

    fn matches<S: Subject + ?Sized>(&self, subject: &mut S) -> Result<bool, S::Error> {
        Ok(match self {
            Self::Address(field, needle) => {
                subject.addresses(*field, &mut |text| needle.is_in(text))?
            }
            Self::All => true,
            Self::And(nodes) => {
                for node in nodes {
                    if !node.matches(subject)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Body(needle) => subject.body(&mut |text| needle.is_in(text))?,
            Self::Flag(flag, on) => subject.flags().contains(*flag) == *on,
            Self::Header(name, needle) => subject.header(name, &mut |text| needle.is_in(text))?,
            Self::Keyword(keyword, on) => subject.has_keyword(keyword) == *on,
            Self::Larger(octets) => subject.octets() > *octets,
            Self::Not(node) => !node.matches(subject)?,
            Self::Or(nodes) => {
                for node in nodes {
                    if node.matches(subject)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Received(when, date) => when.holds(Date::of(subject.received()), *date),
            Self::Recent(on) => subject.is_recent() == *on,
            Self::Sent(when, date) => subject.sent()?.is_some_and(|sent| when.holds(sent, *date)),
            Self::Sequence(ranges) => ranges.contains(subject.sequence()),
            Self::Smaller(octets) => subject.octets() < *octets,
            Self::Text(needle) => subject.text(&mut |text| needle.is_in(text))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use mail::{ModSeq, Uid};

    use super::*;

    /// A message in memory that counts how often it was read.
    struct Message {
        sequence: u32,
        flags: Flags,
        octets: u64,
        read: u32,
    }

    impl Subject for Message {
        type Error = Infallible;

        fn sequence(&self) -> u32 {
            self.sequence
        }

        fn flags(&self) -> Flags {
            self.flags
        }

        fn has_keyword(&self, keyword: &Keyword) -> bool {
            keyword.as_str() == "$Junk"
        }

        fn is_recent(&self) -> bool {
            true
        }

        fn received(&self) -> Time {
            Time::from_seconds(86_400)
        }

        fn octets(&self) -> u64 {
            self.octets
        }

        fn sent(&mut self) -> Result<Option<Date>, Infallible> {
            self.read += 1;
            Ok(Date::new(2007, 3, 24))
        }

        fn header(&mut self, name: &str, test: &mut Test<'_>) -> Result<bool, Infallible> {
            self.read += 1;
            Ok(name.eq_ignore_ascii_case("subject") && test("Grüße aus Köln"))
        }

        fn addresses(&mut self, _: AddressField, test: &mut Test<'_>) -> Result<bool, Infallible> {
            self.read += 1;
            Ok(test("Ann <ann@a.test>"))
        }

        fn text(&mut self, test: &mut Test<'_>) -> Result<bool, Infallible> {
            self.read += 1;
            Ok(test("Subject: Grüße aus Köln") || test("hello WORLD"))
        }

        fn body(&mut self, test: &mut Test<'_>) -> Result<bool, Infallible> {
            self.read += 1;
            Ok(test("hello WORLD"))
        }
    }

    fn ask(text: &str) -> (bool, u32) {
        let view = View::new((5..9).filter_map(Uid::new), None, ModSeq(1));
        let key = SearchKey::parse_program(&mut crate::codec::Cursor::new(text.as_bytes()));
        let program = Program::new(&key.unwrap(), &view);
        let mut message = Message {
            sequence: 2,
            flags: Flags::SEEN,
            octets: 100,
            read: 0,
        };
        let Ok(found) = program.matches(&mut message);
        (found, message.read)
    }

    #[test]
    fn every_key_asks_what_it_means() {
        for yes in [
            "ALL",
            "SEEN",
            "UNFLAGGED",
            "KEYWORD $Junk",
            "UNKEYWORD x",
            "RECENT",
            "1:2",
            "UID 6",
            "LARGER 99",
            "SMALLER 101",
            "ON 2-Jan-1970",
            "SINCE 2-Jan-1970",
            "BEFORE 3-Jan-1970",
            "SENTON 24-Mar-2007",
            "SENTSINCE 1-Jan-2007",
            "SENTBEFORE 25-Mar-2007",
            "FROM ANN@A",
            "SUBJECT \"k\u{d6}ln\"",
            "HEADER subject \"\"",
            "BODY world",
            "TEXT k\u{f6}ln",
            "NOT BODY x",
            "OR DELETED SEEN",
            "(SEEN RECENT) 2",
            "*:1",
        ] {
            assert!(ask(&yes.replace("k\u{f6}ln", "\"k\u{f6}ln\"")).0, "{yes}");
        }
        for no in [
            "UNSEEN",
            "NEW",
            "OLD",
            "3",
            "UID 5",
            "LARGER 100",
            "SMALLER 100",
            "BEFORE 2-Jan-1970",
            "SUBJECT x",
            "HEADER x-y \"\"",
            "BODY \"hello  world\"",
            "NOT ALL",
            "OR 1 DELETED",
            "SEEN DELETED",
            "10:20",
        ] {
            assert!(!ask(no).0, "{no}");
        }
    }

    #[test]
    fn a_message_is_not_read_for_what_its_flags_decide() {
        assert_eq!(ask("BODY world UNSEEN"), (false, 0));
        assert_eq!(ask("OR BODY world SEEN"), (true, 0));
        assert_eq!(ask("BODY world FROM nobody"), (false, 1));
    }

    #[test]
    fn only_candidates_need_be_asked() {
        let view = View::new((5..9).filter_map(Uid::new), None, ModSeq(1));
        let of = |text: &str| {
            let key = SearchKey::parse_program(&mut crate::codec::Cursor::new(text.as_bytes()));
            let program = Program::new(&key.unwrap(), &view);
            (
                program.candidates(&view).iter().collect::<Vec<_>>(),
                program.cost(),
            )
        };
        assert_eq!(of("2:4 UID 1:6 SEEN"), (vec![2], Cost::Row));
        assert_eq!(of("NOT 1 BODY x"), (vec![1, 2, 3, 4], Cost::Body));
        assert_eq!(of("FROM x"), (vec![1, 2, 3, 4], Cost::Header));
        let found = Ranges::of_spans(vec![(2, 3)]);
        assert_eq!(view.uids_of(&found).iter().collect::<Vec<_>>(), [6, 7]);
    }
}
