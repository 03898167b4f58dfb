//! SMTP, submission and LMTP as machines without sockets, server and client.
//!
//! - [`server::Server`] hears commands and says what must happen next ([`server::Step`]).
//! - [`client::Client`] carries messages to a peer ([`client::Step`]).
//! - [`Mail`] and [`Rcpt`] are what `MAIL` and `RCPT` say, for both of them.
//!
//! Nothing here knows a socket, a clock or a policy. An ESMTP extension is one file under
//! `extensions/` and one line in its table.

pub mod client;
pub mod server;

mod command;
mod extensions;
mod lines;
mod path;
mod words;
mod xtext;

pub use words::{Family, Mail, Mechanism, OriginalRecipient, Rcpt};
