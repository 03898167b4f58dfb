//! One message being read: as little of it as is asked for.

use std::ops::Range;

use bytes::Bytes;
use imap::{Section, SectionText, respond};
use mime::{Header, Letterhead, Message, Outline, OutlineKind, addresses::Entry, header_end};
use store::{
    StoreError,
    port::{Body, BodyRef, MailStore},
};

/// One message being read.
pub(super) struct Letter<'a> {
    mail: &'a dyn MailStore,
    of: BodyRef,
    /// Opened when more than the header is asked for.
    body: Option<Body>,
    header: Option<Bytes>,
    whole: Option<Bytes>,
}

/// Where a section of a message lies, remembered from one command to the next: large parts are
/// fetched in many pieces.
#[derive(Debug, Default)]
pub(super) struct Place(Option<Found>);

/// A body, a section of it, and where that lies.
type Found = (BodyRef, Vec<u32>, SectionText, Range<u64>);

impl<'a> Letter<'a> {
    pub(super) const fn new(mail: &'a dyn MailStore, of: BodyRef) -> Self {
        Self {
            mail,
            of,
            body: None,
            header: None,
            whole: None,
        }
    }

    pub(super) const fn octets(&self) -> u64 {
        self.of.octets
    }

    fn body(&mut self) -> Result<&Body, StoreError> {
        let body = match self.body.take() {
            Some(body) => body,
            None => self.mail.read(&self.of)?,
        };
        Ok(self.body.insert(body))
    }

    /// The header with the empty line at its end.
    pub(super) fn header(&mut self) -> Result<Bytes, StoreError> {
        if let Some(header) = &self.header {
            return Ok(header.clone());
        }
        let header = match &self.whole {
            Some(whole) => whole.slice(..header_end(whole).unwrap_or(whole.len())),
            None => self.mail.head(&self.of, header_end)?,
        };
        self.header = Some(header.clone());
        Ok(header)
    }

    /// All of it.
    pub(super) fn whole(&mut self) -> Result<Bytes, StoreError> {
        if self.whole.is_none() {
            self.whole = Some(self.body()?.bytes()?);
        }
        Ok(self.whole.clone().unwrap_or_default())
    }

    /// Some of it.
    pub(super) fn piece(&mut self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        if let Some(header) = &self.header
            && range.end <= header.len() as u64
        {
            return Ok(header.slice(range.start as usize..range.end as usize));
        }
        match &self.whole {
            Some(whole) => {
                let from = usize::try_from(range.start).map_or(whole.len(), |o| o.min(whole.len()));
                Ok(whole.slice(from..from.saturating_add(length).min(whole.len())))
            }
            None => self.body()?.read_at(range.start, length),
        }
    }

    /// Where the octets of a section lie; for fields of a header, where the header lies. `None`
    /// if there is no such part.
    pub(super) fn place(
        &mut self,
        body: &BodyRef,
        section: &Section,
        known: &mut Place,
    ) -> Result<Option<Range<u64>>, StoreError> {
        if section.part.is_empty() {
            return Ok(match section.what {
                SectionText::All => Some(0..self.octets()),
                SectionText::Text => Some(self.header()?.len() as u64..self.octets()),
                SectionText::Mime => None,
                _ => Some(0..self.header()?.len() as u64),
            });
        }
        if let Some((of, part, what, range)) = &known.0
            && (of, part, what) == (body, &section.part, &section.what)
        {
            return Ok(Some(range.clone()));
        }
        let whole = self.whole()?;
        let what = match section.what {
            SectionText::All => mime::Section::Whole,
            SectionText::Mime => mime::Section::Mime,
            SectionText::Text => mime::Section::Text,
            _ => mime::Section::Header,
        };
        let found = Message::read(&whole).section(&section.part, what);
        let range = found.map(|range| range.start as u64..range.end as u64);
        if let Some(range) = &range {
            let key = (
                *body,
                section.part.clone(),
                section.what.clone(),
                range.clone(),
            );
            known.0 = Some(key);
        }
        Ok(range)
    }
}

/// The fields of a header that a section selects; `None` if it selects none in particular.
pub(super) fn fields(header: &[u8], what: &SectionText) -> Option<Vec<u8>> {
    match what {
        SectionText::HeaderFields(names) => Some(Header::new(header).subset(names, true)),
        SectionText::HeaderFieldsNot(names) => Some(Header::new(header).subset(names, false)),
        _ => None,
    }
}

/// The head of a letter as IMAP says it.
pub(super) fn envelope(head: Letterhead<'_>) -> respond::Envelope<'_> {
    respond::Envelope {
        date: head.date,
        subject: head.subject,
        from: list(head.from),
        sender: list(head.sender),
        reply_to: list(head.reply_to),
        to: list(head.to),
        cc: list(head.cc),
        bcc: list(head.bcc),
        in_reply_to: head.in_reply_to,
        message_id: head.message_id,
    }
}

fn list(entries: Vec<Entry<'_>>) -> Vec<respond::Address<'_>> {
    let addresses = entries.into_iter().map(|entry| respond::Address {
        name: entry.name,
        route: entry.route,
        mailbox: entry.mailbox,
        host: entry.domain,
    });
    addresses.collect()
}

/// The structure of a message as IMAP says it.
pub(super) fn structure(outline: Outline<'_>) -> respond::BodyPart<'_> {
    respond::BodyPart {
        media: outline.media,
        subtype: outline.subtype,
        parameters: outline.params,
        id: outline.id,
        description: outline.description,
        encoding: outline.encoding,
        octets: outline.octets,
        md5: outline.md5,
        disposition: outline
            .disposition
            .map(|(kind, parameters)| respond::Disposition { kind, parameters }),
        language: outline.language,
        location: outline.location,
        kind: match outline.kind {
            OutlineKind::Basic => respond::PartKind::Basic,
            OutlineKind::Message { head, body, lines } => respond::PartKind::Message {
                envelope: Box::new(envelope(*head)),
                body: Box::new(structure(*body)),
                lines,
            },
            OutlineKind::Multipart(parts) => {
                respond::PartKind::Multipart(parts.into_iter().map(structure).collect())
            }
            OutlineKind::Text { lines } => respond::PartKind::Text { lines },
        },
    }
}
