//! The corpora of the fuzz targets, run by every test run: what was found once stays found.

#![allow(clippy::unwrap_used, reason = "tests may")]

#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/src/imap_server.rs"]
mod imap_server;

#[test]
fn every_input_of_the_corpus_of_imap_server_is_run_in_every_slicing() {
    corpus::each("imap_server", imap_server::run);
}
