//! The corpora of the fuzz targets, run by every test run: what was found once stays found.

#![allow(clippy::unwrap_used, reason = "tests may")]

/// As the fuzz targets call it.
extern crate heronry_smtp as smtp;

#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/src/smtp_client.rs"]
mod smtp_client;
#[path = "../../../fuzz/src/smtp_server.rs"]
mod smtp_server;

#[test]
fn every_input_of_the_corpus_of_smtp_client_is_run_in_every_slicing() {
    corpus::each("smtp_client", smtp_client::run);
}

#[test]
fn every_input_of_the_corpus_of_smtp_server_is_run_in_every_slicing() {
    corpus::each("smtp_server", smtp_server::run);
}
