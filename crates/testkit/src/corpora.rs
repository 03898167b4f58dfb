//! Messages that others collected, for tests that want to see the world.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::needs::leave_out;

/// One file of a corpus.
pub struct Letter {
    /// Its name within the corpora: `cpython-email/msg_01.txt`.
    pub name: String,
    /// Its octets, as they lie on disk.
    pub octets: Vec<u8>,
}

/// Where others' suites lie: `HERONRY_SUITES`, or beside the checkout.
pub fn suites() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/suites");
    let named = env::var_os("HERONRY_SUITES").map_or(beside, PathBuf::from);
    let candidates = [named.join("data"), named];
    candidates
        .into_iter()
        .find(|folder| folder.join("corpora").is_dir())
}

/// Every file of every corpus, in the order of their names; none, and a word, where there are none.
///
/// # Panics
/// When a file cannot be read.
pub fn corpora() -> Vec<Letter> {
    let Some(suites) = suites() else {
        leave_out_suites();
        return Vec::new();
    };
    let root = suites.join("corpora");
    let mut letters = Vec::new();
    gather(&root, &root, &mut letters);
    letters.sort_by(|one, other| one.name.cmp(&other.name));
    letters
}

/// The same octets with every bare LF made a CRLF, as mail travels (RFC 5321 §2.3.8).
pub fn crlf(octets: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut before = 0;
    for &octet in octets {
        if octet == b'\n' && before != b'\r' {
            lines.push(b'\r');
        }
        lines.push(octet);
        before = octet;
    }
    lines
}

fn leave_out_suites() {
    // Others' data is not part of a clone, so nothing can ask for it but HERONRY_SUITES.
    if env::var_os("HERONRY_SUITES").is_some() {
        leave_out("HERONRY_SUITES names no folder with corpora");
    } else {
        crate::needs::say_left_out("the corpora are not here (HERONRY_SUITES names their folder)");
    }
}

fn gather(root: &Path, folder: &Path, letters: &mut Vec<Letter>) {
    for entry in fs::read_dir(folder).expect("a corpus is a folder") {
        let path = entry.expect("a corpus can be listed").path();
        if path.is_dir() {
            gather(root, &path, letters);
            continue;
        }
        let name = path.strip_prefix(root).expect("it lies below its root");
        let octets = fs::read(&path).expect("a letter can be read");
        letters.push(Letter {
            name: name.display().to_string(),
            octets,
        });
    }
}

#[test]
fn only_a_bare_line_feed_gets_a_carriage_return() {
    assert_eq!(crlf(b"a\nb\r\n\n\rc"), b"a\r\nb\r\n\r\n\rc");
}
