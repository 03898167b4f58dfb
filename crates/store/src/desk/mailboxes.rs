//! Mailboxes: what creating, deleting, renaming and subscribing change.

use mail::{AccountId, MailboxId, ModSeq, Time, Uid, UidValidity};

use super::store::{Store, damaged_key, missing};
use crate::{
    StoreError,
    batch::Batch,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Fence, MailboxRow, MessageRow, NewMailbox, Pending, UidRange},
    record::{self, Counters, Mailbox, Owner},
};

impl<K: Keeper> Store<K> {
    pub(super) fn mailbox_rows(&self, account: AccountId) -> Result<Vec<MailboxRow>, StoreError> {
        let mut rows = Vec::new();
        for (_, mailbox) in self.names(Seen::Durable, account)? {
            // One that went away between the two reads is left out.
            rows.extend(self.mailbox_row(account, mailbox)?);
        }
        Ok(rows)
    }

    pub(super) fn mailbox_row_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<MailboxRow>, StoreError> {
        match self.durable(Class::Mail, &keys::name(account, &canonical(name)))? {
            Some(octets) => self.mailbox_row(account, MailboxId(record::read_number(&octets)?)),
            None => Ok(None),
        }
    }

    pub(super) fn mailbox_row(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<MailboxRow>, StoreError> {
        let counters = self.durable(Class::Mail, &keys::counters(account, mailbox))?;
        let record = self.durable(Class::Mail, &keys::mailbox(account, mailbox))?;
        let (Some(counters), Some(record)) = (counters, record) else {
            return Ok(None);
        };
        let counters = record::read_counters(&counters)?;
        let record = record::read_mailbox(&record)?;
        Ok(Some(row(mailbox, record, &counters)))
    }

    pub(super) fn mailbox_record(
        &self,
        seen: Seen,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Mailbox, StoreError> {
        let key = keys::mailbox(account, mailbox);
        match self.keeper.get(seen, Class::Mail, &key)? {
            Some(octets) => record::read_mailbox(&octets),
            None => Err(missing(format!("mailbox {mailbox} of account {account}"))),
        }
    }

    pub(super) fn subscribed(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        let prefix = keys::of_account(b's', account);
        self.each(Seen::Durable, Class::Mail, &prefix, |key, _| {
            let name = keys::read_name(key).ok_or_else(|| damaged_key(Class::Mail, key))?;
            names.push(name.to_owned());
            Ok(true)
        })?;
        Ok(names)
    }

    /// The names of an account's mailboxes with their numbers, ascending by name.
    pub(super) fn names(
        &self,
        seen: Seen,
        account: AccountId,
    ) -> Result<Vec<(String, MailboxId)>, StoreError> {
        let mut names = Vec::new();
        let prefix = keys::of_account(b'n', account);
        self.each(seen, Class::Mail, &prefix, |key, value| {
            let name = keys::read_name(key).ok_or_else(|| damaged_key(Class::Mail, key))?;
            names.push((name.to_owned(), MailboxId(record::read_number(value)?)));
            Ok(true)
        })?;
        Ok(names)
    }

    pub(super) fn try_create(
        &self,
        fence: Fence,
        account: AccountId,
        new: NewMailbox,
    ) -> Result<Pending<MailboxRow>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let name = canonical(&new.name);
        check_name(&name)?;
        if self.named(account, &name)?.is_some() {
            return Err(exists(&name));
        }
        let mut owner = self.owner(account)?;
        self.create_above(&mut batch, account, &mut owner, &name, &[])?;
        let record = Mailbox {
            name: name.clone(),
            special_use: new.special_use,
            keywords: Vec::new(),
            created: self.keeper.now(),
        };
        let (mailbox, counters) = create(&mut batch, account, &mut owner, &record)?;
        batch.put(
            Class::Mail,
            &keys::owner(account),
            &record::write_owner(owner),
        );
        if new.subscribe {
            let key = keys::subscription(account, &name);
            batch.put(Class::Mail, &key, &record::MARK);
        }
        Ok(self.commit(batch, row(mailbox, record, &counters)))
    }

    pub(super) fn try_delete(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Pending<()>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let record = self.mailbox_record(Seen::Newest, account, mailbox)?;
        if record.name == INBOX {
            return Err(exists(INBOX));
        }
        self.uncount_box(&mut batch, account, mailbox)?;
        remove(&mut batch, account, mailbox, &record.name);
        Ok(self.commit(batch, ()))
    }

    pub(super) fn try_rename(
        &self,
        fence: Fence,
        account: AccountId,
        mailbox: MailboxId,
        to: &str,
    ) -> Result<Pending<()>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let record = self.mailbox_record(Seen::Newest, account, mailbox)?;
        let to = canonical(to);
        check_name(&to)?;
        if self.named(account, &to)?.is_some() {
            return Err(exists(&to));
        }
        let mut owner = self.owner(account)?;
        if record.name == INBOX {
            self.create_above(&mut batch, account, &mut owner, &to, &[])?;
            self.empty_inbox(&mut batch, account, mailbox, &mut owner, to)?;
        } else {
            let moved = self.moved(account, &record.name, &to)?;
            for (before, _, mailbox) in &moved {
                batch.remove(Class::Mail, &keys::name(account, before));
                debug_assert_ne!(before, INBOX, "INBOX {mailbox} is below nothing");
            }
            let gone: Vec<&str> = moved.iter().map(|(before, ..)| before.as_str()).collect();
            self.create_above(&mut batch, account, &mut owner, &to, &gone)?;
            for (_, after, mailbox) in &moved {
                let mut record = self.mailbox_record(Seen::Newest, account, *mailbox)?;
                record.name.clone_from(after);
                let octets = record::write_mailbox(&record)?;
                batch.put(Class::Mail, &keys::mailbox(account, *mailbox), &octets);
                let number = record::write_number(mailbox.0);
                batch.put(Class::Mail, &keys::name(account, after), &number);
            }
        }
        batch.put(
            Class::Mail,
            &keys::owner(account),
            &record::write_owner(owner),
        );
        Ok(self.commit(batch, ()))
    }

