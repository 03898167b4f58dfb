//! The flags of a mailbox: read sheet by sheet, and changed on the sheets that a call has taken.

use std::collections::{BTreeMap, btree_map::Entry};

use bytes::Bytes;
use mail::{AccountId, MailboxId, Uid};

use super::{
    opened::Box,
    store::{Store, damaged_key},
};
use crate::{
    StoreError,
    batch::Batch,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{MessageFlags, UidRange},
    record::{self, SHEET_UIDS, sheet_of},
};

/// The sheets of a mailbox that a call has taken, as it leaves them.
#[derive(Debug, Default)]
pub(super) struct Sheets {
    taken: BTreeMap<u32, Sheet>,
    /// Those that have only got new messages, which came behind all others: to be written as they
    /// are.
    longer: Vec<(u32, Vec<u8>)>,
}

/// A sheet that has been taken.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Its messages, ascending.
    pub(super) messages: Vec<MessageFlags>,
    /// Whether it is to be written.
    pub(super) changed: bool,
}

impl<K: Keeper> Store<K> {
    /// The sheet of that number, as this call leaves it.
    pub(super) fn sheet<'a>(
        &self,
        target: &'a mut Box,
        number: u32,
    ) -> Result<&'a mut Sheet, StoreError> {
        let key = keys::sheet(target.account, target.mailbox, number);
        let longer = target.sheets.take_longer(number);
        Ok(match target.sheets.taken.entry(number) {
            Entry::Occupied(taken) => taken.into_mut(),
            Entry::Vacant(place) => {
                let mut messages = Vec::with_capacity(SHEET_UIDS as usize);
                let changed = longer.is_some();
                let octets = match longer {
                    Some(octets) => Some(octets.into()),
                    None => self.newest(Class::Mail, &key)?,
                };
                if let Some(octets) = octets {
                    record::read_sheet(number, &octets, &mut messages)?;
                }
                place.insert(Sheet { messages, changed })
            }
        })
    }

    /// Adds a message, whose UID is above all others, to its sheet.
    pub(super) fn add_flags(
        &self,
        target: &mut Box,
        message: MessageFlags,
    ) -> Result<(), StoreError> {
        let number = sheet_of(message.uid);
        if let Some(sheet) = target.sheets.taken.get_mut(&number) {
            sheet.add(message);
            return Ok(());
        }
        let octets: Bytes = match target.sheets.take_longer(number) {
            Some(octets) => octets.into(),
            // The first UID that it is for: it was never written.
            None if message.uid.get() == (number * SHEET_UIDS).max(1) => Bytes::new(),
            None => {
                let key = keys::sheet(target.account, target.mailbox, number);
                self.newest(Class::Mail, &key)?.unwrap_or_default()
            }
        };
        let longer = record::longer_sheet(number, &octets, &message)?;
        target.sheets.longer.push((number, longer));
        Ok(())
    }

    /// Takes all sheets of a mailbox that was last changed before there were any: what they have
    /// to say stands in the rows of the messages. They are written with the next change.
    pub(super) fn begin_sheets(&self, target: &mut Box) -> Result<(), StoreError> {
        let (account, mailbox) = (target.account, target.mailbox);
        let sheets = &mut target.sheets.taken;
        self.each_message(Seen::Newest, account, mailbox, UidRange::ALL, |row| {
            let sheet = sheets.entry(sheet_of(row.uid)).or_default();
            sheet.messages.push(row.flags());
            sheet.changed = true;
            Ok(true)
        })?;
        target.counters.sheets = true;
        Ok(())
    }

    /// Calls `each` with the flags of the messages with these UIDs (ascending), until it fails.
    /// Whatever it changes in them is written, if it says that it did.
    pub(super) fn each_flags_of(
        &self,
        target: &mut Box,
        uids: &[Uid],
        mut each: impl FnMut(&mut MessageFlags) -> bool,
    ) -> Result<(), StoreError> {
        for uids in uids.chunk_by(|one, next| sheet_of(*one) == sheet_of(*next)) {
            let sheet = self.sheet(target, sheet_of(uids[0]))?;
            let mut messages = sheet.messages.iter_mut().peekable();
            for &uid in uids {
                while messages.next_if(|message| message.uid < uid).is_some() {}
                if let Some(message) = messages.next_if(|message| message.uid == uid) {
                    sheet.changed |= each(message);
                }
            }
        }
        Ok(())
    }

    /// Calls `each` for the flags of the messages of a range, ascending, until it returns `false`.
    pub(super) fn each_flags(
        &self,
        seen: Seen,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        mut each: impl FnMut(&MessageFlags) -> bool,
    ) -> Result<(), StoreError> {
        let is_in =
            |message: &&MessageFlags| message.uid >= range.first && message.uid <= range.last;
        self.each_sheet(seen, account, mailbox, range, |_, messages| {
            messages.iter().filter(is_in).all(&mut each)
        })
    }

    /// Calls `each` for the sheets on which messages of a range are, ascending, until it returns
    /// `false`.
    pub(super) fn each_sheet(
        &self,
        seen: Seen,
        account: AccountId,
        mailbox: MailboxId,
        range: UidRange,
        mut each: impl FnMut(u32, &[MessageFlags]) -> bool,
    ) -> Result<(), StoreError> {
        let (first, last) = (sheet_of(range.first), sheet_of(range.last));
        let from = keys::sheet(account, mailbox, first);
        let mut messages = Vec::with_capacity(SHEET_UIDS as usize);
        if first == last {
            // The flags of one message: to look is cheaper than to search.
            if let Some(octets) = self.keeper.get(seen, Class::Mail, &from)? {
                record::read_sheet(first, &octets, &mut messages)?;
                each(first, &messages);
            }
            return Ok(());
        }
        let until = keys::next(&keys::sheet(account, mailbox, last));
        self.span(seen, Class::Mail, &from, &until, |key, value| {
            let number =
                keys::read_sheet_number(key).ok_or_else(|| damaged_key(Class::Mail, key))?;
            messages.clear();
            record::read_sheet(number, value, &mut messages)?;
            Ok(each(number, &messages))
        })
    }
}

