//! A mailbox under its account's lock: its numbers, its keywords, its rows, its change log.

use mail::{AccountId, Flags, Keyword, MailboxId, ModSeq, Uid};

use super::store::{Store, damaged_key, missing};
use crate::{
    StoreError,
    batch::{Batch, Blob},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Appended, MessageRow, UidRange},
    record::{self, Change, Counters, Mailbox},
};

/// A mailbox whose numbers are being given out, under its account's lock.
pub(super) struct Box {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    pub(super) counters: Counters,
    /// Read when it is needed: with keywords.
    record: Option<Mailbox>,
    /// The MODSEQ of this call's changes.
    pub(super) modseq: ModSeq,
}

impl<K: Keeper> Store<K> {
    /// Removes messages of a mailbox and writes it down for those who ask for changes.
    pub(super) fn remove_rows(
        &self,
        batch: &mut Batch,
        target: &mut Box,
        rows: &[MessageRow],
    ) -> Result<(), StoreError> {
        for row in rows {
            let key = keys::message(target.account, target.mailbox, row.uid.get());
            batch.remove(Class::Mail, &key);
            batch.refer(Blob::Old(row.body.blob), -1);
            target.uncount(row);
        }
        self.log(batch, target, true, rows.iter().map(|row| row.uid))
    }

    /// Adds a row to the change log, and forgets the oldest when there are too many.
    pub(super) fn log(
        &self,
        batch: &mut Batch,
        target: &mut Box,
        expunged: bool,
        ascending: impl Iterator<Item = Uid>,
    ) -> Result<(), StoreError> {
        let Box {
            account,
            mailbox,
            modseq,
            ..
        } = *target;
        let change = Change::new(expunged, ascending);
        if change.ranges() > CHANGE_RANGES_MAX {
            // Whoever was away for this looks at everything again: that is less than the row.
            target.counters.log_from = target.counters.log_from.max(modseq);
            return Ok(());
        }
        let key = keys::change(account, mailbox, modseq);
        batch.put_fresh(Class::Mail, &key, &record::write_change(&change));
        target.counters.log_rows += 1;
        if target.counters.log_rows <= LOG_ROWS_MAX {
            return Ok(());
        }
        let mut forgotten = 0;
        let prefix = keys::of_mailbox(b'v', account, mailbox);
        let counters = &mut target.counters;
        self.each(Seen::Newest, Class::Mail, &prefix, |key, _| {
            batch.remove(Class::Mail, key);
            let modseq = keys::read_modseq(key).ok_or_else(|| damaged_key(Class::Mail, key))?;
            counters.log_from = counters.log_from.max(modseq);
            counters.log_rows -= 1;
            forgotten += 1;
            Ok(forgotten < 2)
        })
    }

    /// The counters of a mailbox as the next write must know them.
    pub(super) fn counters(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Counters, StoreError> {
        match self.newest(Class::Mail, &keys::counters(account, mailbox))? {
            Some(octets) => record::read_counters(&octets),
            None => Err(missing(format!("mailbox {mailbox} of account {account}"))),
        }
    }

    pub(super) fn open_box(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Box, StoreError> {
        let counters = self.counters(account, mailbox)?;
        Ok(Box {
            account,
            mailbox,
            counters,
            record: None,
            modseq: ModSeq(counters.highest.0 + 1),
        })
    }

    /// Calls `each` for the messages with these UIDs, ascending, with the MODSEQ of their coming.
    pub(super) fn each_of(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        mut uids: Vec<Uid>,
        mut each: impl FnMut(MessageRow, ModSeq) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        uids.sort_unstable();
        uids.dedup();
        let (Some(&first), Some(&last)) = (uids.first(), uids.last()) else {
            return Ok(());
        };
        // Reading a few one by one is cheaper than reading all between them.
        if (last.get() - first.get()) as usize > 8 * uids.len() {
            for uid in uids {
                let key = keys::message(account, mailbox, uid.get());
                if let Some(octets) = self.newest(Class::Mail, &key)? {
                    let (row, since) = record::read_message(uid, &octets)?;
                    each(row, since)?;
                }
            }
            return Ok(());
        }
        let mut wanted = uids.into_iter().peekable();
        let range = UidRange { first, last };
        self.each_message(Seen::Newest, account, mailbox, range, |row, since| {
            while wanted.next_if(|&uid| uid < row.uid).is_some() {}
            if wanted.next_if_eq(&row.uid).is_some() {
                each(row, since)?;
            }
            Ok(wanted.peek().is_some())
        })
    }

    /// Calls `each` for the messages of a range, ascending, with the MODSEQ of their coming.
    pub(super) fn each_message(
        &self,
        seen: Seen,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        mut each: impl FnMut(MessageRow, ModSeq) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        if range.first > range.last {
            return Ok(());
        }
        let from = keys::message(account, mailbox, range.first.get());
        let until = keys::next(&keys::message(account, mailbox, range.last.get()));
        self.span(seen, Class::Mail, &from, &until, |key, value| {
            let uid = keys::read_uid(key).ok_or_else(|| damaged_key(Class::Mail, key))?;
            let (row, since) = record::read_message(uid, value)?;
            each(row, since)
        })
    }

    /// The bits of keywords in a mailbox; those that are new to it get one.
    pub(super) fn keyword_bits(
        &self,
        batch: &mut Batch,
        target: &mut Box,
        keywords: &[Keyword],
    ) -> Result<u64, StoreError> {
        if keywords.is_empty() {
            return Ok(0);
        }
        let (account, mailbox) = (target.account, target.mailbox);
        let record = self.box_record(target)?;
        let known = record.keywords.len();
        let mut bits = 0;
        for keyword in keywords {
            let at = record.keywords.iter().position(|k| k == keyword);
            let at = at.unwrap_or_else(|| {
                record.keywords.push(keyword.clone());
                record.keywords.len() - 1
            });
            if at >= KEYWORDS_MAX {
                return Err(StoreError::Keywords);
            }
            bits |= 1 << at;
        }
        if record.keywords.len() > known {
            let octets = record::write_mailbox(record)?;
            batch.put(Class::Mail, &keys::mailbox(account, mailbox), &octets);
        }
        Ok(bits)
    }

    /// The bits of those keywords that the mailbox knows.
    pub(super) fn known_bits(
        &self,
        target: &mut Box,
        keywords: &[Keyword],
    ) -> Result<u64, StoreError> {
        if keywords.is_empty() {
            return Ok(0);
        }
        let record = self.box_record(target)?;
        let known = (0..).zip(&record.keywords);
        Ok(known
            .filter(|(_, keyword)| keywords.contains(keyword))
            .fold(0, |bits, (at, _)| bits | 1 << at))
    }

    pub(super) fn keyword_names(
        &self,
        target: &mut Box,
        bits: u64,
    ) -> Result<Vec<Keyword>, StoreError> {
        if bits == 0 {
            return Ok(Vec::new());
        }
        let record = self.box_record(target)?;
        let known = (0..).zip(&record.keywords);
        Ok(known
            .filter(|(at, _)| bits & (1 << at) != 0)
            .map(|(_, keyword)| keyword.clone())
            .collect())
    }

    fn box_record<'a>(&self, target: &'a mut Box) -> Result<&'a mut Mailbox, StoreError> {
        let record = match target.record.take() {
            Some(record) => record,
            None => self.mailbox_record(Seen::Newest, target.account, target.mailbox)?,
        };
        Ok(target.record.insert(record))
    }
}