    pub(super) fn try_subscribe(
        &self,
        fence: Fence,
        account: AccountId,
        name: &str,
        on: bool,
    ) -> Result<Pending<()>, StoreError> {
        let _account = self.desk.locks.account(account);
        let mut batch = self.begin_as(fence)?;
        let name = canonical(name);
        check_name(&name)?;
        self.owner(account)?;
        let key = keys::subscription(account, &name);
        match (self.newest(Class::Mail, &key)?.is_some(), on) {
            (false, true) => batch.put(Class::Mail, &key, &record::MARK),
            (true, false) => batch.remove(Class::Mail, &key),
            (false, false) | (true, true) => {}
        }
        Ok(self.commit(batch, ()))
    }

    /// Gives the messages of INBOX to a new mailbox (RFC 3501 §6.3.5).
    fn empty_inbox(
        &self,
        batch: &mut Batch,
        account: AccountId,
        inbox: MailboxId,
        owner: &mut Owner,
        name: String,
    ) -> Result<(), StoreError> {
        let before = self.mailbox_record(Seen::Newest, account, inbox)?;
        let record = Mailbox {
            name,
            special_use: None,
            // The same bits mean the same words there.
            keywords: before.keywords,
            created: self.keeper.now(),
        };
        let (mailbox, counters) = create(batch, account, owner, &record)?;
        let mut source = self.open_box(account, inbox)?;
        let mut rows: Vec<MessageRow> = Vec::new();
        self.each_message(Seen::Newest, account, inbox, UidRange::ALL, |row| {
            rows.push(row);
            Ok(true)
        })?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut target = super::opened::Box::fresh(account, mailbox, counters);
        for row in &rows {
            self.add_kept(batch, &mut target, *row)?;
        }
        target.put(batch);
        self.remove_rows(batch, &mut source, &rows)?;
        source.put(batch);
        Ok(())
    }

    /// What a renaming moves: names before and after, and numbers.
    fn moved(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
    ) -> Result<Vec<(String, String, MailboxId)>, StoreError> {
        let names = self.names(Seen::Newest, account)?;
        let mut moved = Vec::new();
        for (name, mailbox) in &names {
            let rest = match name.strip_prefix(from) {
                Some(rest) if rest.is_empty() || rest.starts_with(SEPARATOR) => rest,
                _ => continue,
            };
            let after = format!("{to}{rest}");
            check_name(&after)?;
            moved.push((name.clone(), after, *mailbox));
        }
        let stays = |name: &str| !moved.iter().any(|(before, ..)| before == name);
        for (_, after, _) in &moved {
            if names.iter().any(|(name, _)| name == after && stays(name)) {
                return Err(exists(after));
            }
        }
        Ok(moved)
    }

    /// Creates the mailboxes above a name that are missing; those named in `gone` are.
    fn create_above(
        &self,
        batch: &mut Batch,
        account: AccountId,
        owner: &mut Owner,
        name: &str,
        gone: &[&str],
    ) -> Result<(), StoreError> {
        for (at, _) in name.match_indices(SEPARATOR) {
            let above = &name[..at];
            if above.is_empty() || (self.named(account, above)?.is_some() && !gone.contains(&above))
            {
                continue;
            }
            let record = Mailbox {
                name: above.to_owned(),
                special_use: None,
                keywords: Vec::new(),
                created: self.keeper.now(),
            };
            create(batch, account, owner, &record)?;
        }
        Ok(())
    }

