//! Checking the store: checksums, digests, references, counters, the order of numbers.

use std::collections::BTreeMap;

use mail::{AccountId, Flags, MailboxId, Uid};

use super::{
    keeper::{Local, Shared},
    progress::{self, Progress, Stage, Teller},
    report::Opened,
};
use crate::{
    StoreError,
    desk::Store,
    directory::Partitions,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{BodyRef, Entry, MessageFlags},
    record,
};

mod files;

/// What a check has found. It is whole if `damage` is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Segments of the journal that were read.
    pub segments: usize,
    /// Frames in them.
    pub frames: u64,
    /// Checkpoints that were read.
    pub checkpoints: usize,
    /// Rows of the directory.
    pub rows: u64,
    /// Domains whose mail is ours.
    pub domains: u64,
    /// Accounts.
    pub accounts: u64,
    /// Mailboxes of them.
    pub mailboxes: u64,
    /// Messages in mailboxes.
    pub messages: u64,
    /// Messages in the spool, those that are set aside included.
    pub spooled: u64,
    /// Bodies that are referred to, each read and compared with its digest.
    pub bodies: u64,
    /// Octets of them.
    pub octets: u64,
    /// Messages that are set aside (SX). They are whole, and no damage.
    pub aside: u64,
    /// All that is not as it should be, each with its place.
    pub damage: Vec<String>,
}

impl Store<Local> {
    /// Looks at everything. It says the truth only while nobody writes.
    ///
    /// # Errors
    /// When the disk refuses to be read.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        self.check_telling(&progress::nobody())
    }

    /// The same, telling how far it has come.
    ///
    /// # Errors
    /// When the disk refuses to be read.
    pub fn check_telling(&self, teller: &Teller) -> Result<CheckReport, StoreError> {
        let shared = &*self.keeper.shared()?;
        let mut check = Check {
            shared,
            teller,
            report: CheckReport::default(),
            bodies: BTreeMap::new(),
            refs: BTreeMap::new(),
            live: BTreeMap::new(),
            boxes: BTreeMap::new(),
            waiting: BTreeMap::new(),
            spooled: BTreeMap::new(),
            limited: BTreeMap::new(),
            lists: false,
        };
        check.journal()?;
        check.checkpoints()?;
        for partition in 0..shared.partitions.count() {
            check.partition(partition)?;
        }
        check.domains()?;
        check.listed();
        check.counts();
        check.bodies(&self.keeper);
        Ok(check.report)
    }
}

impl CheckReport {
    /// Adds what opening the store came upon, as far as the check does not say the same and more.
    pub fn add_opening(&mut self, opened: &Opened) {
        let is_known = |what: &String| {
            let same = |found: &String| {
                let rest = found.strip_prefix(what.as_str());
                rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
            };
            self.damage.iter().any(same)
        };
        let mut damage = opened.damage.clone();
        damage.retain(|what| !is_known(what));
        self.damage.splice(0..0, damage);
    }
}

struct Check<'a> {
    shared: &'a Shared,
    teller: &'a Teller,
    report: CheckReport,
    /// Bodies by number: octets, and how many rows refer to them.
    bodies: BTreeMap<u64, (u64, u32)>,
    refs: BTreeMap<u64, record::Refs>,
    live: BTreeMap<u32, u64>,
    boxes: BTreeMap<(AccountId, MailboxId), Counted>,
    /// Due rows by domain, and what the count says.
    waiting: BTreeMap<Vec<u8>, (u64, u64)>,
    /// What is known of each message in the spool: recipients, and whether it is counted.
    spooled: BTreeMap<u128, (bool, bool)>,
    /// Whether an account is limited, and whether it is listed as such.
    limited: BTreeMap<AccountId, (bool, bool)>,
    lists: bool,
}

#[derive(Default)]
struct Counted {
    counters: Option<record::Counters>,
    messages: u32,
    octets: u64,
    last: Option<Uid>,
    purged: bool,
    /// What the messages' own rows say.
    rows: Flagged,
    /// What the sheets say.
    sheets: Flagged,
}

