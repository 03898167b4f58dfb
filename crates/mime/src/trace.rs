//! The fields that a mail system writes in front of a message it has taken.

use std::{
    fmt::{self, Write},
    net::IpAddr,
};

use mail::{Address, Domain, Time};

use crate::{date::Date, header::Header};

/// The `Received` field of one hop (RFC 5321 §4.4).
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// What the client called itself in HELO, EHLO or LHLO.
    pub from: &'a str,
    /// The address it came from.
    pub address: IpAddr,
    /// This system's name.
    pub by: &'a Domain,
    /// The protocol, a word of RFC 3848, RFC 6531 §4.3 or RFC 2033: `ESMTPS`, `LMTP`, …
    pub with: &'a str,
    /// Version and cipher of the TLS session, if there is one.
    pub tls: Option<String>,
    /// The message's name here; `None` leaves it out.
    pub id: Option<String>,
    /// The recipient if there is only one, so that nobody learns of another
    /// (RFC 5321 §7.2).
    pub for_: Option<&'a Address>,
    /// When it was taken.
    pub at: Time,
}

impl Received<'_> {
    /// Appends the field, folded, with its line end.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        // Into a vector nothing fails to be written.
        let _ = self.write(&mut Text(out));
    }

    fn write(&self, out: &mut Text<'_>) -> fmt::Result {
        let literal = Literal(self.address.to_canonical());
        out.write_str("Received: from ")?;
        if is_sound(self.from) {
            out.write_str(self.from)?;
        } else {
            write!(out, "{literal}")?;
        }
        write!(out, " ({literal})\r\n\tby ")?;
        out.write_str(self.by.as_str())?;
        if let Some(tls) = &self.tls {
            // A comment: it must not end early.
            let is_plain =
                |c: &char| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '\\') || *c == ' ';
            write!(
                out,
                " ({})",
                tls.chars().filter(is_plain).collect::<String>()
            )?;
        }
        out.write_str(" with ")?;
        out.write_str(self.with)?;
        if let Some(id) = &self.id {
            write!(out, " id {id}")?;
        }
        if let Some(address) = self.for_ {
            write!(out, "\r\n\tfor <{address}>")?;
        }
        write!(out, ";\r\n\t{}\r\n", Date::utc(self.at))
    }
}

/// An address as a domain (RFC 5321 §4.1.3).
struct Literal(IpAddr);

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "[{v4}]"),
            IpAddr::V6(v6) => write!(f, "[IPv6:{v6}]"),
        }
    }
}

/// Text at the end of octets.
struct Text<'a>(&'a mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The `Return-Path` field of a final delivery (RFC 5321 §4.4), with its line end, and with room
/// behind it for a [`Received`].
#[must_use]
pub fn return_path(from: Option<&Address>) -> Vec<u8> {
    let mut out = Vec::with_capacity(TRACE_OCTETS);
    out.extend_from_slice(b"Return-Path: <");
    if let Some(path) = from {
        let _ = write!(Text(&mut out), "{path}"); // as above
    }
    out.extend_from_slice(b">\r\n");
    out
}

/// The `Delivered-To` field: by it a forwarding loop is recognised, with its line end.
#[must_use]
pub fn delivered_to(to: &Address) -> Vec<u8> {
    format!("Delivered-To: {to}\r\n").into_bytes()
}

/// How many systems have passed the message on: the number of its `Received` fields. More than a
/// hundred are a loop (RFC 5321 §6.3).
#[must_use]
pub fn hops(header: Header<'_>) -> usize {
    header.count("Received")
}

/// What a submitted message should have and does not (RFC 6409 §8.2, §8.3; RFC 5322 §3.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Missing {
    /// `Date`
    pub date: bool,
    /// `From`, which nobody can add.
    pub from: bool,
    /// `Message-ID`
    pub message_id: bool,
}

impl Missing {
    /// Looks through a header, or a message's beginning that holds its header.
    #[must_use]
    pub fn of(message: &[u8]) -> Self {
        let mut missing = Self {
            date: true,
            from: true,
            message_id: true,
        };
        for field in Header::of(message).fields() {
            missing.date &= !field.is("Date");
            missing.from &= !field.is("From");
            missing.message_id &= !field.is("Message-ID");
        }
        missing
    }

    /// The fields to put in front of the message; `message_id` is without angle brackets. Empty if
    /// nothing is missing that can be added.
    #[must_use]
    pub fn fields(self, now: Time, message_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if self.date {
            out.extend_from_slice(format!("Date: {}\r\n", Date::utc(now)).as_bytes());
        }
        if self.message_id {
            out.extend_from_slice(format!("Message-ID: <{message_id}>\r\n").as_bytes());
        }
        out
    }
}

/// Whether what a client calls itself is a name or literal that may stand in a field: anything else
/// a client says there stays out.
fn is_sound(name: &str) -> bool {
    let is_sound = |b: u8| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b);
    !name.is_empty() && name.len() <= 255 && name.bytes().all(is_sound)
}

/// Both fields with names of common length.
const TRACE_OCTETS: usize = 384;

#[cfg(test)]
mod tests {
    use super::*;

    fn received(from: &str, tls: Option<&str>, to: Option<&Address>) -> String {
        let mut out = Vec::new();
        let received = Received {
            from,
            address: "::ffff:192.0.2.1".parse().unwrap(),
            by: &"mx.here.test".parse().unwrap(),
            with: "ESMTPS",
            tls: tls.map(str::to_owned),
            id: Some("7ABC".to_owned()),
            for_: to,
            at: Time::from_seconds(1_795_305_600),
        };
        received.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_received_field_says_who_brought_it_how_and_when() {
        let to = "\"a b\"@here.test".parse().unwrap();
        assert_eq!(
            received(
                "client.test",
                Some("TLSv1.3 TLS_AES_256_GCM_SHA384"),
                Some(&to)
            ),
            "Received: from client.test ([192.0.2.1])\r\n\
             \tby mx.here.test (TLSv1.3 TLS_AES_256_GCM_SHA384) with ESMTPS id 7ABC\r\n\
             \tfor <\"a b\"@here.test>;\r\n\
             \tSun, 22 Nov 2026 00:00:00 +0000\r\n"
        );
    }

    #[test]
    fn a_client_cannot_write_what_it_likes_there() {
        let field = received("evil (x) by bank.test\r\nFrom: y", Some("a)b"), None);
        assert!(
            field.starts_with("Received: from [192.0.2.1] ([192.0.2.1])\r\n\tby mx.here.test (ab)")
        );
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let at = Time::from_seconds(1_795_305_600);
        assert_eq!(
            Missing::of(b"DATE: x\r\nmessage-id: <y>\r\n\r\n").fields(at, "m@x"),
            b""
        );
        let missing = Missing::of(b"Subject: Date\r\n\r\nDate: in the body");
        assert_eq!(
            missing.fields(at, "m@x"),
            b"Date: Sun, 22 Nov 2026 00:00:00 +0000\r\nMessage-ID: <m@x>\r\n"
        );
        assert!(missing.from);
    }

    #[test]
    fn hops_are_counted_and_paths_written() {
        assert_eq!(
            hops(Header::of(
                b"Received: a\r\n b\r\nreceived: c\r\n\r\nReceived: d"
            )),
            2
        );
        assert_eq!(return_path(None), b"Return-Path: <>\r\n");
    }
}
