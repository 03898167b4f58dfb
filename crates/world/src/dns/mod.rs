//! What the DNS says: questions, answers with their time to live, and the ways of not knowing.
//!
//! [`Dns`] is the seam: [`Hickory`] asks servers, [`TableDns`] is a table for tests. Neither keeps
//! anything: what was answered is kept by the resolver actor, for as long as it is true.

mod ask;
mod hickory;
mod question;
mod server;
mod table;

pub use ask::ask;
pub use hickory::{DnsSetting, Hickory};
pub use question::{Asking, Dns, Found, Missing, MxRecord, Question, Records, Trouble};
pub use server::{DnsServer, DnsServerError};
pub use table::TableDns;
