//! One actor per outbound domain: what waits, what is tried, what is due.
