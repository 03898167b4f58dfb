//! The daemon from outside: each test starts the real binary and speaks to it over sockets.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod accounts;
mod actors;
mod addresses;
mod backup;
mod chaos;
mod common;
mod configuration;
mod corpora;
mod delivery;
mod dialogues;
mod disk;
mod hostile;
mod idle;
mod imaptest;
mod injection;
mod letters;
mod lines;
mod lmtp;
mod metrics;
mod operators;
mod outage;
mod poison;
mod pop3;
mod relay;
mod reload;
mod restart;
mod room;
mod served;
mod service;
mod sizes;
mod smuggling;
mod starting;
mod stopping;
mod submission;
mod tls;
