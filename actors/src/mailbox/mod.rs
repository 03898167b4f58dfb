//! One actor per account: the only one who changes its mailboxes; plain mail comes without it.

mod actor;
mod metrics;
#[cfg(test)]
mod tests;
mod watchers;

pub use actor::{Mailbox, MailboxArgs};
pub use metrics::METRICS;
