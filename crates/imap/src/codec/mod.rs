//! Commands: what a client can say, read from octets and written to them.
//!
//! The reader never holds a message: the octets of APPEND pass by in chunks. Everything else is
//! bounded by the machine that gathers it ([`crate::Limits`]).

mod command;
mod cursor;
mod date;
mod fetch;
mod list;
mod name;
mod parse;
mod search;
mod sequence;
mod utf7;
mod write;

pub use command::{
    Append, Command, Fetch, FlagList, Search, StatusItem, Store, StoreHow, Tag, Transfer,
};
pub use date::Date;
pub use fetch::{Depth, FetchItem, Partial, Section, SectionText};
pub use list::{ListCommand, ListPattern, ListReturn, ListSelect};
pub use name::{MailboxName, NameError};
pub use search::{AddressField, SearchKey, When};
pub use sequence::{Number, SequenceSet};

pub(crate) use cursor::{Cursor, Literal, Stop, is_atom, literal_at_end};
pub(crate) use date::write_date_time;
pub(crate) use parse::{Allowed, Request, Verb, head};
