//! Writes one FETCH response (RFC 3501 §7.4.2).

use bytes::Bytes;
use mail::{Flags, Time, Uid};

use super::{BodyPart, Envelope, flags, literal_head, number, structure};
use crate::{
    Partial,
    codec::{Section, write_date_time},
};

/// A FETCH response that is being written: `* n FETCH (`, items, and [`FetchResponse::end`].
///
/// A long literal need not pass through the buffer: [`FetchResponse::section_head`] writes its
/// length, and whoever owns the connection sends the octets between two uses of the buffer.
#[derive(Debug)]
#[must_use = "a response that is not ended is half a line"]
pub struct FetchResponse {
    empty: bool,
}

impl FetchResponse {
    /// Begins the response about the message with that sequence number.
    pub fn begin(out: &mut Vec<u8>, sequence: u32) -> Self {
        out.extend_from_slice(b"* ");
        number(out, u64::from(sequence));
        out.extend_from_slice(b" FETCH (");
        Self { empty: true }
    }

    /// Ends it.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }

    /// Whether nothing has been said in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.empty
    }

    /// `UID n`
    pub fn uid(&mut self, out: &mut Vec<u8>, uid: Uid) {
        self.name(out, "UID ");
        number(out, u64::from(uid.get()));
    }

    /// `FLAGS (…)`
    pub fn flags<'a>(
        &mut self,
        out: &mut Vec<u8>,
        system: Flags,
        keywords: impl IntoIterator<Item = &'a str>,
        recent: bool,
    ) {
        self.name(out, "FLAGS ");
        flags(out, system, keywords, recent);
    }

    /// `INTERNALDATE "…"`
    pub fn internal_date(&mut self, out: &mut Vec<u8>, date: Time) {
        self.name(out, "INTERNALDATE ");
        write_date_time(date, out);
    }

    /// `RFC822.SIZE n`
    pub fn size(&mut self, out: &mut Vec<u8>, octets: u64) {
        self.name(out, "RFC822.SIZE ");
        number(out, octets);
    }

    /// `ENVELOPE (…)`
    pub fn envelope(&mut self, out: &mut Vec<u8>, envelope: &Envelope<'_>) {
        self.name(out, "ENVELOPE ");
        structure::write_envelope(out, envelope);
    }

    /// `BODYSTRUCTURE (…)`, or `BODY (…)` without extension data.
    pub fn structure(&mut self, out: &mut Vec<u8>, part: &BodyPart<'_>, extended: bool) {
        self.name(out, if extended { "BODYSTRUCTURE " } else { "BODY " });
        structure::write_part(out, part, extended);
    }

    /// An item that was written before: `name`, a space and `value` as they are.
    pub fn written(&mut self, out: &mut Vec<u8>, name: &str, value: &[u8]) {
        self.name(out, name);
        out.push(b' ');
        out.extend_from_slice(value);
    }

    /// `BODY[…]<origin> {n}`: the octets of the whole section must follow, of which only those
    /// that `section.partial` selects are announced; what is to be sent comes back.
    #[must_use]
    pub fn section_head(
        &mut self,
        out: &mut Vec<u8>,
        section: &Section,
        octets: u64,
    ) -> std::ops::Range<u64> {
        self.name(out, "BODY");
        section.write_brackets(out);
        let sent = match section.partial {
            Some(Partial { from, count }) => {
                out.push(b'<');
                number(out, u64::from(from));
                out.push(b'>');
                let begin = u64::from(from).min(octets);
                begin..(begin + u64::from(count)).min(octets)
            }
            None => 0..octets,
        };
        out.push(b' ');
        literal_head(out, sent.end - sent.start);
        sent
    }

    /// `BODY[…]<origin> {n}` and the octets of it.
    pub fn section(&mut self, out: &mut Vec<u8>, section: &Section, whole: &[u8]) {
        let sent = self.section_head(out, section, whole.len() as u64);
        // Both ends lie within `whole`, which is in memory.
        out.extend_from_slice(&whole[sent.start as usize..sent.end as usize]);
    }

    /// `BODY[…] NIL`: there is no such part.
    pub fn no_section(&mut self, out: &mut Vec<u8>, section: &Section) {
        self.name(out, "BODY");
        section.write_brackets(out);
        if let Some(partial) = section.partial {
            out.push(b'<');
            number(out, u64::from(partial.from));
            out.push(b'>');
        }
        out.extend_from_slice(b" NIL");
    }

    /// `RFC822 {n}`, `RFC822.HEADER {n}`, `RFC822.TEXT {n}`: that many octets must follow.
    pub fn literal_head(&mut self, out: &mut Vec<u8>, name: &str, octets: u64) {
        self.name(out, name);
        out.push(b' ');
        literal_head(out, octets);
    }

    /// `RFC822 {n}`, `RFC822.HEADER {n}`, `RFC822.TEXT {n}` and the octets.
    pub fn literal(&mut self, out: &mut Vec<u8>, name: &str, octets: &Bytes) {
        self.literal_head(out, name, octets.len() as u64);
        out.extend_from_slice(octets);
    }

    fn name(&mut self, out: &mut Vec<u8>, name: &str) {
        if !self.empty {
            out.push(b' ');
        }
        self.empty = false;
        out.extend_from_slice(name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SectionText;

    #[test]
    fn items_stand_one_behind_another() {
        let mut out = Vec::new();
        let mut response = FetchResponse::begin(&mut out, 12);
        response.uid(&mut out, Uid::new(7).unwrap());
        response.flags(&mut out, Flags::SEEN, ["$Junk"], true);
        response.size(&mut out, 44827);
        let section = Section {
            peek: true,
            part: vec![1, 2],
            what: SectionText::HeaderFields(vec!["From".to_owned()]),
            partial: Some(Partial { from: 2, count: 3 }),
        };
        response.section(&mut out, &section, b"abcd");
        response.no_section(&mut out, &section);
        response.end(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "* 12 FETCH (UID 7 FLAGS (\\Seen $Junk \\Recent) RFC822.SIZE 44827 \
             BODY[1.2.HEADER.FIELDS (From)]<2> {2}\r\ncd BODY[1.2.HEADER.FIELDS (From)]<2> NIL)\r\n"
        );
    }
}
