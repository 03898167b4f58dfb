//! Scripted IMAP sessions in the form of Dovecot's imaptest, which others wrote.
//!
//! [`Script`] reads one, [`Script::play`] speaks it to a server, each connection with a socket of
//! its own; [`Value`] is what servers say and scripts expect, and how the two are compared.

mod play;
mod script;
mod value;

pub use play::Server;
pub use script::Script;

use script::{Line, Message, Start, Tagged};
use value::{Value, Variables};
