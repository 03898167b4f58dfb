//! What a command answers, as text or as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::Failure;
use crate::admin::protocol::Holdings;

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// As JSON rather than as text.
    pub(super) json: bool,
}

impl Output {
    /// Writes `value` as JSON, or the lines that `text` makes of it.
    pub(super) fn answer<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let written = serde_json::to_string_pretty(value)
                .expect("the protocol's types have no maps with keys that are no strings");
            print(&format!("{written}\n"))
        } else {
            print(&text(value))
        }
    }

    /// Says that something was done; in JSON, an empty object.
    pub(super) fn done(&self, said: &str) -> Result<(), Failure> {
        print(&if self.json {
            "{}\n".to_owned()
        } else {
            format!("{said}\n")
        })
    }
}

/// Writes to standard output. A reader that has left is not a failure: `… | head -1`.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Rows in columns that are as wide as their widest cell, two spaces between them.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A limit; `-` is none.
pub(super) fn limit(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// What somebody holds, as a table of its own.
pub(super) fn holdings(holds: Option<Holdings>) -> String {
    let Some(holds) = holds else {
        return String::new();
    };
    let row = [holds.mailboxes, holds.messages, holds.octets];
    let row = row.iter().map(u64::to_string).collect();
    table(&["MAILBOXES", "MESSAGES", "OCTETS"], &[row])
}

/// `1 account`, `2 accounts`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces() {
        let rows = [
            vec!["ann".to_owned(), "1".to_owned()],
            vec!["barbara".to_owned(), String::new()],
        ];
        assert_eq!(
            table(&["WHO", "N"], &rows),
            "WHO      N\nann      1\nbarbara\n"
        );
    }

    #[test]
    fn one_thing_is_not_many() {
        assert_eq!(counted(1, "alias"), "1 alias");
        assert_eq!(counted(2, "account"), "2 accounts");
    }
}
