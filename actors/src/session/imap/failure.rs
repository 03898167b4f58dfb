//! Why a command was not carried out, and what the client is told.

use imap::{Code, Reply};
use store::StoreError;
use supervision::{CallError, Reason};
use world::connection::Gone;

use super::metrics::REFUSED;
use crate::contract::MailboxFailure;

/// Why a command was not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client is gone: nobody is to be told.
    Gone,
    /// The client is told so.
    Refused(Reply),
}

impl From<Gone> for Failure {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Reply> for Failure {
    fn from(reply: Reply) -> Self {
        Self::Refused(reply)
    }
}

/// Never the cause: only whether it is worth another try (RFC 5530 §3).
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let reply = match &error {
            StoreError::Exists { .. } => {
                Reply::no("there is a mailbox of that name").with(Code::AlreadyExists)
            }
            StoreError::Missing { .. } => {
                Reply::no("there is no such mailbox").with(Code::NonExistent)
            }
            StoreError::Keywords => {
                Reply::no("a mailbox has at most 64 keywords").with(Code::Limit)
            }
            StoreError::Full { .. } => Reply::no("the disk is full").with(Code::OverQuota),
            StoreError::OverQuota { .. } => {
                Reply::no("there is no room for it").with(Code::OverQuota)
            }
            StoreError::TooLarge { .. } => Reply::no("that is too large").with(Code::TooBig),
            StoreError::Damage { .. } => Reply::no("some of it is damaged").with(Code::Corruption),
            _ => unavailable(),
        };
        REFUSED.count(&[reason(&error)]);
        match error {
            StoreError::Exists { .. }
            | StoreError::Missing { .. }
            | StoreError::OverQuota { .. } => {}
            // It is known that it is being opened anew: each of thousands who idle need not say so.
            StoreError::Lost => tracing::debug!(%error, "the store refused an IMAP command"),
            _ => tracing::warn!(%error, "the store refused an IMAP command"),
        }
        Self::Refused(reply)
    }
}

impl From<MailboxFailure> for Failure {
    fn from(failure: MailboxFailure) -> Self {
        match failure {
            MailboxFailure::Store(error) => error.into(),
            MailboxFailure::Busy => {
                REFUSED.count(&["busy"]);
                Self::Refused(Reply::no("the mailbox is in use").with(Code::InUse))
            }
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            // Nor that the mailboxes wait for it.
            CallError::Refused(Reason::Closed) => {
                tracing::debug!(%error, "a mailbox did not answer");
            }
            _ => tracing::warn!(%error, "a mailbox did not answer"),
        }
        REFUSED.count(&["unavailable"]);
        Self::Refused(unavailable())
    }
}

/// As it is counted.
const fn reason(error: &StoreError) -> &'static str {
    match error {
        StoreError::Damage { .. } => "damaged",
        StoreError::Exists { .. } => "exists",
        StoreError::Full { .. } => "disk_full",
        StoreError::Keywords => "keywords",
        StoreError::Missing { .. } => "missing",
        StoreError::OverQuota { .. } => "over_quota",
        StoreError::TooLarge { .. } => "too_large",
        _ => "unavailable",
    }
}

fn unavailable() -> Reply {
    Reply::no("trouble on our side, try again later").with(Code::Unavailable)
}
