//! The client side of SMTP and LMTP, as a machine without sockets (RFC 5321 §3 and §4, RFC 2033).
//!
//! Octets go in through [`Client::feed`]; what must happen next comes out of [`Client::step`].
//! When it says [`Step::Ready`], the owner begins a transaction or quits. Each transaction ends
//! with a [`Step::Report`]: what became of each recipient, and which command decided it.
//!
//! ```text
//!   banner -> EHLO (HELO) -> [STARTTLS -> EHLO] -> [AUTH] -> Ready <-------------------+
//!                                                              | begin                 |
//!                                                              v                       |
//!                        [RSET] MAIL RCPT* DATA -> Body* -> end of body -> Report -----+
//!                                                              | quit
//!                                                              v
//!   any refusal, any 421, a lost connection ------> [Report] Close
//! ```
//!
//! Commands leave in groups where the peer offers PIPELINING (RFC 2920). Where it offers CHUNKING
//! (RFC 3030), the message goes out after BDAT and not after DATA: nobody waits for a 354, and with
//! both a small message leaves together with its envelope. If nobody is accepted then, its octets have
//! been sent for nothing. A peer that offers chunks and does not know them is left (a message that it
//! reads as commands has no answer that means anything), and the report says so.

mod body;
mod capabilities;
mod chunks;
mod config;
mod ending;
mod machine;
mod message;
mod reader;
mod report;
mod transaction;

pub use config::{Config, Tls};
pub use machine::{Client, Step};
pub use report::{Report, Settled, Stage, Unchunked};
