//! The corpora of the fuzz targets, run by every test run: what was found once stays found.

#![allow(clippy::unwrap_used, reason = "tests may")]

/// As the fuzz targets call it.
extern crate heronry_pop3 as pop3;

#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/src/pop3_server.rs"]
mod pop3_server;

#[test]
fn every_input_of_the_corpus_of_pop3_server_is_run_in_every_slicing() {
    corpus::each("pop3_server", pop3_server::run);
}
