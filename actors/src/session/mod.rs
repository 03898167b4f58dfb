//! One actor per connection of a client: thin shells over the protocol machines.

mod alike;
mod hand;
pub mod imap;
pub mod pop3;
pub mod smtp;
mod watch;
