//! Writes what a server says, straight into a buffer (RFC 3501 §7, §9).
//!
//! Every function appends; nothing is read back. What a peer or a message said cannot begin a
//! line of ours: it is quoted, or a literal whose length stands before it.

mod fetch;
mod lines;
mod structure;
mod words;

pub use fetch::FetchResponse;
pub use lines::{
    SelectData, flags_known, go_on, numbered, quota, quota_root, search, select, status, untagged,
};
pub use structure::{Address, BodyPart, Disposition, Envelope, Parameters, PartKind};
pub use words::{astring, flags, literal_head, mailbox, nstring, number, string};

pub(crate) use words::{argument, range, text};
