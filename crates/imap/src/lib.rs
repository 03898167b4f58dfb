//! IMAP as a machine without sockets: codec, session state, views, search (RFC 3501).
//!
//! - [`Server`]: octets in, [`Step`]s out. It knows the grammar, the order of commands and what
//!   may be said when; it knows no store and no policy.
//! - [`respond`]: writes what a server says, straight into a buffer.
//! - [`View`]: a mailbox as one client sees it.
//! - [`Program`]: a search, ready to be put to messages.
//! - [`list`]: which mailboxes a LIST names, and how.
//! - [`client`]: reads what a server says, for tests and clients.

pub mod client;
mod codec;
pub mod list;
mod ranges;
mod reply;
pub mod respond;
mod search;
mod server;
mod view;

pub use codec::{
    AddressField, Append, Command, Date, Depth, Fetch, FetchItem, FlagList, ListCommand,
    ListPattern, ListReturn, ListSelect, MailboxName, NameError, Number, Partial, Search,
    SearchKey, Section, SectionText, SequenceSet, StatusItem, Store, StoreHow, Tag, Transfer, When,
};
pub use ranges::Ranges;
pub use reply::{Code, Reply, Status, UidList};
pub use search::{Cost, Program, Subject, Test};
pub use server::{Checkpoint, Config, Limits, Selected, Server, Step};
pub use view::{Mark, OutOfRange, View};
