//! The report as a whole: a message in three parts, for people, for programs, and what it is about.

use mail::{Address, BodyType, Domain, Envelope, Recipient, Reply, Ret, Time};

use super::{status, words};
use crate::{
    date::Date,
    header::{Header, header_end},
};

/// A report on one message, to its sender.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What there is to tell.
    pub news: News,
    /// This system's name; also the domain of its mailer-daemon.
    pub by: &'a Domain,
    /// The report's own `Message-ID`, without angle brackets; never used before.
    pub message_id: &'a str,
    /// When the report is written.
    pub at: Time,
    /// Who the message is from, and what the sender wants to hear and get back.
    pub envelope: &'a Envelope,
    /// When the message was taken.
    pub arrived: Time,
    /// The recipients that there is news of; those whose sender does not want to hear it are left
    /// out.
    pub told: &'a [Told<'a>],
    /// The message, or its beginning with the whole header.
    pub original: &'a [u8],
    /// Whether `original` is the whole message.
    pub is_whole: bool,
}

/// What became of the recipients of a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum News {
    /// Not delivered yet; tried until then.
    Delayed(Time),
    /// Delivered to its mailbox.
    Delivered,
    /// Never to be delivered.
    Failed,
    /// Handed to a system that will not report (RFC 3461 §5.2.2).
    Relayed,
}

/// One recipient in a report.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The recipient.
    pub recipient: &'a Recipient,
    /// The reply that decided it, the last one if there were several.
    pub reply: &'a Reply,
    /// The host that gave it, if it was another's.
    pub remote: Option<&'a str>,
    /// When that was.
    pub last_attempt: Option<Time>,
}

/// A report ready to be sent, from `<>` (RFC 3464 §2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Composed {
    /// Whom it is for: the sender of the message.
    pub to: Address,
    /// The message.
    pub octets: Vec<u8>,
    /// Whether it has octets above 127.
    pub body: BodyType,
}

