//! The maildrop of a POP3 session: the INBOX as it was at the login.

use std::sync::Arc;

use mail::{AccountId, MailboxId, Uid};
use pop3::Entry;
use store::{
    StoreError,
    port::{BodyRef, MailStore, UidRange},
};

/// The messages of a session, in the order in which it numbers them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Maildrop {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    messages: Arc<[(Uid, BodyRef)]>,
}

impl Maildrop {
    /// The INBOX of that account as it stands, with what the client is told of it.
    ///
    /// A unique id is the generation of the mailbox's UIDs and the UID: it stays for ever
    /// (RFC 1939 §7).
    pub(super) fn open(
        mail: &dyn MailStore,
        account: AccountId,
    ) -> Result<(Self, Vec<Entry>), StoreError> {
        let inbox = mail.mailbox_named(account, "INBOX")?;
        let inbox = inbox.ok_or_else(|| StoreError::Missing {
            what: "INBOX".to_owned(),
        })?;
        let count = usize::try_from(inbox.messages).unwrap_or_default();
        let (mut messages, mut entries) = (Vec::with_capacity(count), Vec::with_capacity(count));
        mail.messages(account, inbox.id, UidRange::ALL, &mut |row| {
            messages.push((row.uid, row.body));
            entries.push(Entry {
                octets: row.body.octets,
                unique: format!("{}.{}", inbox.uid_validity, row.uid).into(),
            });
            true
        })?;
        Ok((
            Self {
                account,
                mailbox: inbox.id,
                messages: messages.into(),
            },
            entries,
        ))
    }

    /// Where the octets of a message are.
    pub(super) fn body(&self, index: usize) -> Option<BodyRef> {
        self.messages.get(index).map(|(_, body)| *body)
    }

    /// The UIDs of messages.
    pub(super) fn uids(&self, indices: &[usize]) -> Vec<Uid> {
        indices
            .iter()
            .filter_map(|&index| self.messages.get(index))
            .map(|(uid, _)| *uid)
            .collect()
    }
}
