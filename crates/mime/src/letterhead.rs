//! The head of a letter: when, what about, from whom, to whom. IMAP calls it ENVELOPE.

use std::borrow::Cow;

use crate::{
    addresses::{self, Entry},
    date::Date,
    header::{Header, squeeze},
};

/// The fields of IMAP's ENVELOPE, unfolded and still encoded (RFC 3501 §7.4.2). Not to be mixed up
/// with [`mail::Envelope`], which says where a message really goes.
///
/// Of a text that is there twice the last one counts, of addresses all, as in Dovecot.
#[derive(Clone, Debug, Default)]
pub struct Letterhead<'a> {
    /// `Date`
    pub date: Option<Cow<'a, [u8]>>,
    /// `Subject`, with one space wherever there was white space.
    pub subject: Option<Cow<'a, [u8]>>,
    /// `From`
    pub from: Vec<Entry<'a>>,
    /// `Bcc`
    pub bcc: Vec<Entry<'a>>,
    /// `Cc`
    pub cc: Vec<Entry<'a>>,
    /// `To`
    pub to: Vec<Entry<'a>>,
    /// `In-Reply-To`
    pub in_reply_to: Option<Cow<'a, [u8]>>,
    /// `Message-ID`
    pub message_id: Option<Cow<'a, [u8]>>,
    /// `Sender` as it stands there; see [`Letterhead::sender`].
    pub sender: Vec<Entry<'a>>,
    /// `Reply-To` as it stands there; see [`Letterhead::reply_to`].
    pub reply_to: Vec<Entry<'a>>,
}

impl<'a> Letterhead<'a> {
    /// Reads the head from a message's header.
    #[must_use]
    pub fn of(header: Header<'a>) -> Self {
        let mut room = addresses::ENTRIES_MAX;
        Self::within(header, &mut room)
    }

    /// The same with room for so many addresses, which are taken from it: a field says an address
    /// in two octets, and there may be any number of fields and of messages in a message.
    pub(crate) fn within(header: Header<'a>, room: &mut usize) -> Self {
        let mut head = Self::default();
        for field in header.fields() {
            let mut add = |list: &mut Vec<Entry<'a>>| {
                let mut entries = addresses::read_some(field.value, *room);
                *room -= entries.len();
                list.append(&mut entries);
            };
            let text = || Some(field.unfolded());
            // By length first: most fields are none of these.
            match field.name.len() {
                2 if field.is("To") => add(&mut head.to),
                2 if field.is("Cc") => add(&mut head.cc),
                3 if field.is("Bcc") => add(&mut head.bcc),
                4 if field.is("Date") => head.date = text(),
                4 if field.is("From") => add(&mut head.from),
                6 if field.is("Sender") => add(&mut head.sender),
                7 if field.is("Subject") => head.subject = Some(squeeze(field.value)),
                8 if field.is("Reply-To") => add(&mut head.reply_to),
                10 if field.is("Message-ID") => head.message_id = text(),
                11 if field.is("In-Reply-To") => head.in_reply_to = text(),
                _ => {}
            }
        }
        head
    }

    /// `Sender`; without one, who it is from.
    #[must_use]
    pub fn sender(&self) -> &[Entry<'a>] {
        if self.sender.is_empty() {
            &self.from
        } else {
            &self.sender
        }
    }

    /// `Reply-To`; without one, who it is from.
    #[must_use]
    pub fn reply_to(&self) -> &[Entry<'a>] {
        if self.reply_to.is_empty() {
            &self.from
        } else {
            &self.reply_to
        }
    }

    /// When it says it was written.
    #[must_use]
    pub fn date(&self) -> Option<Date> {
        Date::from_rfc5322(self.date.as_deref()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_bounded_over_all_fields() {
        let field = format!("To: {}\r\n", "a,".repeat(addresses::ENTRIES_MAX / 2 + 1));
        let head = field.repeat(3) + "Subject: s\r\n";
        let head = Letterhead::of(Header::new(head.as_bytes()));
        assert!(head.to.len() <= addresses::ENTRIES_MAX);
        assert!(head.to.len() > addresses::ENTRIES_MAX / 2 + 1);
        assert_eq!(head.subject.as_deref(), Some(&b"s"[..]));
    }

    #[test]
    fn sender_and_reply_to_are_from_unless_they_say_otherwise() {
        let header = Header::new(b"From: A <a@x.test>\r\nSender:\r\nReply-To: b@x.test\r\nSubject: =?utf-8?q?a?=\r\n b\r\n");
        let head = Letterhead::of(header);
        assert_eq!(head.sender(), head.from);
        assert_eq!(head.reply_to()[0].mailbox.as_deref(), Some(&b"b"[..]));
        assert_eq!(head.subject.as_deref(), Some(&b"=?utf-8?q?a?= b"[..]));
        assert_eq!(head.date(), None);
    }
}
