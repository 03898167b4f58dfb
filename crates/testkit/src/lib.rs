//! What tests share: the daemon as a child process, small blocking clients, transcripts, corpora.
//!
//! Everything here looks at Heronry from outside, over sockets and command lines, and shares no
//! code with it. It is for tests alone: what goes wrong panics and says what was being waited for.
//!
//! - [`Daemon`] starts the binary on ports and folders of its own and ends it by its pid.
//! - [`SmtpClient`], [`ImapClient`], [`Pop3Client`] and [`http_get`] speak as a peer would, also wrongly.
//! - [`play`] speaks a golden transcript to a socket.
//! - [`Neighbour`] is another mail system, which takes what it is sent.
//! - [`corpora`] finds messages that others collected.
//! - [`needs`] says which neighbour a machine lacks, and which test was left out for it.
//! - [`until`] waits for something, never longer than told.
#![allow(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests end with a panic, their threads share what they saw, and this crate is nothing but tests"
)]

mod corpora;
mod daemon;
mod dialogue;
mod door;
mod http;
mod imap;
mod imaptest;
mod memory;
mod needs;
mod neighbour;
mod output;
mod patience;
mod pop3;
mod process;
mod root;
mod smtp;
mod tls;
mod wire;

pub use corpora::{Letter, corpora, crlf, suites};
pub use daemon::{Daemon, Ended, PASSWORD, Recipe};
pub use dialogue::{dialogues, play};
pub use door::{Door, PortBase};
pub use http::http_get;
pub use imap::{Answer, ImapClient, Response};
pub use imaptest::{Script, Server as ScriptServer};
pub use memory::{peak_growth_octets, pss_octets};
pub use needs::{find_program, leave_out, needs, say_left_out};
pub use neighbour::{Neighbour, OnChunk};
pub use output::Output;
pub use patience::{LONG, SHORT, until, until_some};
pub use pop3::Pop3Client;
pub use process::{Finished, Guard, finish};
pub use root::{is_root, root_or_again};
pub use smtp::{SmtpClient, SmtpReply};
pub use tls::trusting_client;
pub use wire::Wire;

pub use rustix::process::Signal;
