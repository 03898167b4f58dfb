//! The mail store: what arriving, flagging, copying and removing messages change.

use std::collections::BTreeMap;

use mail::{AccountId, Flags, Keyword, MailboxId, ModSeq, Time, Uid};

use super::store::{Store, damaged_key, missing, settled};
use crate::{
    StoreError,
    batch::{Batch, Blob},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{
        Appended, Arrival, Body, BodyRef, BodyWriter, Changes, Copied, Draft, Fence, FlagChange,
        FlagsHow, MailStore, MailboxRow, MessageRow, NewMailbox, Pending, State, UidRange,
    },
    record::{self, Change, Counters, Mailbox},
};

impl<K: Keeper> MailStore for Store<K> {
    fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxRow>, StoreError> {
        self.mailbox_rows(account)
    }

    fn mailbox_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<MailboxRow>, StoreError> {
        self.mailbox_row_named(account, name)
    }

    fn mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<MailboxRow>, StoreError> {
        self.mailbox_row(account, mailbox)
    }

    fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        self.subscribed(account)
    }

    fn messages(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        each: &mut dyn FnMut(&MessageRow) -> bool,
    ) -> Result<(), StoreError> {
        // A mailbox that is gone has no messages, though the last of them are still being purged.
        if self
            .durable(Class::Mail, &keys::counters(account, mailbox))?
            .is_none()
        {
            return Ok(());
        }
        self.each_message(Seen::Durable, account, mailbox, range, |row, _| {
            Ok(each(&row))
        })
    }

    fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Option<Changes>, StoreError> {
        self.changes_since(account, mailbox, since)
    }

    fn read(&self, body: &BodyRef) -> Result<Body, StoreError> {
        self.keeper.read(body)
    }

    fn draft(&self) -> BodyWriter {
        self.keeper.draft()
    }

    fn deliver(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        arrival: Arrival,
    ) -> Pending<Option<Appended>> {
        settled(self.try_deliver(fence, account, mailbox, &arrival))
    }

    fn append(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
    ) -> Pending<Vec<Appended>> {
        settled(self.try_append(fence, account, mailbox, messages))
    }

    fn flag(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Pending<(Vec<MessageRow>, Vec<Uid>)> {
        let place = (account, mailbox);
        settled(self.try_flag(fence, place, uids, &change, unchanged_since))
    }

    fn copy(
        &self,
        fence: Fence,
        account: AccountId,
        from: MailboxId,
        uids: Vec<Uid>,
        to: MailboxId,
        moving: bool,
    ) -> Pending<Copied> {
        settled(self.try_copy(fence, account, from, uids, to, moving))
    }

    fn expunge(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        deleted_only: bool,
    ) -> Pending<Vec<Uid>> {
        settled(self.try_expunge(fence, account, mailbox, uids, deleted_only))
    }

    fn create(&self, fence: Fence, account: AccountId, new: NewMailbox) -> Pending<MailboxRow> {
        settled(self.try_create(fence, account, new))
    }

    fn delete(&self, fence: Fence, account: AccountId, mailbox: MailboxId) -> Pending<()> {
        let pending = settled(self.try_delete(fence, account, mailbox));
        self.tidy();
        pending
    }

    fn rename(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        to: String,
    ) -> Pending<()> {
        settled(self.try_rename(fence, account, mailbox, &to))
    }

    fn subscribe(&self, fence: Fence, account: AccountId, name: String, on: bool) -> Pending<()> {
        settled(self.try_subscribe(fence, account, &name, on))
    }

    fn take_recent(&self, fence: Fence, account: AccountId, mailbox: MailboxId) -> Pending<Uid> {
        settled(self.try_take_recent(fence, account, mailbox))
    }
}

