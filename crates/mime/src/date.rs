//! Dates as mail writes them: RFC 5322 `Date:` fields and IMAP's INTERNALDATE, read and written.

use std::fmt;

use mail::Time;

/// An instant together with the zone in which somebody wrote it down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Date {
    /// Seconds since the epoch; negative before 1970.
    pub seconds: i64,
    /// Minutes east of Greenwich, -1439 to 1439.
    pub zone_minutes: i16,
}

impl Date {
    /// That instant, written in Greenwich's zone.
    #[must_use]
    pub fn utc(time: Time) -> Self {
        Self {
            seconds: i64::try_from(time.seconds())
                .unwrap_or(i64::MAX)
                .min(SECONDS_MAX),
            zone_minutes: 0,
        }
    }

    /// Reads the value of a `Date:` field, the obsolete forms included: two-digit years, zones by
    /// name, comments, no day of the week, no seconds (RFC 5322 §3.3, §4.3).
    #[must_use]
    pub fn from_rfc5322(value: &[u8]) -> Option<Self> {
        let mut words = Words { rest: value };
        let mut word = words.next()?;
        if word[0].is_ascii_alphabetic() {
            word = words.next()?; // the day of the week says nothing new
        }
        let (day, month, year) = if word.contains(&b'-') {
            let mut parts = word.splitn(3, |&b| b == b'-');
            (parts.next()?, parts.next()?, parts.next()?)
        } else {
            (word, words.next()?, words.next()?)
        };
        let (day, month, year) = (number(day)?, month_number(month)?, year_number(year)?);
        let clock = words.next()?;
        let mut parts = clock.splitn(3, |&b| b == b':');
        let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
        let second = match parts.next() {
            Some(second) => number(second.split(|&b| b == b'.').next()?)?,
            None => 0,
        };
        let zone = words.next().map_or(0, zone_minutes);
        Self::of([year, month, day], [hour, minute, second], zone)
    }

    /// Reads IMAP's date-time, `17-Jul-1996 02:44:25 -0700`, quotes taken off; the day may begin
    /// with a space (RFC 3501 §9).
    #[must_use]
    pub fn from_imap(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let exact = bytes.len() == 26
            && bytes[2] == b'-'
            && bytes[6] == b'-'
            && bytes[11] == b' '
            && bytes[14] == b':'
            && bytes[17] == b':'
            && bytes[20] == b' '
            && matches!(bytes[21], b'+' | b'-');
        if !exact {
            return None;
        }
        let day = number(bytes[..2].trim_ascii_start())?;
        let (month, year) = (month_number(&bytes[3..6])?, number(&bytes[7..11])?);
        let clock = [
            number(&bytes[12..14])?,
            number(&bytes[15..17])?,
            number(&bytes[18..20])?,
        ];
        let (hours, minutes) = (number(&bytes[22..24])?, number(&bytes[24..26])?);
        if minutes > 59 || hours > 23 {
            return None;
        }
        let zone = i16::try_from(hours * 60 + minutes).ok()?;
        let zone = if bytes[21] == b'-' { -zone } else { zone };
        Self::of([year, month, day], clock, zone)
    }

    /// The instant, never before 1970.
    #[must_use]
    pub fn time(self) -> Time {
        Time::from_seconds(u64::try_from(self.seconds).unwrap_or(0))
    }

    /// The day that the writer's calendar showed, in days since 1970-01-01: what IMAP's SENTON and
    /// its kin compare, "disregarding time and timezone" (RFC 3501 §6.4.4).
    #[must_use]
    pub const fn day(self) -> i64 {
        (self.seconds + self.zone_minutes as i64 * 60).div_euclid(DAY)
    }

    /// As IMAP's INTERNALDATE shows it, without quotes: `17-Jul-1996 02:44:25 -0700`.
    #[must_use]
    pub fn imap(self) -> String {
        let ([year, month, day], [hour, minute, second]) = self.civil();
        let month = MONTHS[month as usize - 1];
        let zone = Zone(self.zone_minutes);
        format!("{day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} {zone}")
    }

