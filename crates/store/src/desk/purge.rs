//! Purging: the messages of a removed mailbox go a few at a time, so that nothing stalls.

use mail::{AccountId, MailboxId};

use super::store::{Store, damaged_key};
use crate::{
    StoreError,
    batch::{Batch, Blob},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Pending, UidRange},
    record,
};

impl<K: Keeper> Store<K> {
    /// Removes some messages of a mailbox that is gone. `None` when there is nothing to do.
    pub(crate) fn purge_some(&self) -> Result<Option<Pending<()>>, StoreError> {
        // Before the mark is read: if the mark is lost with a failed sync, so is this batch. The
        // mailbox is then there again, and what is in it is nobody's to purge.
        let mut batch = self.begin();
        let mut found = None;
        self.each(Seen::Newest, Class::Mail, b"p", |key, _| {
            let place = keys::read_account(key).zip(keys::read_mailbox(key));
            found = Some(place.ok_or_else(|| damaged_key(Class::Mail, key))?);
            Ok(false)
        })?;
        let Some((account, mailbox)) = found else {
            return Ok(None);
        };
        let _account = self.desk.locks.account(account);
        let more = self.purge_messages(&mut batch, account, mailbox)?
            || self.purge_table(b'v', &mut batch, account, mailbox)?
            || self.purge_table(b'w', &mut batch, account, mailbox)?;
        if !more {
            batch.remove(Class::Mail, &keys::purge(account, mailbox));
        }
        Ok(Some(self.commit(batch, ())))
    }

    fn purge_messages(
        &self,
        batch: &mut Batch,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<bool, StoreError> {
        let mut count = 0;
        let all = UidRange::ALL;
        self.each_row(Seen::Newest, account, mailbox, all, |uid, octets| {
            let (row, _) = record::read_message(uid, octets)?;
            let key = keys::message(account, mailbox, uid.get());
            batch.remove(Class::Mail, &key);
            batch.refer(Blob::Old(row.body.blob), -1);
            count += 1;
            Ok(count < PURGE_ROWS)
        })?;
        Ok(count == PURGE_ROWS)
    }

    /// Removes some rows of a table that refer to nothing: of the change log, or of the flags.
    fn purge_table(
        &self,
        table: u8,
        batch: &mut Batch,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<bool, StoreError> {
        let mut count = 0;
        let prefix = keys::of_mailbox(table, account, mailbox);
        self.each(Seen::Newest, Class::Mail, &prefix, |key, _| {
            batch.remove(Class::Mail, key);
            count += 1;
            Ok(count < PURGE_ROWS)
        })?;
        Ok(count == PURGE_ROWS)
    }
}

/// Rows in one batch: a few milliseconds of work.
const PURGE_ROWS: usize = 512;
