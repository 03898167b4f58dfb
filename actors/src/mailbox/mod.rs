//! One actor per account: the only writer of its mailboxes.

mod actor;
mod metrics;
#[cfg(test)]
mod tests;
mod watchers;

pub use actor::{Mailbox, MailboxArgs};
pub use metrics::METRICS;
