//! What a message says to its reader: the text that SEARCH looks through, decoded part by part.

use std::{borrow::Cow, ops::ControlFlow};

use memchr::memmem;

use crate::{
    charset,
    content::Content,
    header::Header,
    structure::{Message, PartId, PartKind},
};

/// A text to look for, without regard to case.
#[derive(Clone, Debug)]
pub struct Needle {
    folded: String,
    finder: memmem::Finder<'static>,
}

/// Where to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The bodies, and the headers of messages within: IMAP's BODY.
    Body,
    /// Everything: IMAP's TEXT (RFC 3501 §6.4.4).
    Whole,
}

impl Needle {
    /// A text to look for.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let folded = fold(text).into_owned();
        let finder = memmem::Finder::new(folded.as_bytes()).into_owned();
        Self { folded, finder }
    }

    /// Whether it occurs in `text`. An empty needle occurs everywhere.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.folded.is_empty() || self.finder.find(fold(text).as_bytes()).is_some()
    }

    /// Whether it occurs in the value of a field of that name. An empty needle occurs in every
    /// field there is (RFC 3501 §6.4.4, HEADER).
    #[must_use]
    pub fn is_in_field(&self, header: Header<'_>, name: &str) -> bool {
        header
            .fields()
            .any(|field| field.is(name) && self.is_in(&field.text()))
    }

    /// Whether it occurs in the message.
    #[must_use]
    pub fn is_in_message(&self, message: &Message<'_>, scope: Scope) -> bool {
        let look = |text: &str| match self.is_in(text) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        message.texts(scope, look).is_break()
    }
}

impl Message<'_> {
    /// Hands out the texts of the message one after another, decoded only when it is their turn,
    /// until `take` breaks off: headers field by field, and every part of type text, its transfer
    /// encoding and charset undone.
    ///
    /// # Errors
    /// None: it returns what `take` broke off with.
    pub fn texts<B>(
        &self,
        scope: Scope,
        mut take: impl FnMut(&str) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (id, part) in self.parts() {
            if scope == Scope::Whole || self.is_inner(id) {
                for field in self.header(id).fields() {
                    let name = charset::guess(field.name);
                    take(&format!("{name}: {}", field.text()))?;
                }
            }
            if part.kind == PartKind::Leaf
                && let Some(text) = self.text_of(id)
            {
                take(&text)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The text of a part of type text, decoded; `None` for any other part.
    #[must_use]
    pub fn text_of(&self, id: PartId) -> Option<Cow<'_, str>> {
        let content = self.content(id);
        let kind = content.kind.as_ref();
        if kind.is_some_and(|kind| !kind.kind.eq_ignore_ascii_case(b"text")) {
            return None;
        }
        let label = kind.and_then(|kind| kind.params.get("charset"));
        Some(decoded(
            self.body(id),
            &content,
            label.unwrap_or(b"us-ascii"),
        ))
    }

    /// Whether the part is the root of a message within the message, or lies in one.
    fn is_inner(&self, id: PartId) -> bool {
        let above = |id: &PartId| self.part(*id).parent;
        std::iter::successors(above(&id), above).any(|id| self.part(id).kind == PartKind::Message)
    }
}

fn decoded<'a>(body: &'a [u8], content: &Content<'_>, label: &[u8]) -> Cow<'a, str> {
    match content.transfer_encoding().decode(body) {
        Cow::Borrowed(octets) => charset::decode(label, octets),
        Cow::Owned(octets) => Cow::Owned(charset::decode(label, &octets).into_owned()),
    }
}

/// Lower-case, borrowed if it already is. Not a full case folding, but the same on both sides.
fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if !text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Cow::Borrowed(text);
        }
        return Cow::Owned(text.to_ascii_lowercase());
    }
    Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsch=F6nes W=\r\netter\r\n\
        --b\r\nContent-Type: image/png\r\n\r\nhidden\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nX-Inner: yes\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8gV09STEQ=\r\n--b--\r\n";

    #[test]
    fn texts_are_found_in_headers_and_bodies_however_they_are_encoded() {
        let message = Message::read(RAW.as_bytes());
        let cases = [
            ("GR\u{dc}\u{df}E", false, true),
            ("sch\u{d6}nes wetter", true, true),
            ("hidden", false, false),
            ("x-inner: YES", true, true),
            ("hello world", true, true),
            ("boundary=b", false, true),
            ("image/png", false, true),
            ("", true, true),
        ];
        for (needle, in_body, in_whole) in cases {
            let needle = Needle::new(needle);
            assert_eq!(
                needle.is_in_message(&message, Scope::Body),
                in_body,
                "{needle:?}"
            );
            assert_eq!(
                needle.is_in_message(&message, Scope::Whole),
                in_whole,
                "{needle:?}"
            );
        }
    }

    #[test]
    fn an_empty_needle_asks_whether_there_is_such_a_field() {
        let header = Header::new(b"X-Extra: one\r\nx-extra: Another\r\n\r\n");
        assert!(Needle::new("").is_in_field(header, "x-EXTRA"));
        assert!(Needle::new("another").is_in_field(header, "x-extra"));
        assert!(!Needle::new("").is_in_field(header, "subject"));
    }

    #[test]
    fn nothing_is_decoded_after_the_text_was_found() {
        let mut seen = 0;
        let _ = Message::read(RAW.as_bytes()).texts(Scope::Whole, |_| {
            seen += 1;
            ControlFlow::Break(())
        });
        assert_eq!(seen, 1);
    }
}