impl Sheets {
    /// A sheet that has only got new messages, and is not there any more from here on.
    fn take_longer(&mut self, number: u32) -> Option<Vec<u8>> {
        let (last, _) = self.longer.last()?;
        if *last == number {
            return self.longer.pop().map(|(_, octets)| octets);
        }
        let at = self.longer.iter().position(|(known, _)| *known == number)?;
        Some(self.longer.remove(at).1)
    }

    /// Writes the sheets that were changed.
    pub(super) fn put(&mut self, batch: &mut Batch, account: AccountId, mailbox: MailboxId) {
        for (number, octets) in self.longer.drain(..) {
            batch.put(Class::Mail, &keys::sheet(account, mailbox, number), &octets);
        }
        for (&number, sheet) in &mut self.taken {
            if !std::mem::take(&mut sheet.changed) {
                continue;
            }
            let key = keys::sheet(account, mailbox, number);
            if sheet.messages.is_empty() {
                batch.remove(Class::Mail, &key);
            } else {
                let octets = record::write_sheet(number, &sheet.messages);
                batch.put(Class::Mail, &key, &octets);
            }
        }
    }
}

impl Sheet {
    /// Adds a message, whose UID is above all others.
    fn add(&mut self, message: MessageFlags) {
        self.messages.push(message);
        self.changed = true;
    }

