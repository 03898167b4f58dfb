//! The server side of one IMAP session, as a machine without sockets (RFC 3501 §3, §6).
//!
//! Octets go in through [`Server::feed`]; what must happen next comes out of [`Server::step`].
//! What the machine itself has to say it appends to a buffer of the caller, so that replies to
//! pipelined commands leave together.
//!
//! ```text
//! NotAuthenticated ──LOGIN, AUTHENTICATE──► Authenticated ──SELECT, EXAMINE──► Selected
//!        │ ▲                                     │ ▲                              │ │
//!        └─┘ STARTTLS                            │ └──CLOSE, UNSELECT, SELECT─────┘ │
//!        └──────────────LOGOUT───────────────────┴───────────────────────────────────► Logout
//! ```
//!
//! The machine knows the grammar, the order of commands and the limits. It knows no account, no
//! mailbox and no policy: whatever needs them leaves as a step, and the session waits until
//! [`Server::answer`].

mod append;
mod capability;
mod checkpoint;
mod config;
mod hand;
mod input;
mod login;
mod machine;
mod sasl;
mod step;

pub use checkpoint::{Checkpoint, Selected};
pub use config::{Config, Limits};
pub use machine::Server;
pub use step::Step;
