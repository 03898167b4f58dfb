//! The ports: what the house asks of a store, in the words of mail.
//!
//! They speak of accepting, settling, delivering and flags, not of keys and values, so that
//! another engine can use its own strengths. Whoever implements them passes the one contract
//! suite (`tests/contract.rs`).
//!
//! **Reads** are synchronous: they are answered from memory or the page cache in microseconds,
//! and see only what is durable. **Writes** return a [`Pending`]: the order of writes is the
//! order of the calls; the future resolves when the fact is on stable storage, and only then may
//! anybody be told. Dropping a `Pending` does not undo the write.
//!
//! Every write carries the owner's [`Fence`]: an owner that has been replaced is refused.

mod accounts;
mod body;
mod leases;
mod mail_store;
mod pending;
mod spool;
mod usage;

pub use accounts::{AccountChange, AccountRow, Accounts, Entry, NewAccount, Quota};
pub use body::{Body, BodyRef, BodyWriter, Draft};
pub(crate) use body::{Chunk, Part, Parts, Sink};
pub use leases::{Fence, Leases, Shard};
pub use mail_store::{
    Appended, Arrival, Changes, Copied, FlagChange, FlagsHow, HeadEnd, MailStore, MailboxRow,
    MessageFlags, MessageRow, NewMailbox, SpecialUse, UidRange,
};
pub use pending::{Pending, Promise};
pub use spool::{
    Accepted, Answer, Aside, Delivered, DueRow, NewMail, REPORT_OCTETS_MAX, RecipientState, Settle,
    Spool, Spooled, State,
};
pub use usage::{Held, Share, Usage};
