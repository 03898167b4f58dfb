//! How messages lie in an mbox file: From lines, quoting, and flags in header fields.

use mail::{Flags, Time};
use mime::{Date, Header, day_of};

use super::{Letter, letter::with_crlf};

/// A message as it lies in an mbox file, in the form mboxrd: a From line before it, an empty one
/// behind it, and every line that begins like a From line, quoted or not, quoted once more. Flags
/// stand in front of the header.
pub(super) fn write(letter: &Letter) -> Vec<u8> {
    // Lines of Unix, unless that would lose something.
    let end: &[u8] = if has_crlf_only(&letter.octets) {
        b"\n"
    } else {
        b"\r\n"
    };
    let mut out = Vec::with_capacity(letter.octets.len() + 256);
    let head = [
        format!("From MAILER-DAEMON {}", asctime(letter.date)),
        format!("Status: {}", signs(&letter.flags, STATUS)),
        format!("X-Status: {}", signs(&letter.flags, X_STATUS)),
        format!("X-Keywords: {}", keywords(&letter.flags)),
    ];
    for line in &head {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(end);
    }
    if !letter.octets.ends_with(b"\n") {
        out.extend_from_slice(OPEN_END.as_bytes());
        out.extend_from_slice(end);
    }
    for line in letter.octets.split_inclusive(|&octet| octet == b'\n') {
        if is_from(line) {
            out.push(b'>');
        }
        match line.strip_suffix(b"\r\n") {
            Some(text) => {
                out.extend_from_slice(text);
                out.extend_from_slice(end);
            }
            None => out.extend_from_slice(line),
        }
    }
    if !letter.octets.ends_with(b"\n") {
        out.extend_from_slice(end);
    }
    out.extend_from_slice(end);
    out
}

/// A message from its lines in an mbox file, without the From line, whose date is `from`.
pub(super) fn read(mut octets: Vec<u8>, from: Option<Time>) -> Letter {
    // The empty line before the next From line is not the message's.
    if octets.ends_with(b"\n\r\n") {
        octets.truncate(octets.len() - 2);
    } else if octets.ends_with(b"\n\n") {
        octets.truncate(octets.len() - 1);
    }
    let (own, open_end, length) = own_lines(&octets);
    let mut out = Vec::with_capacity(octets.len());
    for line in octets[length..].split_inclusive(|&octet| octet == b'\n') {
        let quoted = is_from(line) && line[0] == b'>';
        out.extend_from_slice(&line[usize::from(quoted)..]);
    }
    let mut octets = with_crlf(out);
    if open_end {
        octets.truncate(octets.len() - if octets.ends_with(b"\r\n") { 2 } else { 1 });
    }
    let header = Header::of(&octets);
    let mut flags = own.unwrap_or_else(|| {
        // Other programs have them somewhere in the header, and they stay there.
        let fields = header.fields().flat_map(|field| match &field {
            field if field.is("Status") => flags_of(&field.text(), STATUS),
            field if field.is("X-Status") => flags_of(&field.text(), X_STATUS),
            _ => Vec::new(),
        });
        fields.collect()
    });
    let dated = || Date::from_rfc5322(&header.find("Date")?.unfolded()).map(Date::time);
    let date = from.or_else(dated).unwrap_or_default();
    flags.sort();
    flags.dedup();
    Letter {
        flags,
        date,
        octets,
    }
}

/// Whether a line separates messages, and the date that it says. Only what follows an empty line,
/// or nothing, can be one.
pub(super) fn from_line(line: &[u8]) -> Option<Option<Time>> {
    let text = line.strip_prefix(b"From ")?;
    let text = String::from_utf8_lossy(text);
    Some(read_asctime(text.trim_end()))
}

/// What [`write`] has put in front of the header: flags, whether the last line has no end, and the
/// length of it all. No flags if it is not there as it writes it.
fn own_lines(octets: &[u8]) -> (Option<Vec<String>>, bool, usize) {
    let mut lines = octets.split_inclusive(|&octet| octet == b'\n');
    let (mut flags, mut length) = (Vec::new(), 0);
    for name in ["Status: ", "X-Status: ", "X-Keywords: "] {
        let line = lines.next().unwrap_or_default();
        let text = std::str::from_utf8(line).unwrap_or_default();
        let Some(value) = text.trim_end_matches(['\r', '\n']).strip_prefix(name) else {
            return (None, false, 0);
        };
        match name {
            "Status: " => flags.extend(flags_of(value, STATUS)),
            "X-Status: " => flags.extend(flags_of(value, X_STATUS)),
            _ => flags.extend(value.split_whitespace().map(str::to_owned)),
        }
        length += line.len();
    }
    let next = lines.next().unwrap_or_default();
    let is_open = next.trim_ascii_end() == OPEN_END.as_bytes();
    (
        Some(flags),
        is_open,
        length + if is_open { next.len() } else { 0 },
    )
}

/// `>*From ` at the beginning of a line.
fn is_from(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|&&octet| octet == b'>').count();
    line[quotes..].starts_with(b"From ")
}

fn has_crlf_only(octets: &[u8]) -> bool {
    let first = memchr::memchr(b'\n', octets);
    first.is_none_or(|at| at > 0)
        && memchr::memchr_iter(b'\n', octets).all(|at| at > 0 && octets[at - 1] == b'\r')
}

