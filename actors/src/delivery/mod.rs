//! Carries messages to other systems: one actor per outbound connection.
