//! The configuration in force, with the source of each value.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use toml::{Table, Value};

use super::Config;

/// A configuration and where its values come from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The configuration itself.
    pub effective: Config,
    pub(super) file: String,
    pub(super) sources: BTreeMap<String, Source>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The file sets it.
    File {
        /// In that line.
        line: usize,
    },
}

impl Effective {
    /// Where the value of a key such as `queue.window` comes from.
    #[must_use]
    pub fn source(&self, key: &str) -> Source {
        self.sources.get(key).copied().unwrap_or(Source::Default)
    }

    /// The configuration as JSON: for each key its value and its source.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let rows = self.rows().into_iter().map(|(key, value)| {
            let value = value.map_or(serde_json::Value::Null, |value| {
                serde_json::to_value(value).expect("a TOML value is a JSON value")
            });
            let source = self.shown(&key);
            (key, serde_json::json!({ "value": value, "source": source }))
        });
        serde_json::Value::Object(rows.collect())
    }

    pub(super) fn with_paths_from(mut self, folder: &Path) -> Self {
        let config = &mut self.effective;
        let from_there = |path: &mut PathBuf| *path = folder.join(&*path);
        from_there(&mut config.data);
        config.tls.certificate.as_mut().map(from_there);
        config.tls.key.as_mut().map(from_there);
        self
    }

    /// Every key with its value; lists of tables element by element. A key without a value is
    /// one that nobody set and that has no default.
    fn rows(&self) -> Vec<(String, Option<Value>)> {
        let table = Table::try_from(&self.effective)
            .expect("the configuration came from TOML, so it can be written as TOML");
        let mut rows = Vec::new();
        for key in OPTIONAL.iter().filter(|key| !is_set(&table, key)) {
            rows.push(((*key).to_owned(), None));
        }
        for (key, value) in table {
            flatten(key, value, &mut rows);
        }
        rows.sort_by(|(a, _), (b, _)| (a.contains('.'), a).cmp(&(b.contains('.'), b)));
        rows
    }

    fn shown(&self, key: &str) -> String {
        match self.source(key) {
            Source::Default => "default".to_owned(),
            Source::File { line } => format!("{}:{line}", self.file),
        }
    }
}

/// One line a key: `key = value  # source`.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in self.rows() {
            let line = match value {
                Some(value) => format!("{key} = {value}"),
                None => format!("# {key} is not set"),
            };
            writeln!(f, "{line:<52}  # {}", self.shown(&key))?;
        }
        Ok(())
    }
}

/// The values below `key`, each with its own key.
pub(super) fn flatten(key: String, value: Value, rows: &mut Vec<(String, Option<Value>)>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                flatten(format!("{key}.{name}"), value, rows);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (number, item) in items.into_iter().enumerate() {
                flatten(format!("{key}.{number}"), item, rows);
            }
        }
        value => rows.push((key, Some(value))),
    }
}

fn is_set(table: &Table, key: &str) -> bool {
    let mut table = table;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        match table.get(part) {
            None => return false,
            Some(Value::Table(below)) if parts.peek().is_some() => table = below,
            Some(_) => return true,
        }
    }
    true
}

/// Keys that may be without a value.
const OPTIONAL: [&str; 6] = [
    "address.postmaster",
    "address.separator",
    "delivery.relay",
    "delivery.source",
    "tls.certificate",
    "tls.key",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_shown_with_its_source() {
        let text =
            "hostname = \"mx.test\"\n[[route]]\ndomain = \"d.test\"\nto = \"127.0.1.1:25\"\n";
        let shown = Config::parse("h.toml", text).unwrap().to_string();
        let line = |start: &str| shown.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(
            line("hostname = \"mx.test\"").ends_with("# h.toml:1"),
            "{shown}"
        );
        assert!(
            line("route.0.to = \"127.0.1.1:25\"").ends_with("# h.toml:4"),
            "{shown}"
        );
        assert!(line("queue.window = ").ends_with("# default"), "{shown}");
        assert!(
            line("# delivery.relay is not set").ends_with("# default"),
            "{shown}"
        );
    }

    #[test]
    fn paths_are_meant_from_where_the_file_is() {
        let read = Config::parse("h.toml", "data = \"mail\"\n").unwrap();
        let read = read.with_paths_from(Path::new("/etc/heronry"));
        assert_eq!(read.effective.data, Path::new("/etc/heronry/mail"));
    }
}
