//! The IMAP server: any octets, in any slicing, give the same replies and never a panic.
#![no_main]

#[path = "../src/imap_server.rs"]
mod imap_server;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| imap_server::run(octets));
