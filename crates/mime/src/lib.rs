//! Messages: headers, structure, delivery status notifications, trace fields.
//!
//! Reading borrows from the octets and never fails: whatever a message holds, there is an answer.
//! Nothing here knows a protocol's wire, a disk or a clock.

pub mod addresses;
pub mod charset;
mod content;
mod date;
pub mod dsn;
mod header;
mod letterhead;
mod lexer;
mod outline;
mod reader;
mod section;
mod structure;
mod text;
mod trace;
pub mod transfer;
pub mod words;

pub use content::{Content, ContentType, Disposition, Pair, Params};
pub use date::{Date, day_of};
pub use header::{Field, Header, header_end};
pub use letterhead::Letterhead;
pub use outline::{Outline, OutlineKind};
pub use section::Section;
pub use structure::{DEPTH_MAX, Message, PARTS_MAX, Part, PartId, PartKind};
pub use text::{Needle, Scope};
pub use trace::{Missing, Received, delivered_to, hops, return_path};
