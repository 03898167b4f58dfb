//! What clients notice when actors die under them: sessions and mailboxes that crash for real, in
//! families that start them again.

mod fragile;
mod fuse;
mod house;
mod imap;
mod mailboxes;
mod poison;
mod pop3;
mod sleepers;
mod smtp;
mod stuck;
mod wire;