    /// Takes messages away, whose UIDs ascend.
    pub(super) fn remove(&mut self, uids: &[Uid]) {
        let before = self.messages.len();
        self.messages
            .retain(|message| uids.binary_search(&message.uid).is_err());
        self.changed |= self.messages.len() < before;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use mail::{Flags, ModSeq, Time};

    use super::*;
    use crate::{
        Config, DiskStore,
        port::{
            AccountChange, Accounts, Changes, Entry, Fence, FlagChange, FlagsHow, Leases,
            MailStore, MessageRow, NewAccount, Quota, Shard,
        },
    };

    struct Bench {
        store: DiskStore,
        fence: Fence,
        ann: AccountId,
        inbox: MailboxId,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        async fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let ticks = AtomicU64::new(1_800_000_000_000);
            let clock = Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)));
            let config = Config {
                reserve_octets: 0,
                ..Config::new(folder.path())
            };
            let store = DiskStore::open(config, clock).unwrap();
            let address = "ann@example.test".parse().unwrap();
            let changes = vec![
                AccountChange::AddDomain("example.test".parse().unwrap()),
                AccountChange::AddAccount(NewAccount {
                    address,
                    password: None,
                    quota: Quota::default(),
                }),
            ];
            let fence = store.fence(Shard::of_account(AccountId(1))).unwrap();
            store.change(fence, changes).await.unwrap();
            let domain = "example.test".parse().unwrap();
            let Some(Entry::Account(ann)) = store.entry("ann", &domain).unwrap() else {
                panic!("ann has an account");
            };
            let inbox = store.mailbox_named(ann, "INBOX").unwrap().unwrap().id;
            Self {
                fence: store.fence(Shard::of_account(ann)).unwrap(),
                store,
                ann,
                inbox,
                _folder: folder,
            }
        }

        async fn append(&self, flags: Flags) {
            let mut writer = MailStore::draft(&self.store);
            let _ = writer.write(Bytes::from_static(b"x")); // too little to be spilled
            let message = (writer.finish(), flags, vec![], Time(1));
            let done = self
                .store
                .append(self.fence, self.ann, self.inbox, vec![message]);
            done.await.unwrap();
        }

        async fn flag(&self, uids: impl Iterator<Item = u32>, flags: Flags) {
            let change = FlagChange {
                how: FlagsHow::Add,
                flags,
                keywords: vec![],
            };
            let uids = uids.filter_map(Uid::new).collect();
            let done = self
                .store
                .flag(self.fence, self.ann, self.inbox, uids, change, None);
            done.await.unwrap();
        }

        fn messages(&self) -> Vec<MessageRow> {
            let mut rows = Vec::new();
            let mut each = |row: &MessageRow| {
                rows.push(*row);
                true
            };
            let all = UidRange::ALL;
            let read = self.store.messages(self.ann, self.inbox, all, &mut each);
            read.unwrap();
            rows
        }

        fn flags(&self) -> Vec<MessageFlags> {
            let mut flags = Vec::new();
            let mut each = |message: &MessageFlags| {
                flags.push(*message);
                true
            };
            let all = UidRange::ALL;
            let read = self.store.flags(self.ann, self.inbox, all, &mut each);
            read.unwrap();
            flags
        }

        fn changes(&self, since: ModSeq) -> Changes {
            let changes = self.store.changes(self.ann, self.inbox, since);
            changes.unwrap().unwrap()
        }

        /// Writes the mailbox as it was written before there were sheets.
        async fn age(&self) {
            let (ann, inbox) = (self.ann, self.inbox);
            let mut batch = self.store.begin();
            for row in self.messages() {
                let key = keys::message(ann, inbox, row.uid.get());
                let octets = record::write_message(&row, row.modseq);
                batch.put(Class::Mail, &key, &octets);
                batch.remove(Class::Mail, &keys::sheet(ann, inbox, sheet_of(row.uid)));
            }
            let mut counters = self.store.counters(ann, inbox).unwrap();
            counters.sheets = false;
            let key = keys::counters(ann, inbox);
            batch.put(Class::Mail, &key, &record::write_counters(&counters));
            self.store.commit(batch, ()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_mailbox_from_before_there_were_sheets_gets_them_with_its_next_change() {
        let bench = Bench::open().await;
        for number in 0..300 {
            let flags = if number % 3 == 0 {
                Flags::DRAFT
            } else {
                Flags::NONE
            };
            bench.append(flags).await;
        }
        bench.flag(100..150, Flags::SEEN).await;
        let (messages, flags) = (bench.messages(), bench.flags());
        bench.age().await;
        assert_eq!(bench.store.check().unwrap().damage, [""; 0]);
        assert_eq!((bench.messages(), bench.flags()), (messages, flags.clone()));
        assert_eq!(bench.changes(ModSeq(0)).changed, flags);
        let since = flags.iter().map(|message| message.modseq).max().unwrap();
        bench.flag(7..8, Flags::FLAGGED).await;
        assert_eq!(bench.store.check().unwrap().damage, [""; 0]);
        let changed = bench.changes(since).changed;
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].flags, Flags::DRAFT | Flags::FLAGGED);
        let mut expected = flags;
        expected[6] = changed[0];
        assert_eq!(bench.flags(), expected);
        let rows = bench.messages();
        assert!(rows.iter().map(MessageRow::flags).eq(expected));
        let key = keys::sheet(bench.ann, bench.inbox, 2);
        let sheet = bench.store.durable(Class::Mail, &key).unwrap();
        assert!(sheet.is_some(), "sheets were written for all of it");
    }
}
