//! One actor per connection of a client: thin shells over the protocol machines.

pub mod pop3;
pub mod smtp;