impl Report<'_> {
    /// Writes the report. `None` if nobody is to be told: the message is from `<>`
    /// (RFC 5321 §4.5.5), or the sender does not want to hear of these recipients (RFC 3461 §4.1).
    #[must_use]
    pub fn compose(&self) -> Option<Composed> {
        let to = self.envelope.from.clone()?;
        let told: Vec<_> = self
            .told
            .iter()
            .filter(|told| self.is_wanted(told))
            .collect();
        if told.is_empty() {
            return None;
        }
        let original = self.returned();
        let text = words::text(self, &told);
        let boundary = self.boundary(&[&text, &original.octets]);
        let mut out = Vec::with_capacity(original.octets.len() + text.len() + 2048);
        self.write_header(&mut out, &to, &boundary, original.is_8bit);
        out.extend_from_slice(b"This is a delivery report in MIME format.\r\n");

        open_part(&mut out, &boundary, "Content-Description: Notification\r\n");
        words::write_text_part(&mut out, &text);
        let description =
            "Content-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n";
        open_part(&mut out, &boundary, description);
        status::write(&mut out, self, &told);
        open_part(&mut out, &boundary, original.header);
        if original.is_8bit {
            out.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&original.octets);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let body = if original.is_8bit {
            BodyType::EightBitMime
        } else {
            BodyType::SevenBit
        };
        Some(Composed {
            to,
            octets: out,
            body,
        })
    }

    fn is_wanted(&self, told: &Told<'_>) -> bool {
        let notify = told.recipient.notify;
        match self.news {
            News::Delayed(_) => notify.delay,
            News::Delivered | News::Relayed => notify.success,
            News::Failed => notify.failure,
        }
    }

    fn write_header(&self, out: &mut Vec<u8>, to: &Address, boundary: &str, is_8bit: bool) {
        let subject = match self.news {
            News::Delayed(_) => "Delayed: your message is still on its way",
            News::Delivered => "Delivered: your message has arrived",
            News::Failed => "Undelivered: your message could not be delivered",
            News::Relayed => "Relayed: your message was handed on",
        };
        let mut header = format!(
            "From: Mail Delivery System <mailer-daemon@{by}>\r\n\
             To: {to}\r\n\
             Subject: {subject}\r\n\
             Date: {date}\r\n\
             Message-ID: <{id}>\r\n",
            by = self.by,
            date = Date::utc(self.at),
            id = self.message_id,
        );
        // So that clients show it with what it is about.
        if let Some(id) = self.original_id() {
            header.push_str(&format!("In-Reply-To: {id}\r\nReferences: {id}\r\n"));
        }
        header.push_str(&format!(
            "Auto-Submitted: auto-replied\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\
             \tboundary=\"{boundary}\"\r\n"
        ));
        // What holds octets above 127 says so, all the way up (RFC 2045 §6.4).
        if is_8bit {
            header.push_str("Content-Transfer-Encoding: 8bit\r\n");
        }
        header.push_str("\r\n");
        out.extend_from_slice(header.as_bytes());
    }

    /// The message's own `Message-ID`, if it looks like one.
    fn original_id(&self) -> Option<String> {
        let field = Header::of(self.original).find("Message-ID")?;
        let id = String::from_utf8(field.value.trim_ascii_end().to_vec()).ok()?;
        let inner = id.strip_prefix('<')?.strip_suffix('>')?;
        let is_sound = |b: u8| b.is_ascii_graphic() && b != b'<' && b != b'>';
        (inner.len() < 250 && inner.bytes().all(is_sound)).then_some(id)
    }

    /// The third part: the message if it is wanted and small, else its header (RFC 3461 §4.3).
    fn returned(&self) -> Returned {
        let wants_all = self.envelope.ret == Some(Ret::Full) && self.news == News::Failed;
        let is_binary = self.envelope.body == BodyType::BinaryMime;
        if wants_all && self.is_whole && !is_binary && self.original.len() <= FULL_OCTETS_MAX {
            return Returned::new(MESSAGE, self.original);
        }
        let end = header_end(self.original).unwrap_or(self.original.len());
        Returned::new(HEADERS, &self.original[..end.min(HEADER_OCTETS_MAX)])
    }

    /// A boundary that occurs in none of the texts.
    fn boundary(&self, texts: &[&[u8]]) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a: anything that differs by report will do
        for octet in self.message_id.bytes().chain(self.at.0.to_be_bytes()) {
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
        loop {
            let boundary = format!("=_report_{hash:016x}");
            let occurs = |text: &&[u8]| memchr::memmem::find(text, boundary.as_bytes()).is_some();
            if !texts.iter().any(occurs) {
                return boundary;
            }
            hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
    }
}

/// The third part.
struct Returned {
    header: &'static str,
    octets: Vec<u8>,
    is_8bit: bool,
}

impl Returned {
    /// Makes every line end CRLF, and no line longer than RFC 5322 §2.1.1 allows in a header.
    fn new(header: &'static str, original: &[u8]) -> Self {
        let mut octets = Vec::with_capacity(original.len() + 64);
        for line in original.split_inclusive(|&b| b == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let kept = if header == HEADERS {
                line.len().min(LINE_OCTETS_MAX)
            } else {
                line.len()
            };
            octets.extend_from_slice(&line[..kept]);
            octets.extend_from_slice(b"\r\n");
        }
        Self {
            header,
            is_8bit: !octets.is_ascii(),
            octets,
        }
    }
}

fn open_part(out: &mut Vec<u8>, boundary: &str, header: &str) {
    out.extend_from_slice(format!("\r\n--{boundary}\r\n{header}").as_bytes());
}

const MESSAGE: &str =
    "Content-Description: Undelivered message\r\nContent-Type: message/rfc822\r\n";
const HEADERS: &str =
    "Content-Description: Header of the message\r\nContent-Type: text/rfc822-headers\r\n";
/// A larger message does not come back whole: what does not fit somewhere must not fill the way back.
const FULL_OCTETS_MAX: usize = 128 * 1024;
const HEADER_OCTETS_MAX: usize = 64 * 1024;
/// RFC 5322 §2.1.1, without CRLF.
const LINE_OCTETS_MAX: usize = 998;

