//! The SMTP server: any octets, in any slicing, give the same replies and never a panic.
#![no_main]

#[path = "../src/smtp_server.rs"]
mod smtp_server;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| smtp_server::run(octets));
