//! Accepts sockets under a gate and hands them to a session family.
