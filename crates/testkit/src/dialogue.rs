//! Golden transcripts, spoken to a socket.

use std::fs;
use std::path::{Path, PathBuf};

use crate::wire::Wire;

/// What names mean in a transcript: each is replaced in the lines that the client says and hears.
pub type Cast<'a> = &'a [(&'a str, &'a str)];

/// The transcripts of one folder, in the order of their names.
pub fn dialogues(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries
        .map_while(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// Speaks a transcript.
///
/// `C:` is sent, `S:` is expected, `*` at the end matches the rest of a line, `\n`, `\r` and `\0` are
/// the octets, `#` names the requirement that the transcript proves.
///
/// # Panics
/// At the first line that is not as the transcript says; with file and line.
pub fn play(wire: &mut Wire, path: &Path, cast: Cast<'_>) {
    let transcript = fs::read_to_string(path).expect("a transcript is text");
    for (number, line) in (1..).zip(transcript.lines()) {
        let at = format!("{}:{number}", path.display());
        let line = cast
            .iter()
            .fold(line.to_owned(), |line, (name, is)| line.replace(name, is));
        if let Some(sent) = line.strip_prefix("C:") {
            let sent = octets(sent.strip_prefix(' ').unwrap_or(sent));
            // A server that refused and closed may have left before the end: what it said counts.
            let _ = wire.send(&[sent.as_bytes(), b"\r\n"].concat());
        } else if let Some(expected) = line.strip_prefix("S: ") {
            let said = wire
                .line()
                .unwrap_or_else(|error| panic!("{at}: {expected:?}: {error}"));
            let said = String::from_utf8_lossy(&said);
            let matches = match expected.strip_suffix('*') {
                Some(prefix) => said.starts_with(prefix),
                None => said == expected,
            };
            assert!(matches, "{at}: expected {expected:?}, got {said:?}");
        } else {
            assert!(
                line.starts_with('#') || line.is_empty(),
                "{at}: not a transcript line"
            );
        }
    }
}

fn octets(text: &str) -> String {
    text.replace("\\n", "\n")
        .replace("\\r", "\r")
        .replace("\\0", "\0")
}