fn signs(flags: &[String], known: &[(char, &str)]) -> String {
    let set = |name: &str| flags.iter().any(|flag| flag.eq_ignore_ascii_case(name));
    let mut signs: String = known
        .iter()
        .filter(|(_, name)| set(name))
        .map(|(sign, _)| sign)
        .collect();
    if known == STATUS {
        signs.push('O'); // it is not new to whoever has kept it
    }
    signs
}

fn flags_of(signs: &str, known: &[(char, &str)]) -> Vec<String> {
    let set = known.iter().filter(|(sign, _)| signs.contains(*sign));
    set.map(|(_, name)| (*name).to_owned()).collect()
}

fn keywords(flags: &[String]) -> String {
    let keywords: Vec<&str> = flags
        .iter()
        .filter(|flag| Flags::named(flag).is_none())
        .map(String::as_str)
        .collect();
    keywords.join(" ")
}

/// `Wed Nov 15 03:13:20 2023`, in UTC.
fn asctime(time: Time) -> String {
    let text = time.to_string();
    let number = |range: std::ops::Range<usize>| text[range].parse::<usize>().unwrap_or(1);
    let weekday = WEEKDAYS[(time.seconds() / 86_400 % 7) as usize];
    let month = MONTHS[(number(5..7) - 1).min(11)];
    format!(
        "{weekday} {month} {:>2} {} {}",
        number(8..10),
        &text[11..19],
        &text[..4]
    )
}

/// The date at the end of a From line; a zone before the year is passed over.
fn read_asctime(text: &str) -> Option<Time> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let month = words.iter().rposition(|word| MONTHS.contains(word))?;
    let day: u8 = words.get(month + 1)?.parse().ok()?;
    let clock = words.get(month + 2)?;
    let years = words[month + 3..].iter().filter(|word| word.len() == 4);
    let year: u16 = years.filter_map(|word| word.parse().ok()).next()?;
    let mut parts = clock.split(':').map(str::parse::<u64>);
    let (hour, minute) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let second = parts.next().unwrap_or(Ok(0)).ok()?;
    let days = u64::try_from(day_of(day, words[month], year)?).ok()?;
    Some(Time::from_seconds(
        days * 86_400 + hour * 3600 + minute * 60 + second,
    ))
}

const STATUS: &[(char, &str)] = &[('R', "\\Seen")];

const X_STATUS: &[(char, &str)] = &[
    ('A', "\\Answered"),
    ('D', "\\Deleted"),
    ('F', "\\Flagged"),
    ('T', "\\Draft"),
];

/// Says that the message's last line has no end.
const OPEN_END: &str = "X-Heronry-Open-End: yes";

/// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(octets: &[u8], flags: &[&str]) -> Letter {
        Letter {
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            date: Time(1_700_018_000_000),
            octets: octets.to_vec(),
        }
    }

    /// What comes back after the From line is taken off.
    fn there_and_back(letter: &Letter) -> Letter {
        let written = write(letter);
        let end = written.iter().position(|&octet| octet == b'\n').unwrap() + 1;
        let date = from_line(&written[..end]).unwrap();
        read(written[end..].to_vec(), date)
    }

    #[test]
    fn a_message_comes_back_octet_for_octet_with_flags_and_date() {
        let all = [
            "$Todo",
            "Other",
            "\\Answered",
            "\\Deleted",
            "\\Draft",
            "\\Flagged",
            "\\Seen",
        ];
        for octets in [
            &b"Subject: x\r\n\r\nFrom here\r\n>From there\r\n>>From\r\nfrom\r\n"[..],
            b"Subject: x\r\n\r\nno end",
            b"Subject: x\r\n\r\nends with an empty line\r\n\r\n",
            b"Subject: x\r\n\r\nbare\nFrom bare\r\n>From x\n",
            b"Subject: only\r\n",
            b"From: a\r\nStatus: mine\r\n\r\nx\r\n",
        ] {
            for flags in [&[][..], &["\\Seen"], &all] {
                let before = letter(octets, flags);
                assert_eq!(there_and_back(&before), before, "{}", octets.escape_ascii());
            }
        }
    }

    #[test]
    fn from_lines_of_many_programs_are_read() {
        let at = |line: &str| {
            from_line(line.as_bytes())
                .flatten()
                .map(|time| time.to_string())
        };
        for line in [
            "From ann@a.test Wed Nov 15 03:13:20 2023\n",
            "From MAILER-DAEMON Wed Nov 15 03:13:20 2023\r\n",
            "From ann@a.test  Wed Nov 15 03:13:20 CET 2023\n",
            "From - Wed Nov 15 03:13:20 2023\n",
            "From ann Wed Nov 15 03:13:20 2023 remote from there\n",
        ] {
            assert_eq!(
                at(line).as_deref(),
                Some("2023-11-15T03:13:20.000Z"),
                "{line}"
            );
        }
        assert_eq!(from_line(b"From now on\n"), Some(None));
        assert_eq!(from_line(b">From x\n"), None);
    }

    #[test]
    fn an_mbox_of_another_program_is_read_with_its_flags() {
        let text = b"Date: Wed, 15 Nov 2023 03:13:20 +0000\nX-Status: AF\nStatus: RO\n\nx\n\n";
        let read = read(text.to_vec(), None);
        assert_eq!(read.flags, ["\\Answered", "\\Flagged", "\\Seen"]);
        assert_eq!(read.date.to_string(), "2023-11-15T03:13:20.000Z");
        assert!(
            read.octets.starts_with(b"Date: "),
            "the message stays what it is"
        );
        assert!(read.octets.ends_with(b"\r\n\r\nx\r\n"));
    }
}
