//! A message's structure as clients ask for it: IMAP's BODYSTRUCTURE, as data.

use std::borrow::Cow;

use crate::{
    addresses::ENTRIES_MAX,
    content::Pair,
    letterhead::Letterhead,
    structure::{Message, PartId, PartKind},
};

/// A part with everything that BODYSTRUCTURE tells of it (RFC 3501 §7.4.2). What the message does
/// not say is filled in as Dovecot fills it in: `text/plain`, `charset=us-ascii` for every text
/// without one, `7bit`.
#[derive(Clone, Debug)]
pub struct Outline<'a> {
    /// `text`, `image`, …
    pub media: Cow<'a, [u8]>,
    /// `plain`, `jpeg`, …
    pub subtype: Cow<'a, [u8]>,
    /// Parameters of the type.
    pub params: Vec<Pair<'a>>,
    /// `Content-ID`
    pub id: Option<Cow<'a, [u8]>>,
    /// `Content-Description`
    pub description: Option<Cow<'a, [u8]>>,
    /// `Content-Transfer-Encoding`
    pub encoding: Cow<'a, [u8]>,
    /// The length of the body as it is transferred.
    pub octets: u64,
    /// `Content-MD5`
    pub md5: Option<Cow<'a, [u8]>>,
    /// `Content-Disposition` and its parameters.
    pub disposition: Option<(Cow<'a, [u8]>, Vec<Pair<'a>>)>,
    /// `Content-Language`
    pub language: Vec<Cow<'a, [u8]>>,
    /// `Content-Location`
    pub location: Option<Cow<'a, [u8]>>,
    /// What it consists of.
    pub kind: OutlineKind<'a>,
}

/// What a part consists of.
#[derive(Clone, Debug)]
pub enum OutlineKind<'a> {
    /// Octets.
    Basic,
    /// A message.
    Message {
        /// What its header says.
        head: Box<Letterhead<'a>>,
        /// What it consists of.
        body: Box<Outline<'a>>,
        /// Lines of the whole of it.
        lines: u64,
    },
    /// Parts; there may be none, which IMAP's grammar does not allow: Dovecot shows an empty
    /// `text/plain` then.
    Multipart(Vec<Outline<'a>>),
    /// Text.
    Text {
        /// How many lines.
        lines: u64,
    },
}

