//! The POP3 server: any octets, in any slicing, give the same replies and never a panic.
#![no_main]

#[path = "../src/pop3_server.rs"]
mod pop3_server;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| pop3_server::run(octets));
