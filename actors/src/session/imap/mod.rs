//! Sessions of IMAP: a shell over the machine of `imap`.
//!
//! Reads go straight to the store, writes to the account's mailbox actor, which is the only
//! writer. What a client is told about its mailbox comes from its [`View`](imap::View); hints say
//! only when to look.

mod actor;
mod append;
mod failure;
mod fetch;
mod folders;
mod letter;
mod messages;
mod metrics;
mod news;
mod opened;
mod outlet;
mod quota;
mod resume;
mod search;
mod sleep;

pub use actor::{ImapConnection, ImapSession, ImapSessionArgs};
pub use metrics::METRICS;
pub use resume::ImapCheckpoint;
