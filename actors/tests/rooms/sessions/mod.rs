//! SMTP and POP3 sessions over a store in memory: crashes, and limits that no transcript shows.

mod client;
mod house;
mod pop3;
mod smtp;
