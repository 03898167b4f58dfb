//! The store in memory, for tests and for whoever tries things out: nothing outlives it.

mod keeper;

pub use keeper::Memory;
