//! One actor per connection of a client: thin shells over the protocol machines.
