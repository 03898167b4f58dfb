//! Writes ENVELOPE and BODYSTRUCTURE (RFC 3501 §7.4.2).

use std::borrow::Cow;

use super::{nstring, number, string};

/// The fields of a header that clients show. Texts are as the message has them: unfolded, and
/// encoded words are left as they are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Envelope<'a> {
    /// `Date`
    pub date: Option<Cow<'a, [u8]>>,
    /// `Subject`
    pub subject: Option<Cow<'a, [u8]>>,
    /// `From`
    pub from: Vec<Address<'a>>,
    /// `Sender`; written as `from` if there is none.
    pub sender: Vec<Address<'a>>,
    /// `Reply-To`; written as `from` if there is none.
    pub reply_to: Vec<Address<'a>>,
    /// `To`
    pub to: Vec<Address<'a>>,
    /// `Cc`
    pub cc: Vec<Address<'a>>,
    /// `Bcc`
    pub bcc: Vec<Address<'a>>,
    /// `In-Reply-To`
    pub in_reply_to: Option<Cow<'a, [u8]>>,
    /// `Message-ID`
    pub message_id: Option<Cow<'a, [u8]>>,
}

/// An address, or the beginning or end of a group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Address<'a> {
    /// The person's name.
    pub name: Option<Cow<'a, [u8]>>,
    /// The source route, which nobody uses any more.
    pub route: Option<Cow<'a, [u8]>>,
    /// What stands before the `@`; the name of the group that begins; nothing where one ends.
    pub mailbox: Option<Cow<'a, [u8]>>,
    /// What stands behind the `@`; nothing where a group begins or ends.
    pub host: Option<Cow<'a, [u8]>>,
}

/// Names and values.
pub type Parameters<'a> = Vec<(Cow<'a, [u8]>, Cow<'a, [u8]>)>;

/// A part of a message's structure. Whoever builds it bounds its depth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BodyPart<'a> {
    /// `text`, `multipart`, …
    pub media: Cow<'a, [u8]>,
    /// `plain`, `mixed`, …
    pub subtype: Cow<'a, [u8]>,
    /// Parameters of `Content-Type`.
    pub parameters: Parameters<'a>,
    /// `Content-ID`
    pub id: Option<Cow<'a, [u8]>>,
    /// `Content-Description`
    pub description: Option<Cow<'a, [u8]>>,
    /// `Content-Transfer-Encoding`; `7BIT` if there is none.
    pub encoding: Cow<'a, [u8]>,
    /// Its length as it is transferred.
    pub octets: u64,
    /// `Content-MD5`
    pub md5: Option<Cow<'a, [u8]>>,
    /// `Content-Disposition`
    pub disposition: Option<Disposition<'a>>,
    /// `Content-Language`
    pub language: Vec<Cow<'a, [u8]>>,
    /// `Content-Location`
    pub location: Option<Cow<'a, [u8]>>,
    /// What it consists of.
    pub kind: PartKind<'a>,
}

/// `Content-Disposition`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disposition<'a> {
    /// `inline`, `attachment`, …
    pub kind: Cow<'a, [u8]>,
    /// Its parameters.
    pub parameters: Parameters<'a>,
}

/// What a part consists of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PartKind<'a> {
    /// Octets.
    Basic,
    /// A message (`message/rfc822`).
    Message {
        /// Its header.
        envelope: Box<Envelope<'a>>,
        /// Its body.
        body: Box<BodyPart<'a>>,
        /// How many lines it has.
        lines: u64,
    },
    /// Parts.
    Multipart(Vec<BodyPart<'a>>),
    /// Lines of text (`text/*`).
    Text {
        /// How many.
        lines: u64,
    },
}

/// Appends an envelope.
pub(super) fn write_envelope(out: &mut Vec<u8>, envelope: &Envelope<'_>) {
    out.push(b'(');
    nstring(out, envelope.date.as_deref());
    out.push(b' ');
    nstring(out, envelope.subject.as_deref());
    // RFC 3501 §7.4.2: the server defaults Sender and Reply-To to From.
    let defaulted = [&envelope.from, &envelope.sender, &envelope.reply_to].map(|list| {
        if list.is_empty() {
            &envelope.from
        } else {
            list
        }
    });
    for list in defaulted
        .into_iter()
        .chain([&envelope.to, &envelope.cc, &envelope.bcc])
    {
        out.push(b' ');
        write_addresses(out, list);
    }
    out.push(b' ');
    nstring(out, envelope.in_reply_to.as_deref());
    out.push(b' ');
    nstring(out, envelope.message_id.as_deref());
    out.push(b')');
}