    /// Checks the fields and puts them together; a leap second counts as the second after it.
    fn of(date: [i64; 3], clock: [i64; 3], zone_minutes: i16) -> Option<Self> {
        let [year, month, day] = date;
        let [hour, minute, second] = clock;
        if !(0..=9999).contains(&year)
            || !(1..=days_in_month(year, month)).contains(&day)
            || !(0..24).contains(&hour)
            || !(0..60).contains(&minute)
            || !(0..=60).contains(&second)
        {
            return None;
        }
        let local = day_number(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        Some(Self {
            seconds: local - i64::from(zone_minutes) * 60,
            zone_minutes,
        })
    }

    /// Year, month, day and hour, minute, second on the writer's wall.
    fn civil(self) -> ([i64; 3], [i64; 3]) {
        let local = self.seconds + i64::from(self.zone_minutes) * 60;
        let of_day = local.rem_euclid(DAY);
        let clock = [of_day / 3600, of_day / 60 % 60, of_day % 60];
        (date_of_day(local.div_euclid(DAY)), clock)
    }
}

/// The day of a date, in days since 1970-01-01; `None` when there is no such date. For IMAP's
/// search keys (`1-Feb-1994` has the parts 1, `Feb`, 1994).
#[must_use]
pub fn day_of(day: u8, month: &str, year: u16) -> Option<i64> {
    let (year, month, day) = (
        i64::from(year),
        month_number(month.as_bytes())?,
        i64::from(day),
    );
    (1..=days_in_month(year, month))
        .contains(&day)
        .then(|| day_number(year, month, day))
}

/// As a `Date:` field shows it: `Tue, 01 Jul 2003 10:52:37 +0200` (RFC 5322 §3.3).
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([year, month, day], [hour, minute, second]) = self.civil();
        let weekday = WEEKDAYS[(self.day() + 4).rem_euclid(7) as usize];
        let month = MONTHS[month as usize - 1];
        let zone = Zone(self.zone_minutes);
        write!(
            f,
            "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} {zone}"
        )
    }
}

struct Zone(i16);

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let minutes = self.0.unsigned_abs();
        write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

/// The words of a date, between white space, commas and comments.
struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut depth = 0_u32;
        let mut at = 0;
        while let Some(&octet) = self.rest.get(at) {
            match octet {
                b'\\' if depth > 0 => at += 1,
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                _ if depth > 0 || is_between(octet) => {}
                _ => break,
            }
            at += 1;
        }
        let word = self.rest.get(at..)?;
        let mut is_clock = false;
        let end = word
            .iter()
            .enumerate()
            // A zone may stand at the clock without a space: 10:52:37+0200.
            .position(|(i, &b)| {
                is_clock |= b == b':';
                is_between(b) || b == b'(' || (i > 0 && b == b'+') || (b == b'-' && is_clock)
            })
            .unwrap_or(word.len());
        let (word, rest) = word.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn is_between(octet: u8) -> bool {
    octet.is_ascii_whitespace() || octet == b','
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
}

/// RFC 5322 §4.3: two digits below 50 are of this century, three digits count from 1900.
fn year_number(digits: &[u8]) -> Option<i64> {
    let year = number(digits)?;
    Some(match digits.len() {
        1 | 2 if year < 50 => year + 2000,
        1..=3 => year + 1900,
        _ => year,
    })
}

fn month_number(name: &[u8]) -> Option<i64> {
    let name = name.get(..3)?;
    let at = MONTHS
        .iter()
        .position(|m| m.as_bytes().eq_ignore_ascii_case(name))?;
    Some(at as i64 + 1)
}

/// A zone that nobody knows is Greenwich's (RFC 5322 §4.3).
fn zone_minutes(word: &[u8]) -> i16 {
    if let [sign @ (b'+' | b'-'), digits @ ..] = word {
        let Some(number) = number(digits).filter(|_| digits.len() == 4) else {
            return 0;
        };
        let minutes = (number / 100 * 60 + number % 100).min(1439) as i16;
        return if *sign == b'-' { -minutes } else { minutes };
    }
    let hours = match word.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => 0,
    };
    hours * 60
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; the year is taken to begin in March.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_BEFORE_EPOCH
}