impl<'a> Message<'a> {
    /// The outline of the whole message. Its depth is bounded by that of the structure.
    #[must_use]
    pub fn outline(&self) -> Outline<'a> {
        let mut room = ENTRIES_MAX;
        self.outline_of(PartId::ROOT, &self.line_counts(), &mut room)
    }

    /// `room` is how many more addresses are told of, in all messages in it.
    fn outline_of(&self, id: PartId, lines: &[u32], room: &mut usize) -> Outline<'a> {
        let part = self.part(id);
        let own_lines = u64::from(lines[id.0]);
        let content = self.content(id);
        let named = content.kind.unwrap_or_default();
        let named_global = named.is("message", "global");
        let is_composite = named.is_message() || named.is_multipart();
        let (mut media, mut subtype) = (named.kind, named.subtype);
        let is_text = media.eq_ignore_ascii_case(b"text");
        let mut params = named.params.into_pairs();
        if subtype.is_empty() {
            // Not there, or broken: then it is plain text (RFC 2045 §5.2).
            (media, subtype) = (b"text", b"plain");
            if !is_text {
                params.clear();
            }
        }
        let mut children = self.children(id);
        let kind = match (part.kind, children.next()) {
            (PartKind::Multipart, first) => {
                let parts = first.into_iter().chain(children);
                OutlineKind::Multipart(
                    parts
                        .map(|child| self.outline_of(child, lines, room))
                        .collect(),
                )
            }
            (PartKind::Message, Some(inner)) => {
                if !named_global {
                    (media, subtype) = (b"message", b"rfc822");
                }
                OutlineKind::Message {
                    head: Box::new(Letterhead::within(self.header(inner), room)),
                    body: Box::new(self.outline_of(inner, lines, room)),
                    lines: own_lines,
                }
            }
            _ if is_composite => {
                // Beyond the limits: its parts were not looked for.
                (media, subtype) = (b"application", b"octet-stream");
                OutlineKind::Basic
            }
            _ if media.eq_ignore_ascii_case(b"text") => {
                if !params
                    .iter()
                    .any(|(name, _)| name.eq_ignore_ascii_case(b"charset"))
                {
                    params.push((Cow::Borrowed(b"charset"), Cow::Borrowed(b"us-ascii")));
                }
                OutlineKind::Text { lines: own_lines }
            }
            _ => OutlineKind::Basic,
        };
        Outline {
            media: Cow::Borrowed(media),
            subtype: Cow::Borrowed(subtype),
            params,
            id: content.id,
            description: content.description,
            encoding: Cow::Borrowed(content.encoding.unwrap_or(b"7bit")),
            octets: part.octets() as u64,
            md5: content.md5,
            disposition: content
                .disposition
                .map(|d| (Cow::Borrowed(d.kind), d.params.into_pairs())),
            language: content.language.into_iter().map(Cow::Borrowed).collect(),
            location: content.location,
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(part: &Outline<'_>) -> String {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let inner = match &part.kind {
            OutlineKind::Basic => String::new(),
            OutlineKind::Message { head, body, lines } => {
                let subject = head.subject.as_deref().map(text).unwrap_or_default();
                format!(" {lines} <{subject}> {}", shown(body))
            }
            OutlineKind::Multipart(parts) => parts.iter().map(shown).collect(),
            OutlineKind::Text { lines } => format!(" {lines}"),
        };
        let params = part
            .params
            .iter()
            .map(|(n, v)| format!(" {}={}", text(n), text(v)));
        let params: String = params.collect();
        format!(
            "({}/{}{params} {}{inner})",
            text(&part.media),
            text(&part.subtype),
            part.octets
        )
    }

    #[test]
    fn what_a_message_does_not_say_is_filled_in() {
        let of = |raw: &str| shown(&Message::read(raw.as_bytes()).outline());
        assert_eq!(of("\r\nhello\r\n"), "(text/plain charset=us-ascii 7 1)");
        assert_eq!(
            of("Content-Type: text/html; format=flowed\r\n\r\n"),
            "(text/html format=flowed charset=us-ascii 0 0)"
        );
        assert_eq!(
            of("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: s\n\nx\n\n--b--"),
            "(multipart/digest boundary=b 25(message/rfc822 14 3 <s> (text/plain charset=us-ascii 2 1)))"
        );
        assert_eq!(
            of("Content-Type: multipart/mixed\n\nx"),
            "(multipart/mixed 1)"
        );
    }

    #[test]
    fn addresses_are_bounded_over_all_messages_within() {
        let part = format!(
            "--b\r\nContent-Type: message/rfc822\r\n\r\nTo: {}\r\n\r\n\r\n",
            "a,".repeat(ENTRIES_MAX / 2 + 1)
        );
        let raw = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned() + &part.repeat(3);
        let outline = Message::read(raw.as_bytes()).outline();
        let OutlineKind::Multipart(parts) = outline.kind else {
            panic!("it has parts")
        };
        let told = parts.iter().map(|part| match &part.kind {
            OutlineKind::Message { head, .. } => head.to.len(),
            _ => panic!("each part is a message"),
        });
        assert_eq!(told.sum::<usize>(), ENTRIES_MAX);
    }

    #[test]
    fn a_tree_that_is_too_deep_ends_in_octets() {
        let deep = "Content-Type: message/rfc822\n\n".repeat(500);
        assert!(of_kind(&Message::read(deep.as_bytes()).outline()).ends_with("octet-stream"));
    }

    fn of_kind(part: &Outline<'_>) -> String {
        match &part.kind {
            OutlineKind::Message { body, .. } => of_kind(body),
            _ => String::from_utf8_lossy(&part.subtype).into_owned(),
        }
    }
}
