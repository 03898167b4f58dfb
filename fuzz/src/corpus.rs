//! The corpus of a fuzz target, for the tests that run it without a fuzzer.
//!
//! They take this file in as they take in the target: so the pure crates need nothing else for it.

use std::{fs, path::Path};

/// Calls `run` for each input: as it is, and with each number in front that says how it is cut.
///
/// # Panics
/// When there is no input, and when `run` does.
pub(crate) fn each(target: &str, run: fn(&[u8])) {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = crates.join("../../fuzz/corpus").join(target);
    let mut number = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display()); // in the output of a run that fails
        let octets = fs::read(path).unwrap();
        run(&octets);
        for cut in [1, 2, 3, 7, 50, 255] {
            run(&[&[cut], &octets[..]].concat());
        }
        number += 1;
    }
    assert!(number > 0, "there is a corpus");
}