fn write_addresses(out: &mut Vec<u8>, addresses: &[Address<'_>]) {
    if addresses.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for Address {
        name,
        route,
        mailbox,
        host,
    } in addresses
    {
        for (n, field) in [name, route, mailbox, host].into_iter().enumerate() {
            out.push(if n == 0 { b'(' } else { b' ' });
            nstring(out, field.as_deref());
        }
        out.push(b')');
    }
    out.push(b')');
}

/// Appends a structure, with extension data or without.
pub(super) fn write_part(out: &mut Vec<u8>, part: &BodyPart<'_>, extended: bool) {
    out.push(b'(');
    if let PartKind::Multipart(parts) = &part.kind {
        for part in parts {
            write_part(out, part, extended);
        }
        if parts.is_empty() {
            // The grammar wants at least one part: an empty text is there in its place.
            out.extend_from_slice(b"(\"text\" \"plain\" NIL NIL NIL \"7BIT\" 0 0)");
        }
        out.push(b' ');
        string(out, &part.subtype);
        if extended {
            out.push(b' ');
            write_parameters(out, &part.parameters);
            write_extension(out, part);
        }
        return out.push(b')');
    }
    string(out, &part.media);
    out.push(b' ');
    string(out, &part.subtype);
    out.push(b' ');
    write_parameters(out, &part.parameters);
    out.push(b' ');
    nstring(out, part.id.as_deref());
    out.push(b' ');
    nstring(out, part.description.as_deref());
    out.push(b' ');
    string(out, &part.encoding);
    out.push(b' ');
    number(out, part.octets);
    match &part.kind {
        PartKind::Message {
            envelope,
            body,
            lines,
        } => {
            out.push(b' ');
            write_envelope(out, envelope);
            out.push(b' ');
            write_part(out, body, extended);
            out.push(b' ');
            number(out, *lines);
        }
        PartKind::Text { lines } => {
            out.push(b' ');
            number(out, *lines);
        }
        PartKind::Basic | PartKind::Multipart(_) => {}
    }
    if extended {
        out.push(b' ');
        nstring(out, part.md5.as_deref());
        write_extension(out, part);
    }
    out.push(b')');
}

/// Disposition, language and location, each with a space before it.
fn write_extension(out: &mut Vec<u8>, part: &BodyPart<'_>) {
    out.push(b' ');
    match &part.disposition {
        Some(disposition) => {
            out.push(b'(');
            string(out, &disposition.kind);
            out.push(b' ');
            write_parameters(out, &disposition.parameters);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    match part.language.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        [one] => string(out, one),
        several => {
            for (n, language) in several.iter().enumerate() {
                out.push(if n == 0 { b'(' } else { b' ' });
                string(out, language);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    nstring(out, part.location.as_deref());
}

fn write_parameters(out: &mut Vec<u8>, parameters: &Parameters<'_>) {
    if parameters.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    for (n, (name, value)) in parameters.iter().enumerate() {
        out.push(if n == 0 { b'(' } else { b' ' });
        string(out, name);
        out.push(b' ');
        string(out, value);
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(octets: u64, lines: u64) -> BodyPart<'static> {
        BodyPart {
            media: Cow::Borrowed(b"TEXT"),
            subtype: Cow::Borrowed(b"PLAIN"),
            parameters: vec![(Cow::Borrowed(b"CHARSET"), Cow::Borrowed(b"US-ASCII"))],
            id: None,
            description: None,
            encoding: Cow::Borrowed(b"7BIT"),
            octets,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
            kind: PartKind::Text { lines },
        }
    }

    fn of(
        media: &'static [u8],
        subtype: &'static [u8],
        kind: PartKind<'static>,
    ) -> BodyPart<'static> {
        BodyPart {
            media: Cow::Borrowed(media),
            subtype: Cow::Borrowed(subtype),
            parameters: Vec::new(),
            kind,
            ..text(10, 1)
        }
    }

    fn written(part: &BodyPart<'_>, extended: bool) -> String {
        let mut out = Vec::new();
        write_part(&mut out, part, extended);
        String::from_utf8(out).unwrap()
    }

    const TEXT: &str = r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92)"#;

    #[test]
    fn a_text_is_counted_in_octets_and_lines() {
        assert_eq!(written(&text(3028, 92), false), TEXT);
        assert_eq!(
            written(&text(3028, 92), true),
            TEXT.replace("92)", "92 NIL NIL NIL NIL)")
        );
    }

    #[test]
    fn parts_stand_before_their_subtype_and_messages_within() {
        let message = PartKind::Message {
            envelope: Box::default(),
            body: Box::new(text(3028, 92)),
            lines: 100,
        };
        let mixed = of(
            b"multipart",
            b"MIXED",
            PartKind::Multipart(vec![text(3028, 92), of(b"message", b"rfc822", message)]),
        );
        let nils = ["NIL"; 10].join(" ");
        assert_eq!(
            written(&mixed, false),
            format!(
                "({TEXT}(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 10 ({nils}) {TEXT} 100) \"MIXED\")"
            )
        );
        let mut attached = of(b"IMAGE", b"GIF", PartKind::Basic);
        attached.language = vec![Cow::Borrowed(b"de"), Cow::Borrowed(b"en")];
        attached.disposition = Some(Disposition {
            kind: Cow::Borrowed(b"attachment"),
            parameters: vec![(Cow::Borrowed(b"filename"), Cow::Borrowed(b"a.gif"))],
        });
        assert_eq!(
            written(&attached, true),
            r#"("IMAGE" "GIF" NIL NIL NIL "7BIT" 10 NIL ("attachment" ("filename" "a.gif")) ("de" "en") NIL)"#
        );
    }

    #[test]
    fn sender_and_reply_to_are_who_it_is_from() {
        let envelope = Envelope {
            from: vec![Address {
                name: Some(Cow::Borrowed(b"Ann")),
                route: None,
                mailbox: Some(Cow::Borrowed(b"ann")),
                host: Some(Cow::Borrowed(b"a.test")),
            }],
            subject: Some(Cow::Borrowed(b"")),
            ..Envelope::default()
        };
        let mut out = Vec::new();
        write_envelope(&mut out, &envelope);
        let ann = r#"(("Ann" NIL "ann" "a.test"))"#;
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("(NIL \"\" {ann} {ann} {ann} NIL NIL NIL NIL NIL)")
        );
    }
}