impl Box {
    /// A mailbox that this batch creates.
    pub(super) const fn fresh(account: AccountId, mailbox: MailboxId, counters: Counters) -> Self {
        Self {
            account,
            mailbox,
            counters,
            record: None,
            modseq: ModSeq(counters.highest.0 + 1),
        }
    }

    /// Adds a message to which nothing referred from here before.
    pub(super) fn add(
        &mut self,
        batch: &mut Batch,
        mut row: MessageRow,
        blob: Blob,
    ) -> Result<Appended, StoreError> {
        let appended = self.next(&mut row)?;
        batch.refer(blob, 1);
        let key = keys::message(self.account, self.mailbox, row.uid.get());
        let octets = record::write_message(&row, self.modseq);
        let places = &record::MESSAGE_BLOB_AT;
        batch.put_with_blob(Class::Mail, &key, &octets, (blob, places));
        Ok(appended)
    }

    /// Adds a copy of a message; it keeps its object ids.
    pub(super) fn add_kept(
        &mut self,
        batch: &mut Batch,
        mut row: MessageRow,
    ) -> Result<Appended, StoreError> {
        let appended = self.next(&mut row)?;
        batch.refer(Blob::Old(row.body.blob), 1);
        let key = keys::message(self.account, self.mailbox, row.uid.get());
        batch.put_fresh(Class::Mail, &key, &record::write_message(&row, self.modseq));
        Ok(appended)
    }

    /// Gives out the next UID and counts the message.
    fn next(&mut self, row: &mut MessageRow) -> Result<Appended, StoreError> {
        row.uid = self.counters.uid_next;
        let next = row.uid.next();
        self.counters.uid_next = next.ok_or_else(|| missing("a UID that is not used"))?;
        self.counters.messages += 1;
        self.counters.unseen += u32::from(!row.flags.contains(Flags::SEEN));
        self.counters.deleted += u32::from(row.flags.contains(Flags::DELETED));
        self.counters.octets += row.body.octets;
        Ok(Appended {
            uid_validity: self.counters.uid_validity,
            uid: row.uid,
            modseq: self.modseq,
        })
    }

    fn uncount(&mut self, row: &MessageRow) {
        let counters = &mut self.counters;
        counters.messages = counters.messages.saturating_sub(1);
        counters.octets = counters.octets.saturating_sub(row.body.octets);
        if !row.flags.contains(Flags::SEEN) {
            counters.unseen = counters.unseen.saturating_sub(1);
        }
        if row.flags.contains(Flags::DELETED) {
            counters.deleted = counters.deleted.saturating_sub(1);
        }
    }

    pub(super) fn recount(&mut self, before: Flags, after: Flags) {
        let by = |count: u32, was: bool, is: bool| {
            count
                .saturating_add(u32::from(is))
                .saturating_sub(u32::from(was))
        };
        let unseen = |flags: Flags| !flags.contains(Flags::SEEN);
        let deleted = |flags: Flags| flags.contains(Flags::DELETED);
        let counters = &mut self.counters;
        counters.unseen = by(counters.unseen, unseen(before), unseen(after));
        counters.deleted = by(counters.deleted, deleted(before), deleted(after));
    }

    /// Writes the counters, with this call's MODSEQ as the highest.
    pub(super) fn put(&mut self, batch: &mut Batch) {
        self.counters.highest = self.modseq;
        let key = keys::counters(self.account, self.mailbox);
        batch.put(Class::Mail, &key, &record::write_counters(&self.counters));
    }
}

/// A message's keywords are 64 bits (`port::MessageRow`).
const KEYWORDS_MAX: usize = 64;

/// Stretches of UIDs in a row of the change log: 32 KiB.
const CHANGE_RANGES_MAX: usize = 4096;

/// Changes of a mailbox that are remembered: a client that was away for longer looks at
/// everything again (RFC 7162 §3.2.5.2).
const LOG_ROWS_MAX: u32 = 10_000;