/// The inverse of [`day_number`].
fn date_of_day(days: i64) -> [i64; 3] {
    let days = days + DAYS_BEFORE_EPOCH;
    let (era, of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    [era * 400 + year + i64::from(month <= 2), month, day]
}

/// Seconds in a day.
const DAY: i64 = 86_400;
/// 400 years.
const DAYS_PER_ERA: i64 = 146_097;
/// 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: i64 = 719_468;
/// 9999-12-31T23:59:59Z: a year has four digits.
const SECONDS_MAX: i64 = 253_402_300_799;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        Date::from_rfc5322(text.as_bytes()).map(|d| d.to_string())
    }

    #[test]
    fn the_forms_of_a_date_field_are_understood() {
        let cases = [
            (
                "Fri, 21 Nov 1997 09:55:06 -0600",
                "Fri, 21 Nov 1997 09:55:06 -0600",
            ),
            ("21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000"),
            ("21 Nov 97 09:55 EST", "Fri, 21 Nov 1997 09:55:00 -0500"),
            (
                "Thu, 13 Feb 1969 23:32 -0330 (Newfoundland Time)",
                "Thu, 13 Feb 1969 23:32:00 -0330",
            ),
            (
                "Thu,\r\n 13\r\n Feb\r\n 2020 23:32:54\r\n +0100",
                "Thu, 13 Feb 2020 23:32:54 +0100",
            ),
            (
                "Mon, 1 Jan 101 00:00:00 Z",
                "Mon, 01 Jan 2001 00:00:00 +0000",
            ),
            (
                "Fri(day), 1-Mar-24 5:6:7+0530",
                "Fri, 01 Mar 2024 05:06:07 +0530",
            ),
            ("29 Feb 2000 24:00:00 +0000", ""),
            ("30 Feb 2000 12:00:00 +0000", ""),
            ("yesterday", ""),
            ("", ""),
        ];
        for (given, expected) in cases {
            assert_eq!(read(given).unwrap_or_default(), expected, "{given}");
        }
    }

    #[test]
    fn an_endless_word_is_looked_at_once() {
        // Looked at anew for each dash, this takes hours.
        let dashes = vec![b'-'; 16 * 1024 * 1024];
        assert_eq!(Date::from_rfc5322(&dashes), None);
    }

    #[test]
    fn imap_dates_are_exact() {
        let date = Date::from_imap("17-Jul-1996 02:44:25 -0700").unwrap();
        assert_eq!(date.imap(), "17-Jul-1996 02:44:25 -0700");
        assert_eq!(date.to_string(), "Wed, 17 Jul 1996 02:44:25 -0700");
        assert_eq!(
            Date::from_imap(" 7-Jul-1996 02:44:25 +0000")
                .unwrap()
                .imap(),
            "07-Jul-1996 02:44:25 +0000"
        );
        assert_eq!(Date::from_imap("7-Jul-1996 02:44:25 +0000"), None);
        assert_eq!(Date::from_imap("17-Jul-1996 02:44:25 -07000"), None);
        assert_eq!(Date::from_imap("32-Jul-1996 02:44:25 -0700"), None);
    }

    #[test]
    fn the_day_is_the_writers_not_greenwichs() {
        let date = Date::from_rfc5322(b"Sun, 25 Mar 2007 00:00:00 +0200").unwrap();
        assert_eq!(Some(date.day()), day_of(25, "mar", 2007));
        assert_eq!(day_of(29, "Feb", 2007), None);
    }

    proptest! {
        #[test]
        fn dates_survive_being_written_and_read(seconds in -2_000_000_000_i64..250_000_000_000, zone in -1439_i16..1440) {
            let date = Date { seconds, zone_minutes: zone };
            prop_assert_eq!(Date::from_imap(&date.imap()), Some(date));
            prop_assert_eq!(Date::from_rfc5322(date.to_string().as_bytes()), Some(date));
        }

        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>, text: String) {
            let _ = Date::from_rfc5322(&octets);
            let _ = Date::from_imap(&text);
        }
    }
}
