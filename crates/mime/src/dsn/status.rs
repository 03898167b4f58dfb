//! The part for programs: `message/delivery-status` (RFC 3464 §2).

use mail::{Enhanced, Reply, Time};

use super::{News, Report, Told};
use crate::date::Date;

/// Appends the fields of the message, then those of each recipient.
pub(super) fn write(out: &mut Vec<u8>, report: &Report<'_>, told: &[&Told<'_>]) {
    field(out, "Reporting-MTA", &format!("dns; {}", report.by));
    if let Some(envid) = &report.envelope.envid {
        field(out, "Original-Envelope-Id", envid);
    }
    field(out, "Arrival-Date", &date(report.arrived));
    for told in told {
        out.extend_from_slice(b"\r\n");
        write_recipient(out, report.news, told);
    }
}

fn write_recipient(out: &mut Vec<u8>, news: News, told: &Told<'_>) {
    if let Some(original) = &told.recipient.original {
        field(out, "Original-Recipient", &format!("rfc822; {original}"));
    }
    field(
        out,
        "Final-Recipient",
        &format!("rfc822; {}", told.recipient.address),
    );
    field(out, "Action", action(news));
    field(out, "Status", &status(news, told.reply).to_string());
    if let Some(remote) = told.remote {
        field(out, "Remote-MTA", &format!("dns; {remote}"));
    }
    field(out, "Diagnostic-Code", &format!("smtp; {}", told.reply));
    if let Some(at) = told.last_attempt {
        field(out, "Last-Attempt-Date", &date(at));
    }
    if let News::Delayed(until) = news {
        field(out, "Will-Retry-Until", &date(until));
    }
}

const fn action(news: News) -> &'static str {
    match news {
        News::Delayed(_) => "delayed",
        News::Delivered => "delivered",
        News::Failed => "failed",
        News::Relayed => "relayed",
    }
}

/// The status code, whose class fits the news (RFC 3463 §2). What failed although the last reply
/// said "later" ran out of time.
pub(super) fn status(news: News, reply: &Reply) -> Enhanced {
    let class = match news {
        News::Delayed(_) => 4,
        News::Delivered | News::Relayed => 2,
        News::Failed => 5,
    };
    match reply.enhanced() {
        _ if class == 5 && reply.is_transient() => Enhanced(5, 4, 7),
        Some(Enhanced(_, subject, detail)) => Enhanced(class, subject, detail),
        None => Enhanced(class, 0, 0),
    }
}

fn date(at: Time) -> String {
    Date::utc(at).to_string()
}

/// Appends a field: only printable US-ASCII, folded where it is long.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut column = name.len() + 1;
    let mut room = VALUE_OCTETS_MAX;
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        if room == 0 {
            break;
        }
        if column + 1 + word.len() > LINE_OCTETS && column > name.len() + 1 {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        out.push(b' ');
        let printable = |c: char| if c.is_ascii_graphic() { c as u8 } else { b'?' };
        let start = out.len();
        out.extend(word.chars().take(WORD_OCTETS_MAX.min(room)).map(printable));
        column += 1 + out.len() - start;
        room -= out.len() - start;
    }
    out.extend_from_slice(b"\r\n");
}

/// Where a line is folded (RFC 5322 §2.1.1).
const LINE_OCTETS: usize = 78;
const WORD_OCTETS_MAX: usize = 500;
/// A peer's reply may be long; this much of it says enough.
const VALUE_OCTETS_MAX: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_status_fits_the_news() {
        let of = |news, code, enhanced: Option<Enhanced>| {
            status(news, &Reply::new(code, enhanced, "x")).to_string()
        };
        assert_eq!(of(News::Failed, 550, Some(Enhanced(5, 1, 1))), "5.1.1");
        assert_eq!(of(News::Failed, 550, None), "5.0.0");
        assert_eq!(of(News::Failed, 451, Some(Enhanced(4, 2, 1))), "5.4.7");
        assert_eq!(
            of(News::Delayed(Time(0)), 451, Some(Enhanced(4, 2, 1))),
            "4.2.1"
        );
        assert_eq!(of(News::Relayed, 250, None), "2.0.0");
    }

    #[test]
    fn long_fields_are_folded() {
        let mut out = Vec::new();
        field(&mut out, "X", &"word ".repeat(40));
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.len() <= LINE_OCTETS));
        assert_eq!(text.replace("\r\n ", " ").len(), 2 + 40 * 5 + 2);
    }
}