    /// The mailbox of that name as it stands, in whatever case INBOX is written.
    pub(super) fn numbered(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<MailboxId>, StoreError> {
        self.named(account, &canonical(name))
    }

    fn named(&self, account: AccountId, name: &str) -> Result<Option<MailboxId>, StoreError> {
        let octets = self.newest(Class::Mail, &keys::name(account, name))?;
        octets
            .map(|octets| record::read_number(&octets).map(MailboxId))
            .transpose()
    }

    fn owner(&self, account: AccountId) -> Result<Owner, StoreError> {
        match self.newest(Class::Mail, &keys::owner(account))? {
            Some(octets) => record::read_owner(&octets),
            None => Err(missing(format!("account {account}"))),
        }
    }
}

/// The rows of a new account's mailboxes: an INBOX, and nothing else.
pub(super) fn create_inbox(
    batch: &mut Batch,
    account: AccountId,
    now: Time,
) -> Result<(), StoreError> {
    let mut owner = Owner {
        next_mailbox: INBOX_NUMBER.0,
        last_validity: 0,
    };
    let record = Mailbox {
        name: INBOX.to_owned(),
        special_use: None,
        keywords: Vec::new(),
        created: now,
    };
    create(batch, account, &mut owner, &record)?;
    let owner = record::write_owner(owner);
    batch.put_fresh(Class::Mail, &keys::owner(account), &owner);
    Ok(())
}

/// The rows of a new mailbox; the owner's is for the caller to write.
fn create(
    batch: &mut Batch,
    account: AccountId,
    owner: &mut Owner,
    record: &Mailbox,
) -> Result<(MailboxId, Counters), StoreError> {
    let mailbox = MailboxId(owner.next_mailbox);
    owner.next_mailbox = owner
        .next_mailbox
        .checked_add(1)
        .ok_or_else(|| missing("a mailbox number that is not used"))?;
    // Seconds of the creation, but above every other of the account: a name that comes back,
    // in whatever way, never comes back with a generation that it had (RFC 3501 §2.3.1.1).
    let seconds = u32::try_from(record.created.seconds()).unwrap_or(u32::MAX);
    let validity = seconds.max(owner.last_validity.saturating_add(1));
    owner.last_validity = validity;
    let counters = Counters {
        uid_validity: UidValidity::new(validity).ok_or_else(|| missing("a UIDVALIDITY"))?,
        uid_next: Uid::FIRST,
        recent_from: Uid::FIRST,
        messages: 0,
        unseen: 0,
        deleted: 0,
        octets: 0,
        highest: ModSeq(1),
        log_from: ModSeq(0),
        log_rows: 0,
        sheets: true,
    };
    batch.put_fresh(
        Class::Mail,
        &keys::mailbox(account, mailbox),
        &record::write_mailbox(record)?,
    );
    batch.put_fresh(
        Class::Mail,
        &keys::counters(account, mailbox),
        &record::write_counters(&counters),
    );
    let number = record::write_number(mailbox.0);
    batch.put(Class::Mail, &keys::name(account, &record.name), &number);
    Ok((mailbox, counters))
}

/// Takes a mailbox away; its messages are purged later, a few at a time.
pub(super) fn remove(batch: &mut Batch, account: AccountId, mailbox: MailboxId, name: &str) {
    batch.remove(Class::Mail, &keys::mailbox(account, mailbox));
    batch.remove(Class::Mail, &keys::counters(account, mailbox));
    batch.remove(Class::Mail, &keys::name(account, name));
    batch.put_fresh(Class::Mail, &keys::purge(account, mailbox), &record::MARK);
}

fn row(id: MailboxId, record: Mailbox, counters: &Counters) -> MailboxRow {
    MailboxRow {
        id,
        name: record.name,
        uid_validity: counters.uid_validity,
        uid_next: counters.uid_next,
        highest_modseq: counters.highest,
        messages: counters.messages,
        unseen: counters.unseen,
        deleted: counters.deleted,
        octets: counters.octets,
        recent_from: counters.recent_from,
        special_use: record.special_use,
        keywords: record.keywords,
        created: record.created,
    }
}

/// `INBOX` in whatever case, alone or above others, is `INBOX` (RFC 3501 §5.1).
fn canonical(name: &str) -> String {
    let (first, rest) = match name.split_once(SEPARATOR) {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    match rest {
        _ if !first.eq_ignore_ascii_case(INBOX) => name.to_owned(),
        Some(rest) => format!("{INBOX}{SEPARATOR}{rest}"),
        None => INBOX.to_owned(),
    }
}

fn check_name(name: &str) -> Result<(), StoreError> {
    if name.is_empty() {
        return Err(missing("a mailbox without a name"));
    }
    if name.len() > NAME_OCTETS_MAX {
        return Err(StoreError::TooLarge {
            what: "a mailbox name".to_owned(),
        });
    }
    Ok(())
}

fn exists(name: &str) -> StoreError {
    StoreError::Exists {
        what: format!("mailbox {name}"),
    }
}

pub(super) const INBOX: &str = "INBOX";

/// Every account's INBOX is its first mailbox, and neither goes nor gets another name.
pub(super) const INBOX_NUMBER: MailboxId = MailboxId(1);

const SEPARATOR: char = '/';

/// Far above what clients make, far below what a key of the directory holds.
const NAME_OCTETS_MAX: usize = 4096;
