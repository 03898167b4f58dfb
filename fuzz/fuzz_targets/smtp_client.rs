//! The SMTP client: whatever a peer says, every recipient is settled once and nothing panics.
#![no_main]

#[path = "../src/smtp_client.rs"]
mod smtp_client;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| smtp_client::run(octets));
