//! The store: a journal that is the truth, and a directory that can be thrown away.

mod error;
pub mod port;

pub use error::StoreError;
