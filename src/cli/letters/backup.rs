//! An account as a state of a backup has it.

use mail::{AccountId, Address};
use mime::Header;
use store::{
    DiskStore, StoreError,
    port::{AccountRow, Accounts, Entry, MailStore, MailboxRow, MessageRow, UidRange},
};

use super::{Folder, Letter, Sink, Source};
use crate::{
    admin::{flag_names, role_name, with_flags},
    backup::BackupError,
    cli::Failure,
};

/// Takes letters out of a store that is only read.
pub(in crate::cli) struct BackupSource<'a> {
    store: &'a DiskStore,
    /// The account as it was.
    pub(in crate::cli) account: AccountRow,
    choice: Choice,
}

/// Which letters are meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) enum Choice {
    All,
    /// Those with that Message-ID, without its angle brackets.
    MessageId(String),
    Uid(u32),
}

impl<'a> BackupSource<'a> {
    pub(in crate::cli) fn new(
        store: &'a DiskStore,
        address: &Address,
        choice: Choice,
    ) -> Result<Self, Failure> {
        let found = match store
            .entry(address.local(), address.domain())
            .map_err(failed)?
        {
            Some(Entry::Account(id)) => store.account(id).map_err(failed)?,
            _ => None,
        };
        let missing = || Failure::new(format!("the backup has no account {address}"));
        Ok(Self {
            store,
            account: found.ok_or_else(missing)?,
            choice,
        })
    }

    fn id(&self) -> AccountId {
        self.account.id
    }

    fn is_chosen(&self, row: &MessageRow) -> Result<bool, StoreError> {
        let wanted = match &self.choice {
            Choice::All => return Ok(true),
            Choice::Uid(uid) => return Ok(row.uid.get() == *uid),
            Choice::MessageId(wanted) => wanted,
        };
        let head = self.store.read_head(row)?;
        let field = Header::of(&head).find("Message-ID");
        Ok(field.is_some_and(|field| {
            let text = field.text();
            text.trim().trim_start_matches('<').trim_end_matches('>') == wanted
        }))
    }
}

impl Source for BackupSource<'_> {
    fn folders(&mut self) -> Result<Vec<Folder>, Failure> {
        let rows = self.store.mailboxes(self.id()).map_err(failed)?;
        let folders = rows.into_iter().map(|row| Folder {
            role: row.special_use.map(|role| role_name(role).to_owned()),
            octets: if self.choice == Choice::All {
                row.octets
            } else {
                0
            },
            name: row.name,
        });
        Ok(folders.collect())
    }

    fn letters(&mut self, folder: &Folder, sink: &mut dyn Sink) -> Result<(), Failure> {
        let row = self
            .store
            .mailbox_named(self.id(), &folder.name)
            .map_err(failed)?;
        let Some(mailbox) = row else {
            return Ok(());
        };
        let mut rows = Vec::new();
        let each = &mut |row: &MessageRow| {
            rows.push(*row);
            true
        };
        self.store
            .messages(self.id(), mailbox.id, UidRange::ALL, each)
            .map_err(failed)?;
        let rows = with_flags(self.store, self.id(), &mailbox, rows).map_err(failed)?;
        for row in rows {
            if !self.is_chosen(&row).map_err(failed)? {
                continue;
            }
            let digest = self.store.digest(&row.body).map_err(failed)?;
            if sink.wants(&digest, row.body.octets) {
                sink.take(self.letter(&mailbox, &row, &digest)?, digest)?;
            }
        }
        Ok(())
    }
}

impl BackupSource<'_> {
    fn letter(
        &self,
        mailbox: &MailboxRow,
        row: &MessageRow,
        digest: &[u8; 32],
    ) -> Result<Letter, Failure> {
        let body = MailStore::read(self.store, &row.body).map_err(failed)?;
        let letter = Letter {
            flags: flag_names(mailbox, row),
            date: row.internal_date,
            octets: body.bytes().map_err(failed)?.into(),
        };
        match letter.digest() == *digest {
            true => Ok(letter),
            false => Err(Failure::damaged(format!(
                "message {} of {} in the backup is damaged",
                row.uid, mailbox.name
            ))),
        }
    }
}

/// The beginning of a message, where its header is.
trait ReadHead {
    fn read_head(&self, row: &MessageRow) -> Result<Vec<u8>, StoreError>;
}

impl ReadHead for DiskStore {
    fn read_head(&self, row: &MessageRow) -> Result<Vec<u8>, StoreError> {
        let body = MailStore::read(self, &row.body)?;
        Ok(body.read_at(0, HEAD_OCTETS)?.into())
    }
}

fn failed(error: StoreError) -> Failure {
    BackupError::from(error).into()
}

/// No header that anybody has written is longer.
const HEAD_OCTETS: usize = 256 * 1024;
