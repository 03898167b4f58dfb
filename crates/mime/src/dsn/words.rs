//! The part for people: who did not get it, what was said, what happens next.

use mail::{Enhanced, Reply};

use super::{News, Report, Told, status::status};
use crate::{date::Date, header::Header};

/// The text in UTF-8, with CRLF line ends.
pub(super) fn text(report: &Report<'_>, told: &[&Told<'_>]) -> Vec<u8> {
    let mut lines = vec![
        format!("This is the mail system at {}.", report.by),
        String::new(),
    ];
    let (opening, closing) = match report.news {
        News::Delayed(until) => (
            "Your message has not been delivered yet to:",
            format!(
                "You need not send it again: delivery is tried until\r\n{}.",
                Date::utc(until)
            ),
        ),
        News::Delivered => ("Your message has arrived in the mailbox of:", String::new()),
        News::Failed => (
            "Your message could not be delivered to:",
            "It will not be tried again. If it matters, check the address and send the\r\n\
             message once more, or reach the recipient by other means."
                .to_owned(),
        ),
        News::Relayed => (
            "Your message was handed on to a system that sends no reports of its own, for:",
            String::new(),
        ),
    };
    lines.push(opening.to_owned());
    for told in told {
        recipient(&mut lines, report.news, told);
    }
    if !closing.is_empty() {
        lines.extend([String::new(), closing]);
    }
    lines.extend([String::new(), "The message was:".to_owned(), String::new()]);
    let header = Header::of(report.original);
    for name in ["From", "To", "Subject", "Date", "Message-ID"] {
        if let Some(field) = header.find(name) {
            lines.push(format!("    {name}: {}", one_line(&field.text())));
        }
    }
    let taken = Date::utc(report.arrived);
    lines.push(format!("    Taken by {} on {taken}", report.by));
    let mut out = lines.join("\r\n").into_bytes();
    out.extend_from_slice(b"\r\n");
    out
}

fn recipient(lines: &mut Vec<String>, news: News, told: &Told<'_>) {
    lines.push(String::new());
    lines.push(format!("  <{}>", told.recipient.address));
    if let Some(original) = &told.recipient.original {
        lines.push(format!("    (you wrote to <{original}>)"));
    }
    if matches!(news, News::Delivered | News::Relayed) {
        return;
    }
    if let Some(meaning) = meaning(status(news, told.reply)) {
        lines.push(format!("    {meaning}"));
    }
    let who = match told.remote {
        Some(remote) => format!("{} said", one_line(remote)),
        None => "The reason".to_owned(),
    };
    lines.push(format!("    {who}:"));
    for line in said(told.reply).lines().take(REPLY_LINES_MAX) {
        lines.push(format!("      {}", one_line(line)));
    }
}

/// The reply with its codes in front.
fn said(reply: &Reply) -> String {
    let mut codes = reply.code().to_string();
    if let Some(enhanced) = reply.enhanced() {
        codes.push_str(&format!(" {enhanced}"));
    }
    format!("{codes} {}", reply.text())
}

/// What a status means, in words for people (RFC 3463 §3).
const fn meaning(status: Enhanced) -> Option<&'static str> {
    Some(match (status.1, status.2) {
        (1, 1) => "There is no such mailbox; the address may be misspelt.",
        (1, 2) => "There is no such domain; the address may be misspelt.",
        (1, 10) => "This domain takes no mail.",
        (1, _) => "The address was not accepted.",
        (2, 1) => "The mailbox is closed.",
        (2, 2) => "The mailbox is full.",
        (2, 3) | (3, 4) => "The message is too large.",
        (4, 6) => "The message goes round in circles between mail systems.",
        (4, 7) => "The recipient's mail system could not be reached in time.",
        (4, _) => "The recipient's mail system cannot be reached.",
        (6, _) => "The recipient's mail system cannot take this kind of content.",
        (7, _) => "The recipient's mail system refuses the message.",
        _ => return None,
    })
}

/// No control characters, and not endless.
fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(LINE_CHARS_MAX).map(clean).collect()
}

/// Appends the rest of the part's header, and the text: as it is, or in quoted-printable if it is
/// not all ASCII (RFC 2045 §6.7).
pub(super) fn write_text_part(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_ascii() {
        out.extend_from_slice(b"Content-Type: text/plain; charset=us-ascii\r\n\r\n");
        return out.extend_from_slice(text);
    }
    out.extend_from_slice(
        b"Content-Type: text/plain; charset=utf-8\r\n\
          Content-Transfer-Encoding: quoted-printable\r\n\r\n",
    );
    for line in text.split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let mut column = 0;
        for (at, &octet) in line.iter().enumerate() {
            let is_last = at + 1 == line.len();
            let is_plain =
                matches!(octet, b'!'..=b'<' | b'>'..=b'~') || (octet == b' ' && !is_last);
            let width = if is_plain { 1 } else { 3 };
            if column + width > QUOTED_LINE_OCTETS_MAX {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if is_plain {
                out.push(octet);
            } else {
                out.extend_from_slice(format!("={octet:02X}").as_bytes());
            }
            column += width;
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// RFC 2045 §6.7 (5), without the soft line break's own `=`.
const QUOTED_LINE_OCTETS_MAX: usize = 75;
const REPLY_LINES_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 500;
