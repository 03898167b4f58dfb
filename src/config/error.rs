//! What is wrong with a configuration: where, what, and what would be right.

use std::{fmt, ops::Range};

/// Why a configuration cannot be used. Fault of the operator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// The file.
    file: String,
    /// Line and column, from 1, and the line itself.
    place: Option<(usize, usize, String)>,
    what: String,
    /// What would be right.
    hint: Option<String>,
}

impl ConfigError {
    pub(super) fn new(file: &str, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            place: None,
            what: what.into(),
            hint: None,
        }
    }

    /// The octets `span` of `text` are what is wrong.
    pub(super) fn at(mut self, text: &str, span: Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count() + 1;
        self.place = Some((before.matches('\n').count() + 1, column, line.to_owned()));
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the TOML reader found, made into words for operators.
    pub(super) fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim_end();
        let converted = match unknown(message) {
            Some((key, known)) => {
                let error = Self::new(file, format!("key {key:?} is not known"));
                match nearest(key, &known) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error.hint(format!("known here: {}", known.join(", "))),
                }
            }
            None => Self::new(file, message),
        };
        match error.span() {
            Some(span) => converted.at(text, span),
            None => converted,
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column, _)) = &self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some((line, column, shown)) = &self.place {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            write!(f, "\n  {number} | {shown}\n  {margin} | {:>column$}", "^")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

/// The key and the known ones of serde's message about a key that is not known: "unknown field
/// `a`, expected one of `b`, `c`".
fn unknown(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    Some((key, rest.split('`').skip(1).step_by(2).collect()))
}

/// The known key that needs the fewest letters changed, if those are few.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let far_max = (key.chars().count() / 3).max(1);
    let by_distance = known.iter().map(|name| (distance(key, name), *name));
    by_distance
        .filter(|(far, _)| *far <= far_max)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let change = usize::from(from[i - 1] != to[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_with_the_fewest_letters_changed() {
        let known = ["hostname", "data", "domains", "trusted"];
        assert_eq!(nearest("hostnmae", &known), Some("hostname"));
        assert_eq!(nearest("domain", &known), Some("domains"));
        assert_eq!(nearest("dta", &known), Some("data"));
        assert_eq!(nearest("certificate", &known), None);
    }

    #[test]
    fn the_place_is_shown_with_its_line() {
        let error = ConfigError::new("h.toml", "bad")
            .at("a = 1\nb = x\n", 10..11)
            .hint("y");
        assert_eq!(
            error.to_string(),
            "h.toml:2:5: bad\n  2 | b = x\n    |     ^\n  y"
        );
    }
}
