//! What is typed after `--rate`, `--for` and `--guard`.

use std::{fmt, str::FromStr, time::Duration};

/// How often: `10/s`, `30/m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Above zero.
    pub per_second: f64,
}

/// How long: `500ms`, `60s`, `5m`, `1h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span(pub Duration);

/// What answers may take: `p99=500ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Which part of the answers, in percent, above 0 and up to 100.
    pub percent: f64,
    /// How long they may take.
    pub limit: Duration,
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: a rate is written as 10/s or 30/m");
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit {
            "s" => 1.0,
            "m" => 60.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let per_second = number / seconds;
        match per_second > 0.0 && per_second <= PER_SECOND_MAX {
            true => Ok(Self { per_second }),
            false => Err(format!(
                "{text}: more than 0 and at most {PER_SECOND_MAX}/s"
            )),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: a time is written as 500ms, 60s, 5m or 1h");
        let end = text
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or_else(wrong)?;
        let (number, unit) = text.split_at(end);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let one = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return Err(wrong()),
        };
        Ok(Self(one * number))
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: a guard is written as p99=500ms");
        let (percent, limit) = text
            .strip_prefix('p')
            .and_then(|rest| rest.split_once('='))
            .ok_or_else(wrong)?;
        let percent: f64 = percent.parse().map_err(|_| wrong())?;
        if !(percent > 0.0 && percent <= 100.0) {
            return Err(wrong());
        }
        let Span(limit) = limit.parse()?;
        Ok(Self { percent, limit })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}={}ms", self.percent, self.limit.as_millis())
    }
}

/// The command line asks for each of them and waits for the answer.
const PER_SECOND_MAX: f64 = 1000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_times_and_guards_are_read_as_they_are_written() {
        let pace = |text: &str| text.parse::<Pace>().map(|pace| pace.per_second).ok();
        assert_eq!(pace("10/s"), Some(10.0));
        assert_eq!(pace("30/m"), Some(0.5));
        assert_eq!(pace("2"), Some(2.0));
        for wrong in ["0/s", "-1/s", "10/h", "many", "NaN", "1e9/s"] {
            assert_eq!(pace(wrong), None, "{wrong}");
        }
        let span = |text: &str| text.parse::<Span>().map(|Span(span)| span.as_millis()).ok();
        assert_eq!(span("500ms"), Some(500));
        assert_eq!(span("5m"), Some(300_000));
        for wrong in ["60", "s", "1.5s", "5d", "-1s"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
        let bound: Bound = "p99.9=250ms".parse().unwrap();
        assert_eq!((bound.percent, bound.limit.as_millis()), (99.9, 250));
        assert_eq!(bound.to_string(), "p99.9=250ms");
        for wrong in ["p0=1s", "p101=1s", "99=1s", "p99=slow", "p99"] {
            assert!(wrong.parse::<Bound>().is_err(), "{wrong}");
        }
    }
}
