//! POP3 as a machine without sockets (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 3206).
//!
//! Octets go in through [`Server::feed`]; what must happen next comes out of [`Server::step`].
//! The machine knows the grammar, the three states, and which messages are marked. It knows
//! neither accounts nor messages: whoever wants in, and what a message holds, leaves as
//! [`Step::Judge`], and the session waits for the answer.
//!
//! ```text
//!   Judge(Login) -- logged_in --> transaction --> Judge(Message) -- yes --> Piece* -- end_message
//!        | refuse                     |                | refuse
//!        v                            v QUIT           v
//!      -ERR                   Judge(Remove) -- yes --> Close
//! ```
//!
//! Replies gather while the client pipelines and leave in one [`Step::Send`], before the machine
//! wants to read (RFC 2449 §6.6).

mod checkpoint;
mod command;
mod config;
mod hand;
mod lines;
mod listing;
mod maildrop;
mod server;
mod stream;
mod words;

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use maildrop::Entry;
pub use server::{Server, Step};
pub use words::{Question, Refusal};
