//! The seams to the world: clock, random, connections, TLS, DNS.
