//! What must survive the death of a session's actor.

use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{MailboxName, Tag};

/// What must survive the death of a session's actor while its socket lives.
///
/// Taken when a step is handed out: the successor begins with
/// [`Server::resume`](super::Server::resume), which answers the command that was under way with
/// `NO [SERVERBUG]` and goes on. If part of a reply has been sent already, no successor can know
/// where it ended: close the connection instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// Who is logged in.
    pub user: Option<Arc<str>>,
    /// Which mailbox is open.
    pub selected: Option<Selected>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The command that is under way.
    pub(super) pending: Option<Tag>,
    /// How many octets of its literal are still to come.
    pub(super) skip: u64,
    /// Whether the rest of its line is still to come.
    pub(super) skip_line: bool,
    /// What has been heard and not been read.
    pub(super) input: Bytes,
    pub(super) failed_logins: u32,
}

/// An open mailbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selected {
    /// Its name when it was opened.
    pub mailbox: MailboxName,
    /// Whether it is open for reading only.
    pub read_only: bool,
}
