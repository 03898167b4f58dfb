//! Heronry among parts that nobody here wrote: name servers, other mail systems, mail clients.
//!
//! What a machine lacks is left out with a word; `tests/run` installs all of it and lets nothing be
//! left out. The towns (a name server, other mail systems, ours) need root, for port 25 on loopback
//! addresses of their own.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod both_ways;
mod bounces;
mod common;
mod curl;
mod dovecot;
mod fetchmail;
mod knot;
mod mbsync;
mod moving_in;
mod names;
mod neomutt;
mod openssl;
mod postfix;
mod python;
mod retry;
mod swaks;
mod town;
