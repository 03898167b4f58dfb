//! Days and instants in the form of IMAP (RFC 3501 §9, `date` and `date-time`).

use std::fmt;

use mail::Time;

use super::{Cursor, Stop};
use crate::respond;

/// A day of the calendar, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Date(i32);

impl Date {
    /// That day; `None` if there is none. Months and days are counted from 1.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
            return None;
        }
        // The year is taken to begin in March, so that the leap day comes last.
        let year = i32::from(year) - i32::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march_month = (i32::from(month) + 9) % 12;
        let of_year = (153 * march_month + 2) / 5 + i32::from(day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        Some(Self(era * 146_097 + of_era - DAYS_BEFORE_EPOCH))
    }

    /// The day in UTC.
    #[must_use]
    pub fn of(time: Time) -> Self {
        Self(i32::try_from(time.seconds() / SECONDS_PER_DAY).unwrap_or(i32::MAX))
    }

    /// The day that many days after 1970-01-01; the nearest there is, for others.
    #[must_use]
    pub fn from_days(days: i64) -> Self {
        let days = days.clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2));
        Self(i32::try_from(days).unwrap_or_default())
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn days(self) -> i32 {
        self.0
    }

    /// Year, month and day.
    #[must_use]
    pub fn parts(self) -> (i64, u8, u8) {
        let days = i64::from(self.0) + i64::from(DAYS_BEFORE_EPOCH);
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = (march_month + 2) % 12 + 1;
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        (year, month as u8, day as u8)
    }

    /// `date`, quoted or not.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let quoted = cursor.eat(b'"');
        let date = Self::parse_bare(cursor)?;
        if quoted {
            cursor.expect(b'"', FORM)?;
        }
        Ok(date)
    }

    fn parse_bare(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let day = small(cursor, 2)?;
        cursor.expect(b'-', FORM)?;
        let name = cursor.ascii(|octet| octet.is_ascii_alphabetic());
        let month = (1..)
            .zip(MONTHS)
            .find_map(|(n, month)| month.eq_ignore_ascii_case(name).then_some(n));
        cursor.expect(b'-', FORM)?;
        let year = small(cursor, 4)?;
        month
            .and_then(|month| Self::new(year, month, u8::try_from(day).ok()?))
            .ok_or_else(|| Stop::bad(FORM))
    }
}

/// `date-text` of RFC 3501 §9.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{day}-{}-{year:04}", MONTHS[usize::from(month) - 1])
    }
}

/// `date-time`: the instant that it names. What lies before 1970 becomes its first moment.
pub(crate) fn parse_date_time(cursor: &mut Cursor<'_>) -> Result<Time, Stop> {
    cursor.expect(b'"', FORM)?;
    cursor.eat(b' ');
    let date = Date::parse_bare(cursor)?;
    cursor.expect(b' ', FORM)?;
    let hour = small(cursor, 2)?;
    cursor.expect(b':', FORM)?;
    let minute = small(cursor, 2)?;
    cursor.expect(b':', FORM)?;
    let second = small(cursor, 2)?;
    cursor.expect(b' ', FORM)?;
    let east = match cursor.peek() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(Stop::bad(FORM)),
    };
    cursor.eat(if east == 1 { b'+' } else { b'-' });
    let zone = small(cursor, 4)?;
    cursor.expect(b'"', FORM)?;
    if hour > 23 || minute > 59 || second > 60 || zone % 100 > 59 {
        return Err(Stop::bad(FORM));
    }
    let offset = east * (i64::from(zone / 100) * 3600 + i64::from(zone % 100) * 60);
    let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let seconds = i64::from(date.0) * SECONDS_PER_DAY as i64 + of_day - offset;
    Ok(Time::from_seconds(u64::try_from(seconds).unwrap_or(0)))
}

/// Appends `date-time` in UTC, quotes included.
pub(crate) fn write_date_time(time: Time, out: &mut Vec<u8>) {
    let (year, month, day) = Date::of(time).parts();
    let of_day = time.seconds() % SECONDS_PER_DAY;
    out.push(b'"');
    out.push(if day < 10 { b' ' } else { b'0' + day / 10 });
    out.push(b'0' + day % 10);
    out.push(b'-');
    out.extend_from_slice(MONTHS[usize::from(month) - 1].as_bytes());
    out.push(b'-');
    let year = u64::try_from(year).unwrap_or(0);
    for place in [1000, 100, 10] {
        if year < place {
            out.push(b'0');
        }
    }
    respond::number(out, year);
    for (before, number) in [
        (b' ', of_day / 3600),
        (b':', of_day / 60 % 60),
        (b':', of_day % 60),
    ] {
        out.push(before);
        out.push(b'0' + (number / 10) as u8);
        out.push(b'0' + (number % 10) as u8);
    }
    out.extend_from_slice(b" +0000\"");
}

/// A number of one to `digits` digits.
fn small(cursor: &mut Cursor<'_>, digits: usize) -> Result<u16, Stop> {
    let taken = cursor.ascii(|octet| octet.is_ascii_digit());
    if taken.len() > digits {
        return Err(Stop::bad(FORM));
    }
    taken.parse().map_err(|_| Stop::bad(FORM))
}

const fn days_of(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

const FORM: &str = "a date is expected, such as 1-Feb-1994 or \" 1-Feb-1994 21:52:25 -0800\"";
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const SECONDS_PER_DAY: u64 = 86_400;
/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: i32 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instants_are_read_in_any_zone_and_written_in_utc() {
        let read = |text: &str| parse_date_time(&mut Cursor::new(text.as_bytes()));
        let time = read("\"17-Jul-1996 02:44:25 -0700\"").unwrap();
        let mut out = Vec::new();
        write_date_time(time, &mut out);
        assert_eq!(out, b"\"17-Jul-1996 09:44:25 +0000\"");
        assert_eq!(read("\" 1-jan-1960 00:00:00 +0000\"").unwrap(), Time(0));
        for bad in [
            "17-Jul-1996 02:44:25 -0700",
            "\"32-Jul-1996 02:44:25 -0700\"",
            "\"29-Feb-1997 02:44:25 -0700\"",
            "\"17-Jul-1996 24:44:25 -0700\"",
            "\"17-Jul-1996 02:44:25\"",
            "\"17-Jux-1996 02:44:25 +0000\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn days_survive_being_written_and_read(days in -700_000..2_900_000) {
            let date = Date(days);
            let text = date.to_string();
            prop_assert_eq!(Date::parse(&mut Cursor::new(text.as_bytes())).unwrap(), date);
        }

        #[test]
        fn instants_survive_being_written_and_read(seconds in 0..250_000_000_000_u64) {
            let mut out = Vec::new();
            let time = Time::from_seconds(seconds);
            write_date_time(time, &mut out);
            prop_assert_eq!(parse_date_time(&mut Cursor::new(&out)).unwrap(), time);
        }
    }
}
