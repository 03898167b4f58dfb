//! The mail store: what arriving, flagging, copying and removing messages change.

use std::collections::BTreeMap;

use bytes::Bytes;
use mail::{AccountId, Flags, Keyword, MailboxId, ModSeq, Time, Uid};

use super::{
    opened::Box,
    store::{Store, settled},
};
use crate::{
    StoreError,
    batch::{Batch, Blob},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{
        Appended, Arrival, Body, BodyRef, BodyWriter, Changes, Copied, Draft, Fence, FlagChange,
        FlagsHow, HeadEnd, Held, MailStore, MailboxRow, MessageFlags, MessageRow, NewMailbox,
        Pending, State, UidRange, Usage,
    },
    record,
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
        self.each_message(Seen::Durable, account, mailbox, range, |row| Ok(each(&row)))
    }

    fn flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        each: &mut dyn FnMut(&MessageFlags) -> bool,
    ) -> Result<(), StoreError> {
        let counters = self.durable(Class::Mail, &keys::counters(account, mailbox))?;
        match counters.as_deref().map(record::read_counters).transpose()? {
            Some(counters) if counters.sheets => {
                self.each_flags(Seen::Durable, account, mailbox, range, each)
            }
            Some(_) => self.each_message(Seen::Durable, account, mailbox, range, |row| {
                Ok(each(&row.flags()))
            }),
            None => Ok(()),
        }
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

    fn head(&self, body: &BodyRef, end: HeadEnd) -> Result<Bytes, StoreError> {
        self.head_of(body, end)
    }

    fn digest(&self, body: &BodyRef) -> Result<[u8; 32], StoreError> {
        self.keeper.digest(body)
    }

    fn usage(&self, account: AccountId) -> Result<Option<Usage>, StoreError> {
        self.used(Seen::Durable, account)
    }

    fn has_room(&self, account: AccountId, more: Held) -> Result<(), StoreError> {
        Self::has_room(self, account, more)
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
        settled(self.try_append(fence, (account, mailbox), None, messages))
    }

    fn append_next(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        next: Uid,
        messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
    ) -> Pending<Vec<Appended>> {
        settled(self.try_append(fence, (account, mailbox), Some(next), messages))
    }

    fn flag(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Pending<(Vec<MessageFlags>, Vec<Uid>)> {
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
type Flagged = (Vec<MessageFlags>, Vec<Uid>);

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
        self.admit(&mut target, Held::of([case.head.body.octets]))?;
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
        let blob = Blob::Old(case.head.body.blob);
        let appended = self.add(&mut batch, &mut target, row, blob)?;
        self.close_recipient(&mut batch, &case, arrival.recipient, state)?;
        self.put_box(&mut batch, &mut target)?;
        Ok(self.commit(batch, Some(appended)))
    }

    fn try_append(
        &self,
        fence: Fence,
        (account, mailbox): (AccountId, MailboxId),
        next: Option<Uid>,
        messages: Vec<(Draft, Flags, Vec<Keyword>, Time)>,
    ) -> Result<Pending<Vec<Appended>>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let mut target = self.open_box(account, mailbox)?;
        if next.is_some_and(|next| next != target.counters.uid_next) {
            let what = format!("mailbox {mailbox} of account {account}");
            return Err(StoreError::Changed { what });
        }
        let octets = messages.iter().map(|(draft, ..)| draft.octets());
        self.admit(&mut target, Held::of(octets))?;
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
            appended.push(self.add(&mut batch, &mut target, row, blob)?);
        }
        if !appended.is_empty() {
            self.put_box(&mut batch, &mut target)?;
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
        let modseq = target.modseq;
        let mut counters = target.counters;
        let mut changed = Vec::with_capacity(uids.len());
        let mut refused = Vec::new();
        self.each_flags_of(&mut target, &ascending(uids), |message| {
            if unchanged_since.is_some_and(|limit| message.modseq > limit) {
                refused.push(message.uid);
                return false;
            }
            let before = *message;
            (message.flags, message.keywords) = match change.how {
                FlagsHow::Add => (before.flags | change.flags, before.keywords | bits),
                FlagsHow::Remove => (before.flags & !change.flags, before.keywords & !bits),
                FlagsHow::Replace => (change.flags, bits),
            };
            if *message == before {
                return false;
            }
            message.modseq = modseq;
            counters.recount(before.flags, message.flags);
            changed.push(*message);
            true
        })?;
        target.counters = counters;
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
        self.put_box(&mut batch, &mut target)?;
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
        let rows = self.rows_of(&mut source, &ascending(uids))?;
        let more = Held::of(rows.iter().map(|row| row.body.octets));
        if from == to {
            if !moving {
                self.admit(&mut source, more)?;
            }
            return self.copy_within(batch, source, rows, moving);
        }
        let mut target = self.open_box(account, to)?;
        if !moving {
            self.admit(&mut target, more)?;
        }
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
            let appended = self.add_kept(&mut batch, &mut target, copy)?;
            copied.uids.push((row.uid, appended.uid));
        }
        if moving {
            self.remove_rows(&mut batch, &mut source, &rows)?;
            self.put_box(&mut batch, &mut source)?;
            copied.from_modseq = source.modseq;
        }
        self.put_box(&mut batch, &mut target)?;
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
            let appended = self.add_kept(&mut batch, &mut source, copy)?;
            copied.uids.push((row.uid, appended.uid));
        }
        if moving {
            self.remove_rows(&mut batch, &mut source, &rows)?;
        }
        self.put_box(&mut batch, &mut source)?;
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
        let mut uids = ascending(uids);
        if deleted_only {
            let mut deleted = Vec::new();
            self.each_flags_of(&mut target, &uids, |message| {
                if message.flags.contains(Flags::DELETED) {
                    deleted.push(message.uid);
                }
                false
            })?;
            uids = deleted;
        }
        let rows = self.rows_of(&mut target, &uids)?;
        if !rows.is_empty() {
            self.remove_rows(&mut batch, &mut target, &rows)?;
            self.put_box(&mut batch, &mut target)?;
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
        // Waited for: a STATUS that comes next, from any session, has to see it.
        Ok(self.commit(batch, recent_from))
    }
}

fn ascending(mut uids: Vec<Uid>) -> Vec<Uid> {
    uids.sort_unstable();
    uids.dedup();
    uids
}