#[cfg(test)]
mod tests {
    use mail::{AccountId, Enhanced, Notify, Target};
    use proptest::prelude::*;

    use super::*;
    use crate::structure::{Message, PartId};

    const ORIGINAL: &[u8] =
        b"Message-ID: <m1@here.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n";

    fn recipient(original: Option<&str>) -> Recipient {
        let target = Target::Remote("there.test".parse().unwrap());
        Recipient {
            original: original.map(|a| a.parse().unwrap()),
            ..Recipient::new("bob@there.test".parse().unwrap(), target)
        }
    }

    fn compose(
        news: News,
        ret: Option<Ret>,
        recipient: &Recipient,
        reply: &Reply,
        original: &[u8],
    ) -> Option<Composed> {
        let envelope = Envelope {
            from: "ann@here.test".parse().ok(),
            ret,
            envid: Some("e\r\n1".to_owned()),
            ..Envelope::default()
        };
        let told = Told {
            recipient,
            reply,
            remote: Some("mx.there.test"),
            last_attempt: Some(Time::from_seconds(1_795_305_700)),
        };
        let report = Report {
            news,
            by: &"mx.here.test".parse().unwrap(),
            message_id: "r1@mx.here.test",
            at: Time::from_seconds(1_795_305_800),
            envelope: &envelope,
            arrived: Time::from_seconds(1_795_305_600),
            told: &[told],
            original,
            is_whole: true,
        };
        report.compose()
    }

    fn no_such_user() -> Reply {
        Reply::new(550, Enhanced(5, 1, 1), "no such user\nreally")
    }

