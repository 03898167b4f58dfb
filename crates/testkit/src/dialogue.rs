//! Golden transcripts, spoken to a socket.

use std::fs;
use std::path::{Path, PathBuf};

use crate::wire::Wire;

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
/// the octets, `#` names the requirement that the transcript proves. `S: ...` skips what is left of
/// a reply of several lines, up to the one that `is_last` knows; `T:` is the TLS handshake; `X:` is
/// the end of the connection, before which nothing more is said.
///
/// # Panics
/// At the first line that is not as the transcript says; with file and line.
pub fn play(wire: &mut Wire, path: &Path, is_last: fn(&str) -> bool) {
    let transcript = fs::read_to_string(path).expect("a transcript is text");
    for (number, line) in (1..).zip(transcript.lines()) {
        let at = format!("{}:{number}", path.display());
        if let Some(sent) = line.strip_prefix("C:") {
            let sent = octets(sent.strip_prefix(' ').unwrap_or(sent));
            // A server that refused and closed may have left before the end: what it said counts.
            let _ = wire.send(&[sent.as_bytes(), b"\r\n"].concat());
        } else if line == "S: ..." {
            while !is_last(&heard(wire, &at)) {}
        } else if let Some(expected) = line.strip_prefix("S: ") {
            let said = heard(wire, &at);
            let matches = match expected.strip_suffix('*') {
                Some(prefix) => said.starts_with(prefix),
                None => said == expected,
            };
            assert!(matches, "{at}: expected {expected:?}, got {said:?}");
        } else if line == "T:" {
            wire.secure()
                .unwrap_or_else(|error| panic!("{at}: no TLS: {error}"));
        } else if line == "X:" {
            let rest = wire
                .until_closed()
                .unwrap_or_else(|error| panic!("{at}: {error}"));
            assert!(
                rest.is_empty(),
                "{at}: {:?}",
                String::from_utf8_lossy(&rest)
            );
        } else {
            assert!(
                line.starts_with('#') || line.is_empty(),
                "{at}: not a transcript line"
            );
        }
    }
}

fn heard(wire: &mut Wire, at: &str) -> String {
    let line = wire
        .line()
        .unwrap_or_else(|error| panic!("{at}: nothing was said: {error}"));
    String::from_utf8_lossy(&line).into_owned()
}

fn octets(text: &str) -> String {
    text.replace("\\n", "\n")
        .replace("\\r", "\r")
        .replace("\\0", "\0")
}
