//! The heronry daemon.
fn main() {}
