//! The server side of one SMTP, submission or LMTP session, as a machine without sockets
//! (RFC 5321 §3 and §4, RFC 6409, RFC 2033).
//!
//! Octets go in through [`Server::feed`]; what must happen next comes out of [`Server::step`].
//! The machine knows the grammar and the order of commands, and the ends of messages. It knows no
//! policy: whatever needs a judgement leaves as [`Step::Judge`], and the session waits until
//! [`Server::verdict`], [`Server::verdicts`] or [`Server::yes`].
//!
//! ```text
//!            feed                    verdict                  tls_started
//!             |                         |                          |
//!   Read <-- step --> Send      Judge --+               StartTls --+
//!             |
//!             +--> Judge(Mail) .. Judge(Rcpt) .. Judge(BeginBody)
//!             |                                       | 354
//!             |         +-----------------------------+
//!             |         v
//!             |       Store* --> Judge(Take) | Discard   (exactly one of the two ends each body)
//!             +--> Close
//! ```
//!
//! Replies gather while the client pipelines and leave in one [`Step::Send`], before the machine
//! wants to read (RFC 2920 §3.2).

mod body;
mod checkpoint;
mod commands;
mod config;
mod exchange;
mod hand;
mod machine;
mod recipients;
mod replies;
mod session;

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use machine::{Question, Server, Step};
pub use recipients::Recipients;
