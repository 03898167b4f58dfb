//! A mailbox under its account's lock: its numbers, its keywords, its rows, its change log.

use mail::{AccountId, Domain, Flags, Keyword, MailboxId, ModSeq, Uid};

use super::{
    sheets::Sheets,
    store::{Store, damaged_key, missing},
    usage::signed,
};
use crate::{
    StoreError,
    batch::{Batch, Blob},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Appended, MessageFlags, MessageRow, UidRange},
    record::{self, Change, Counters, Mailbox, SHEET_UIDS, sheet_of},
};

/// A mailbox whose numbers are being given out, under its account's lock.
pub(super) struct Box {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    pub(super) counters: Counters,
    /// The flags that this call looks at or changes.
    pub(super) sheets: Sheets,
    /// Read when it is needed: with keywords.
    record: Option<Mailbox>,
    /// The MODSEQ of this call's changes.
    pub(super) modseq: ModSeq,
    /// Octets and messages when it was opened.
    before: [u64; 2],
    /// The limited domain that its growth counts in, once somebody has looked whether there is one.
    pub(super) counted_in: Option<Option<Domain>>,
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
            target.counters.uncount(row);
        }
        let uids: Vec<Uid> = rows.iter().map(|row| row.uid).collect();
        for uids in uids.chunk_by(|one, next| sheet_of(*one) == sheet_of(*next)) {
            self.sheet(target, sheet_of(uids[0]))?.remove(uids);
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
        let mut target = Box::fresh(account, mailbox, counters);
        if !counters.sheets {
            self.begin_sheets(&mut target)?;
        }
        Ok(target)
    }

    /// Adds a message to which nothing referred from here before.
    pub(super) fn add(
        &self,
        batch: &mut Batch,
        target: &mut Box,
        mut row: MessageRow,
        blob: Blob,
    ) -> Result<Appended, StoreError> {
        let appended = self.give_uid(target, &mut row)?;
        batch.refer(blob, 1);
        let key = keys::message(target.account, target.mailbox, row.uid.get());
        let octets = record::write_message(&row, target.modseq);
        let places = &record::MESSAGE_BLOB_AT;
        batch.put_with_blob(Class::Mail, &key, &octets, (blob, places));
        Ok(appended)
    }

    /// Adds a copy of a message; it keeps its object ids.
    pub(super) fn add_kept(
        &self,
        batch: &mut Batch,
        target: &mut Box,
        mut row: MessageRow,
    ) -> Result<Appended, StoreError> {
        let appended = self.give_uid(target, &mut row)?;
        batch.refer(Blob::Old(row.body.blob), 1);
        let key = keys::message(target.account, target.mailbox, row.uid.get());
        let octets = record::write_message(&row, target.modseq);
        batch.put_fresh(Class::Mail, &key, &octets);
        Ok(appended)
    }

    /// Gives out the next UID, counts the message and puts its flags on their sheet.
    fn give_uid(&self, target: &mut Box, row: &mut MessageRow) -> Result<Appended, StoreError> {
        row.modseq = target.modseq;
        row.uid = target.counters.uid_next;
        let next = row.uid.next();
        target.counters.uid_next = next.ok_or_else(|| missing("a UID that is not used"))?;
        target.counters.count(row);
        self.add_flags(target, row.flags())?;
        Ok(Appended {
            uid_validity: target.counters.uid_validity,
            uid: row.uid,
            modseq: target.modseq,
        })
    }

    /// The messages with these UIDs (ascending), as far as they are there.
    pub(super) fn rows_of(
        &self,
        target: &mut Box,
        uids: &[Uid],
    ) -> Result<Vec<MessageRow>, StoreError> {
        let (account, mailbox) = (target.account, target.mailbox);
        let mut present = Vec::with_capacity(uids.len());
        self.each_flags_of(target, uids, |message| {
            present.push(*message);
            false
        })?;
        let (Some(&first), Some(&last)) = (present.first(), present.last()) else {
            return Ok(Vec::new());
        };
        let mut rows = Vec::with_capacity(present.len());
        let mut wanted = present.iter().peekable();
        let mut take = |uid: Uid, octets: &[u8]| {
            if let Some(flags) = wanted.next_if(|flags| flags.uid == uid) {
                rows.push(record::read_message(uid, octets)?.0.with(flags));
            }
            Ok(wanted.peek().is_some())
        };
        // Reading a few one by one is cheaper than reading all between them.
        if (last.uid.get() - first.uid.get()) as usize > 8 * present.len() {
            for &MessageFlags { uid, .. } in &present {
                let key = keys::message(account, mailbox, uid.get());
                let octets = self.newest(Class::Mail, &key)?;
                let octets = octets.ok_or_else(|| damaged_key(Class::Mail, &key))?;
                take(uid, &octets)?;
            }
        } else {
            let (first, last) = (first.uid, last.uid);
            let range = UidRange { first, last };
            self.each_row(Seen::Newest, account, mailbox, range, take)?;
        }
        Ok(rows)
    }

    /// Calls `each` for the messages of a range, ascending, until it returns `false`.
    pub(super) fn each_message(
        &self,
        seen: Seen,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        mut each: impl FnMut(MessageRow) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut span = range;
        let mut sheets = Vec::new();
        while span.first <= range.last {
            // Flags first: a message that comes between the two has those that it came with.
            sheets.clear();
            span.last = range.last;
            let (rest, mut count) = (span, 0);
            self.each_sheet(seen, account, mailbox, rest, |number, messages| {
                sheets.extend_from_slice(messages);
                count += 1;
                if count == SHEETS_AT_ONCE {
                    let end = Uid::new(number * SHEET_UIDS + (SHEET_UIDS - 1));
                    span.last = end.unwrap_or(Uid::LAST).min(range.last);
                }
                count < SHEETS_AT_ONCE
            })?;
            let mut flags = sheets.iter().peekable();
            let mut more = true;
            self.each_row(seen, account, mailbox, span, |uid, octets| {
                let (row, _) = record::read_message(uid, octets)?;
                while flags.next_if(|flags| flags.uid < uid).is_some() {}
                let flags = flags.next_if(|flags| flags.uid == uid);
                more = each(flags.map_or(row, |flags| row.with(flags)))?;
                Ok(more)
            })?;
            match span.last.next() {
                Some(next) if more => span.first = next,
                _ => break,
            }
        }
        Ok(())
    }

    /// Calls `each` for the rows of the messages of a range, ascending, until it returns `false`.
    pub(super) fn each_row(
        &self,
        seen: Seen,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        mut each: impl FnMut(Uid, &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        if range.first > range.last {
            return Ok(());
        }
        let from = keys::message(account, mailbox, range.first.get());
        let until = keys::next(&keys::message(account, mailbox, range.last.get()));
        self.span(seen, Class::Mail, &from, &until, |key, value| {
            let uid = keys::read_uid(key).ok_or_else(|| damaged_key(Class::Mail, key))?;
            each(uid, value)
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
    /// A mailbox of which nothing has been looked at, with these counters.
    pub(super) fn fresh(account: AccountId, mailbox: MailboxId, counters: Counters) -> Self {
        Self {
            account,
            mailbox,
            counters,
            sheets: Sheets::default(),
            record: None,
            modseq: ModSeq(counters.highest.0 + 1),
            before: [counters.octets, u64::from(counters.messages)],
            counted_in: None,
        }
    }

    /// By how many octets and messages this call has changed it.
    pub(super) fn growth(&self) -> [i64; 2] {
        let [octets, messages] = self.before.map(signed);
        [
            signed(self.counters.octets) - octets,
            i64::from(self.counters.messages) - messages,
        ]
    }

    /// Writes the flags, and the counters with this call's MODSEQ as the highest.
    pub(super) fn put(&mut self, batch: &mut Batch) {
        self.sheets.put(batch, self.account, self.mailbox);
        self.counters.highest = self.modseq;
        let key = keys::counters(self.account, self.mailbox);
        batch.put(Class::Mail, &key, &record::write_counters(&self.counters));
    }
}

impl Counters {
    fn count(&mut self, row: &MessageRow) {
        self.messages += 1;
        self.unseen += u32::from(!row.flags.contains(Flags::SEEN));
        self.deleted += u32::from(row.flags.contains(Flags::DELETED));
        self.octets += row.body.octets;
    }

    fn uncount(&mut self, row: &MessageRow) {
        self.messages = self.messages.saturating_sub(1);
        self.octets = self.octets.saturating_sub(row.body.octets);
        if !row.flags.contains(Flags::SEEN) {
            self.unseen = self.unseen.saturating_sub(1);
        }
        if row.flags.contains(Flags::DELETED) {
            self.deleted = self.deleted.saturating_sub(1);
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
        self.unseen = by(self.unseen, unseen(before), unseen(after));
        self.deleted = by(self.deleted, deleted(before), deleted(after));
    }
}

/// A message's keywords are 64 bits (`port::MessageRow`).
const KEYWORDS_MAX: usize = 64;

/// Stretches of UIDs in a row of the change log: 32 KiB.
const CHANGE_RANGES_MAX: usize = 4096;

/// Changes of a mailbox that are remembered: a client that was away for longer looks at
/// everything again (RFC 7162 §3.2.5.2).
const LOG_ROWS_MAX: u32 = 10_000;

/// Sheets that are read before the rows of their messages: a reader may want no more.
const SHEETS_AT_ONCE: u32 = 4;
