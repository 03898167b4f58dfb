//! The desk: decides what each call of the ports changes, whoever keeps the rows.
//!
//! Everything that memory and disk have in common is here: which rows there are, which numbers
//! are given out, what a call may not do. A call takes the short locks of the messages and
//! accounts that it decides about, reads the newest rows, writes absolute values into a
//! [`Batch`](crate::batch::Batch) and commits it; the keeper makes it durable.

mod accounts;
mod aside;
mod case;
mod changes;
mod domains;
mod heads;
mod home;
mod limits;
mod locks;
mod mail;
mod mailboxes;
mod opened;
mod purge;
mod sheets;
mod spool;
mod stamps;
mod store;
mod usage;

pub use store::Store;
pub(crate) use store::WeakStore;