    #[test]
    fn a_failure_is_told_to_people_and_to_programs() {
        let told = recipient(Some("all@here.test"));
        let report = compose(News::Failed, None, &told, &no_such_user(), ORIGINAL).unwrap();
        assert_eq!(report.to.to_string(), "ann@here.test");
        assert_eq!(report.body, BodyType::SevenBit);
        let message = Message::read(&report.octets);
        let kinds: Vec<_> = message
            .parts()
            .map(|(id, _)| {
                let kind = message.content(id).kind.unwrap();
                format!(
                    "{}/{}",
                    String::from_utf8_lossy(kind.kind),
                    String::from_utf8_lossy(kind.subtype)
                )
            })
            .collect();
        assert_eq!(
            kinds,
            [
                "multipart/report",
                "text/plain",
                "message/delivery-status",
                "text/rfc822-headers"
            ]
        );
        let header = message.header(PartId::ROOT);
        let field = |name| header.find(name).unwrap().text().into_owned();
        assert_eq!(
            field("From"),
            "Mail Delivery System <mailer-daemon@mx.here.test>"
        );
        assert_eq!(field("Auto-Submitted"), "auto-replied");
        assert_eq!(field("In-Reply-To"), "<m1@here.test>");
        let text = message.text_of(PartId(1)).unwrap();
        for part in [
            "<bob@there.test>",
            "<all@here.test>",
            "mx.there.test",
            "no such user",
            "Subject: Gr\u{fc}\u{df}e",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(
            std::str::from_utf8(message.body(PartId(2))).unwrap(),
            "Reporting-MTA: dns; mx.here.test\r\n\
             Original-Envelope-Id: e??1\r\n\
             Arrival-Date: Sun, 22 Nov 2026 00:00:00 +0000\r\n\
             \r\n\
             Original-Recipient: rfc822; all@here.test\r\n\
             Final-Recipient: rfc822; bob@there.test\r\n\
             Action: failed\r\n\
             Status: 5.1.1\r\n\
             Remote-MTA: dns; mx.there.test\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 no such user / really\r\n\
             Last-Attempt-Date: Sun, 22 Nov 2026 00:01:40 +0000\r\n"
        );
        assert_eq!(message.body(PartId(3)), &ORIGINAL[..ORIGINAL.len() - 7]);
    }

    #[test]
    fn the_whole_message_comes_back_if_it_is_wanted_and_small() {
        let told = recipient(None);
        let kind = |ret, original: &[u8]| {
            let report = compose(News::Failed, ret, &told, &no_such_user(), original).unwrap();
            let message = Message::read(&report.octets);
            let subtype = message.content(PartId(3)).kind.unwrap().subtype.to_vec();
            String::from_utf8(subtype).unwrap()
        };
        assert_eq!(kind(Some(Ret::Full), ORIGINAL), "rfc822");
        assert_eq!(kind(Some(Ret::Headers), ORIGINAL), "rfc822-headers");
        let large = [ORIGINAL, &vec![b'x'; FULL_OCTETS_MAX]].concat();
        assert_eq!(kind(Some(Ret::Full), &large), "rfc822-headers");
    }

    #[test]
    fn octets_above_127_are_announced_by_every_part_that_holds_them() {
        let told = recipient(None);
        let encodings = |original: &[u8]| {
            let report = compose(News::Failed, None, &told, &no_such_user(), original).unwrap();
            let message = Message::read(&report.octets);
            let encoding = |id| message.content(id).encoding.map(<[u8]>::to_vec);
            (report.body, [PartId::ROOT, PartId(3)].map(encoding))
        };
        let eight = || Some(b"8bit".to_vec());
        let original = "Subject: Gr\u{fc}\u{df}e\r\n\r\n".as_bytes();
        let expected = (BodyType::EightBitMime, [eight(), eight()]);
        assert_eq!(encodings(original), expected);
        assert_eq!(encodings(ORIGINAL), (BodyType::SevenBit, [None, None]));
    }

    #[test]
    fn a_delay_says_how_long_it_goes_on() {
        let reply = Reply::new(451, None, "try later");
        let news = News::Delayed(Time::from_seconds(1_795_737_600));
        let report = compose(news, Some(Ret::Full), &recipient(None), &reply, ORIGINAL).unwrap();
        let text = String::from_utf8(report.octets).unwrap();
        for line in [
            "Action: delayed\r\n",
            "Status: 4.0.0\r\n",
            "Will-Retry-Until: Fri, 27 Nov 2026 00:00:00 +0000\r\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
        assert!(!text.contains("message/rfc822"));
    }

    #[test]
    fn nobody_is_told_what_they_do_not_want_to_hear() {
        let quiet = Recipient {
            notify: Notify::NEVER,
            ..recipient(None)
        };
        assert_eq!(
            compose(News::Failed, None, &quiet, &no_such_user(), ORIGINAL),
            None
        );
        let told = recipient(None);
        assert_eq!(
            compose(News::Delivered, None, &told, &no_such_user(), ORIGINAL),
            None
        );
        let local = Target::Local {
            account: AccountId(1),
            detail: None,
        };
        let told = Recipient::new("x@y.test".parse().unwrap(), local);
        let report = Report {
            news: News::Failed,
            by: &"mx.here.test".parse().unwrap(),
            message_id: "r",
            at: Time(0),
            envelope: &Envelope::default(),
            arrived: Time(0),
            told: &[Told {
                recipient: &told,
                reply: &no_such_user(),
                remote: None,
                last_attempt: None,
            }],
            original: ORIGINAL,
            is_whole: true,
        };
        assert_eq!(report.compose(), None);
    }

    proptest! {
        #[test]
        fn whatever_was_said_and_sent_the_report_is_whole(text: String, octets: Vec<u8>, boundary: bool) {
            let reply = Reply::new(550, None, text);
            let mut original = octets;
            if boundary {
                original.extend_from_slice(b"\n--=_report_\n");
            }
            let report = compose(News::Failed, Some(Ret::Full), &recipient(Some("y@x.test")), &reply, &original).unwrap();
            let message = Message::read(&report.octets);
            let children: Vec<_> = message.children(PartId::ROOT).collect();
            prop_assert_eq!(children.len(), 3);
            for (n, line) in report.octets.split_inclusive(|&b| b == b'\n').enumerate() {
                prop_assert!(line.ends_with(b"\r\n"), "line {}", n);
            }
            let status = message.body(children[1]);
            prop_assert!(status.is_ascii());
            prop_assert!(status.split(|&b| b == b'\n').all(|line| line.len() <= 1000));
        }
    }
}
