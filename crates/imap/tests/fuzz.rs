//! The corpora of the fuzz targets, run by every test run: what was found once stays found.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::{fs, path::Path};

#[path = "../../../fuzz/src/imap_server.rs"]
mod imap_server;

#[test]
fn every_input_of_the_corpus_of_imap_server_is_run_in_every_slicing() {
    let number = each("imap_server", imap_server::run);
    assert!(number > 0, "there is a corpus");
}

/// Calls `run` for each input: as it is, and with each number in front that says how it is cut. Yields
/// how many there are.
fn each(name: &str, run: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = folder.join("../../fuzz/corpus").join(name);
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
    number
}
