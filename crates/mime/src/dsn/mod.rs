//! Delivery status notifications: what a sender hears of a message that is not where it should be
//! (RFC 3464, RFC 6522).

mod report;
mod status;
mod words;

pub use report::{Composed, News, Report, Told};