/// Messages that were changed, and UIDs of those that were left alone.
type Flagged = (Vec<MessageRow>, Vec<Uid>);

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
    fn try_deliver(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        arrival: &Arrival,
    ) -> Result<Pending<Option<Appended>>, StoreError> {
        let _message = self.desk.locks.message(arrival.id);
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let Some(case) = self.case(arrival.id)? else {
            return Ok(self.commit(batch, None));
        };
        let state = self.recipient_state(&case, arrival.recipient)?;
        if state.state != State::Open {
            return Ok(self.commit(batch, None));
        }
        let mut target = self.open_box(account, mailbox)?;
        let row = MessageRow {
            uid: Uid::FIRST,
            modseq: target.modseq,
            flags: arrival.flags,
            keywords: self.keyword_bits(&mut batch, &mut target, &arrival.keywords)?,
            internal_date: arrival.internal_date,
            save_date: self.keeper.now(),
            body: case.head.body,
            email_id: case.head.body.blob,
            thread_id: case.head.body.blob,
        };
        let appended = target.add(&mut batch, row, Blob::Old(case.head.body.blob))?;
        self.close_recipient(&mut batch, &case, arrival.recipient, state)?;
        target.put(&mut batch);
        Ok(self.commit(batch, Some(appended)))
    }

    fn try_append(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
    ) -> Result<Pending<Vec<Appended>>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let mut target = self.open_box(account, mailbox)?;
        let save_date = self.keeper.now();
        let mut appended = Vec::with_capacity(messages.len());
        for (draft, flags, keywords, internal_date) in messages {
            let body = BodyRef {
                blob: 0,
                octets: draft.octets(),
            };
            let row = MessageRow {
                uid: Uid::FIRST,
                modseq: target.modseq,
                flags,
                keywords: self.keyword_bits(&mut batch, &mut target, &keywords)?,
                internal_date,
                save_date,
                body,
                email_id: 0,
                thread_id: 0,
            };
            let blob = batch.body(draft);
            appended.push(target.add(&mut batch, row, blob)?);
        }
        if !appended.is_empty() {
            target.put(&mut batch);
        }
        Ok(self.commit(batch, appended))
    }

    fn try_flag(
        &self,
        fence: Fence,
        (account, mailbox): (AccountId, MailboxId),
        uids: Vec<Uid>,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Pending<Flagged>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let mut target = self.open_box(account, mailbox)?;
        let bits = if change.how == FlagsHow::Remove {
            self.known_bits(&mut target, &change.keywords)?
        } else {
            self.keyword_bits(&mut batch, &mut target, &change.keywords)?
        };
        let mut changed = Vec::new();
        let mut refused = Vec::new();
        self.each_of(account, mailbox, uids, |row, since| {
            if unchanged_since.is_some_and(|limit| row.modseq > limit) {
                refused.push(row.uid);
                return Ok(());
            }
            let (flags, keywords) = match change.how {
                FlagsHow::Add => (row.flags | change.flags, row.keywords | bits),
                FlagsHow::Remove => (row.flags & !change.flags, row.keywords & !bits),
                FlagsHow::Replace => (change.flags, bits),
            };
            if (flags, keywords) == (row.flags, row.keywords) {
                return Ok(());
            }
            let modseq = target.modseq;
            let after = MessageRow {
                flags,
                keywords,
                modseq,
                ..row
            };
            target.recount(row.flags, flags);
            let key = keys::message(account, mailbox, row.uid.get());
            batch.put(Class::Mail, &key, &record::write_message(&after, since));
            changed.push(after);
            Ok(())
        })?;
        if changed.is_empty() {
            // New keywords alone change nothing that anybody has to hear of.
            return Ok(self.commit(batch, (changed, refused)));
        }
        self.log(
            &mut batch,
            &mut target,
            false,
            changed.iter().map(|r| r.uid),
        )?;
        target.put(&mut batch);
        Ok(self.commit(batch, (changed, refused)))
    }

    fn try_copy(
        &self,
        fence: Fence,
        account: AccountId,
        from: MailboxId,
        uids: Vec<Uid>,
        to: MailboxId,
        moving: bool,
    ) -> Result<Pending<Copied>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let mut source = self.open_box(account, from)?;
        let mut rows = Vec::new();
        self.each_of(account, from, uids, |row, _| {
            rows.push(row);
            Ok(())
        })?;
        if from == to {
            return self.copy_within(batch, source, rows, moving);
        }
        let mut target = self.open_box(account, to)?;
        let mut copied = Copied {
            uid_validity: target.counters.uid_validity,
            uids: Vec::with_capacity(rows.len()),
            from_modseq: source.counters.highest,
            to_modseq: target.counters.highest,
        };
        if rows.is_empty() {
            return Ok(self.commit(batch, copied));
        }
        let save_date = self.keeper.now();
        let mut bits = BTreeMap::new();
        for row in &rows {
            let keywords = match bits.get(&row.keywords) {
                Some(&known) => known,
                None => {
                    let names = self.keyword_names(&mut source, row.keywords)?;
                    let known = self.keyword_bits(&mut batch, &mut target, &names)?;
                    bits.insert(row.keywords, known);
                    known
                }
            };
            let copy = MessageRow {
                modseq: target.modseq,
                keywords,
                save_date,
                ..*row
            };
            let appended = target.add_kept(&mut batch, copy)?;
            copied.uids.push((row.uid, appended.uid));
        }
        if moving {
            self.remove_rows(&mut batch, &mut source, &rows)?;
            source.put(&mut batch);
            copied.from_modseq = source.modseq;
        }
        target.put(&mut batch);
        copied.to_modseq = target.modseq;
        Ok(self.commit(batch, copied))
    }

    /// COPY or MOVE of messages into the mailbox in which they are.
    fn copy_within(
        &self,
        mut batch: Batch,
        mut source: Box,
        rows: Vec<MessageRow>,
        moving: bool,
    ) -> Result<Pending<Copied>, StoreError> {
        let mut copied = Copied {
            uid_validity: source.counters.uid_validity,
            uids: Vec::with_capacity(rows.len()),
            from_modseq: source.counters.highest,
            to_modseq: source.counters.highest,
        };
        if rows.is_empty() {
            return Ok(self.commit(batch, copied));
        }
        let save_date = self.keeper.now();
        for row in &rows {
            let copy = MessageRow {
                modseq: source.modseq,
                save_date,
                ..*row
            };
            let appended = source.add_kept(&mut batch, copy)?;
            copied.uids.push((row.uid, appended.uid));
        }
        if moving {
            self.remove_rows(&mut batch, &mut source, &rows)?;
        }
        source.put(&mut batch);
        copied.from_modseq = source.modseq;
        copied.to_modseq = source.modseq;
        Ok(self.commit(batch, copied))
    }

    fn try_expunge(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        deleted_only: bool,
    ) -> Result<Pending<Vec<Uid>>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let mut target = self.open_box(account, mailbox)?;
        let mut rows = Vec::new();
        self.each_of(account, mailbox, uids, |row, _| {
            if !deleted_only || row.flags.contains(Flags::DELETED) {
                rows.push(row);
            }
            Ok(())
        })?;
        if !rows.is_empty() {
            self.remove_rows(&mut batch, &mut target, &rows)?;
            target.put(&mut batch);
        }
        let gone = rows.iter().map(|row| row.uid).collect();
        Ok(self.commit(batch, gone))
    }

    fn try_take_recent(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Pending<Uid>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let mut counters = self.counters(account, mailbox)?;
        let recent_from = counters.recent_from;
        if recent_from == counters.uid_next {
            return Ok(Pending::ready(Ok(recent_from)));
        }
        counters.recent_from = counters.uid_next;
        let key = keys::counters(account, mailbox);
        batch.put(Class::Mail, &key, &record::write_counters(&counters));
        Ok(self.commit(batch, recent_from))
    }

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
    fn log(
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
    fn each_of(
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
    fn keyword_bits(
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
    fn known_bits(&self, target: &mut Box, keywords: &[Keyword]) -> Result<u64, StoreError> {
        if keywords.is_empty() {
            return Ok(0);
        }
        let record = self.box_record(target)?;
        let known = (0..).zip(&record.keywords);
        Ok(known
            .filter(|(_, keyword)| keywords.contains(keyword))
            .fold(0, |bits, (at, _)| bits | 1 << at))
    }

    fn keyword_names(&self, target: &mut Box, bits: u64) -> Result<Vec<Keyword>, StoreError> {
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
    fn add(
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

    fn recount(&mut self, before: Flags, after: Flags) {
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

/// Changes of a mailbox that are remembered: a client that was away for longer looks at
/// everything again (RFC 7162 §3.2.5.2).
const LOG_ROWS_MAX: u32 = 10_000;