/// Flags as a table of the directory has them.
#[derive(Default)]
struct Flagged {
    unseen: u32,
    deleted: u32,
    /// Whose flags they are: spans of UIDs.
    uids: Vec<(u32, u32)>,
}

impl Flagged {
    fn count(&mut self, message: &MessageFlags) {
        self.unseen += u32::from(!message.flags.contains(Flags::SEEN));
        self.deleted += u32::from(message.flags.contains(Flags::DELETED));
        let uid = message.uid.get();
        match self.uids.last_mut() {
            Some((_, last)) if *last + 1 == uid => *last = uid,
            _ => self.uids.push((uid, uid)),
        }
    }
}

impl Check<'_> {
    fn partition(&mut self, partition: usize) -> Result<(), StoreError> {
        let class = Partitions::class(partition);
        let shared = self.shared;
        shared
            .scan(Seen::Durable, partition, b"A", b"~", &mut |key, value| {
                self.report.rows += 1;
                if self.row(class, key, value).is_none() {
                    self.bad(format!("the row {key:02x?} of class {class:?}"));
                }
                true
            })
            .map(|_| ())
    }

    /// `None` for a row that cannot be read.
    fn row(&mut self, class: Class, key: &[u8], value: &[u8]) -> Option<()> {
        match (class, key[0]) {
            (Class::House, b'd') => {
                record::is_record(value).then_some(())?;
                self.report.domains += 1;
            }
            (Class::House, b'e') => drop(record::read_entry(value).ok()?),
            (Class::House, b'q') => drop(record::read_quota(value).ok()?),
            (Class::House, b'i') => {
                let id = keys::read_account(key)?;
                if record::read_account(id, value).ok()?.quota.is_limit() {
                    self.limited.entry(id).or_default().0 = true;
                }
                self.report.accounts += 1;
            }
            (Class::House, b'j') => self.lists = record::is_record(value),
            (Class::House, b'l') => {
                record::is_record(value).then_some(())?;
                self.limited.entry(keys::read_account(key)?).or_default().1 = true;
            }
            (Class::Queue, b'S' | b'X') => {
                let head = record::read_spooled_head(value).ok()?;
                record::read_spooled(value).ok()?;
                self.refer(head.body);
                let id = keys::read_message_id(key)?;
                self.spooled.entry(id.0).or_default().0 = true;
                self.report.spooled += 1;
            }
            (Class::Queue, b'O' | b'P') => {
                record::read_remaining(value).ok()?;
                let id = keys::read_message_id(key)?;
                self.spooled.entry(id.0).or_default().1 = true;
            }
            (Class::Queue, b'Y') => {
                record::read_aside(value).ok()?;
                let id = keys::read_message_id(key)?;
                self.spooled.entry(id.0).or_default().1 = true;
                self.report.aside += 1;
            }
            (Class::Queue, b'R') => drop(record::read_recipient(value).ok()?),
            (Class::Queue, b'D') => {
                record::read_due(value).ok()?;
                let end = key.iter().position(|&octet| octet == 0)?;
                self.waiting.entry(key[1..end].to_vec()).or_default().0 += 1;
            }
            (Class::Queue, b'N') => {
                let count = record::read_count(value).ok()?;
                self.waiting.entry(key[1..].to_vec()).or_default().1 = count;
            }
            (Class::Blobs, b'B') => {
                let number = u64::from_be_bytes(*key.last_chunk()?);
                let refs = record::read_refs(value).ok()?;
                self.refs.insert(number, refs);
            }
            (Class::Blobs, b'L') => {
                let segment = u32::from_be_bytes(*key.last_chunk()?);
                self.live.insert(segment, record::read_count(value).ok()?);
            }
            (Class::Mail, b'a') => drop(record::read_owner(value).ok()?),
            (Class::Mail, b'b') => drop(record::read_mailbox(value).ok()?),
            (Class::Mail, b'c') => {
                let counters = record::read_counters(value).ok()?;
                self.counted(key)?.counters = Some(counters);
                self.report.mailboxes += 1;
            }
            (Class::Mail, b'p') => self.counted(key)?.purged = true,
            (Class::Mail, b'u') => {
                let uid = keys::read_uid(key)?;
                let (row, _) = record::read_message(uid, value).ok()?;
                self.refer(row.body);
                self.report.messages += 1;
                let counted = self.counted(key)?;
                counted.messages += 1;
                counted.rows.count(&row.flags());
                counted.octets += row.body.octets;
                counted.last = Some(uid);
            }
            (Class::Mail, b'v') => drop(record::read_change(value).ok()?),
            (Class::Mail, b'w') => {
                let mut messages = Vec::new();
                record::read_sheet(keys::read_sheet_number(key)?, value, &mut messages).ok()?;
                let counted = self.counted(key)?;
                messages.iter().for_each(|m| counted.sheets.count(m));
            }
            _ => record::is_record(value).then_some(())?,
        }
        Some(())
    }

    /// What limited domains hold, and nobody else is counted.
    fn domains(&mut self) -> Result<(), StoreError> {
        let (shared, class) = (self.shared, Class::House);
        let Some(house) = shared.overlay.partition(class, b"q") else {
            return Ok(());
        };
        let rows = |table: &[u8]| {
            let mut found = BTreeMap::new();
            let until = keys::after(table);
            shared.scan(Seen::Durable, house, table, &until, &mut |key, value| {
                found.insert(key[1..].to_vec(), value.to_vec());
                true
            })?;
            Ok::<_, StoreError>(found)
        };
        let (limited, octets, messages) = (rows(b"q")?, rows(b"o")?, rows(b"m")?);
        let counted = |table: &BTreeMap<Vec<u8>, Vec<u8>>, domain: &[u8]| {
            table
                .get(domain)
                .map_or(Some(0), |row| record::read_count(row).ok())
        };
        for domain in limited.keys() {
            let held = self.held_in(house, domain)?;
            let found = counted(&octets, domain).zip(counted(&messages, domain));
            if found != Some(held) {
                let domain = String::from_utf8_lossy(domain).into_owned();
                self.bad(format!(
                    "what domain {domain} holds: {found:?} for {held:?}"
                ));
            }
        }
        for domain in octets.keys().chain(messages.keys()) {
            if !limited.contains_key(domain) {
                let domain = String::from_utf8_lossy(domain).into_owned();
                self.bad(format!("domain {domain} is counted without a limit"));
            }
        }
        Ok(())
    }

    /// Octets and messages of the accounts of a domain.
    fn held_in(&self, house: usize, domain: &[u8]) -> Result<(u64, u64), StoreError> {
        let prefix = [b"e", domain, b"\0"].concat();
        let until = keys::after(&prefix);
        let mut ids = Vec::new();
        let shared = self.shared;
        shared.scan(Seen::Durable, house, &prefix, &until, &mut |_, value| {
            if let Ok(Entry::Account(id)) = record::read_entry(value) {
                ids.push(id);
            }
            true
        })?;
        let of = |id| (id, MailboxId(0))..=(id, MailboxId(u32::MAX));
        let boxes = ids.into_iter().flat_map(|id| self.boxes.range(of(id)));
        let counters = boxes.filter_map(|(_, counted)| counted.counters.as_ref());
        Ok(counters.fold((0, 0), |(octets, messages), counters| {
            (
                octets + counters.octets,
                messages + u64::from(counters.messages),
            )
        }))
    }

    fn counted(&mut self, key: &[u8]) -> Option<&mut Counted> {
        let place = (keys::read_account(key)?, keys::read_mailbox(key)?);
        Some(self.boxes.entry(place).or_default())
    }

    fn refer(&mut self, body: BodyRef) {
        let known = self.bodies.entry(body.blob).or_insert((body.octets, 0));
        known.1 += 1;
        if known.0 != body.octets {
            self.bad(format!("body {} has two lengths", body.blob));
        }
    }

    /// Whoever is limited is listed, and nobody else, if that is done.
    fn listed(&mut self) {
        for (account, (limited, listed)) in std::mem::take(&mut self.limited) {
            if listed != (limited && self.lists) {
                self.bad(format!("whether account {account} is limited"));
            }
        }
    }

    fn counts(&mut self) {
        for ((account, mailbox), counted) in std::mem::take(&mut self.boxes) {
            let what = format!("mailbox {mailbox} of account {account}");
            match counted.counters {
                Some(c) => {
                    if c.sheets && counted.rows.uids != counted.sheets.uids {
                        self.bad(format!("the messages and the flags of {what}"));
                    }
                    let flags = match c.sheets {
                        true => &counted.sheets,
                        false => &counted.rows,
                    };
                    let found = (
                        counted.messages,
                        flags.unseen,
                        flags.deleted,
                        counted.octets,
                    );
                    if found != (c.messages, c.unseen, c.deleted, c.octets) {
                        self.bad(format!("the counters of {what}"));
                    }
                    if counted.last.is_some_and(|last| last >= c.uid_next) {
                        self.bad(format!("the next UID of {what}"));
                    }
                }
                None if !counted.purged => self.bad(format!("{what} has messages and no counters")),
                None => {}
            }
        }
        for (domain, (rows, count)) in std::mem::take(&mut self.waiting) {
            if rows != count {
                let domain = String::from_utf8_lossy(&domain).into_owned();
                self.bad(format!(
                    "{count} recipients of {domain} are counted, {rows} are there"
                ));
            }
        }
        for (id, (message, count)) in std::mem::take(&mut self.spooled) {
            if !message || !count {
                self.bad(format!("message {} is there in part", mail::MessageId(id)));
            }
        }
        let mut live: BTreeMap<u32, u64> = BTreeMap::new();
        for (number, refs) in std::mem::take(&mut self.refs) {
            for (segment, octets) in &refs.spans {
                *live.entry(*segment).or_default() += octets;
            }
            let found = self.bodies.get(&number).map_or(0, |(_, count)| *count);
            if found != refs.refs {
                self.bad(format!(
                    "body {number} has {found} references, {} are counted",
                    refs.refs
                ));
            }
        }
        if live != self.live {
            self.bad("the live octets of segments".to_owned());
        }
    }

    fn bodies(&mut self, keeper: &Local) {
        let bodies = std::mem::take(&mut self.bodies);
        let total = bodies.len();
        for (done, (blob, (octets, _))) in (1..).zip(bodies) {
            if done % TELL_BODIES == 0 || done == total as u64 {
                self.tell(Stage::Bodies, done, total);
            }
            self.report.bodies += 1;
            self.report.octets += octets;
            if !is_whole(keeper, BodyRef { blob, octets }).unwrap_or(false) {
                self.bad(format!("body {blob}"));
            }
        }
    }

    fn tell(&self, stage: Stage, done: u64, total: usize) {
        let total = total as u64;
        (self.teller)(Progress { stage, done, total });
    }

    fn bad(&mut self, what: String) {
        self.report.damage.push(what);
    }
}

/// Whether a body is there and has its digest.
fn is_whole(keeper: &Local, body: BodyRef) -> Result<bool, StoreError> {
    let row = keeper.get(Seen::Durable, Class::Blobs, &keys::blob(body.blob))?;
    let Some(row) = row else {
        return Ok(false);
    };
    // Where the row says that it is: where it was before it may be found, too.
    let at = record::read_refs(&row)?.at;
    let shared = keeper.shared()?;
    let Some(section) = shared.bodies.section(at)? else {
        return Ok(false);
    };
    let Some(octets) = shared.bodies.read(at, body.octets)? else {
        return Ok(false);
    };
    Ok(octets.digest()? == section.digest)
}

/// How often it is told how many bodies were read.
const TELL_BODIES: u64 = 1000;
