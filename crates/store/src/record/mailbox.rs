//! The records of mailboxes: their names and counters, their messages, their change logs.

use mail::{Flags, Keyword, ModSeq, Time, Uid, UidValidity};
use serde::{Deserialize, Serialize};

use super::{Fixed, HEAD, Kind, SHEET_UIDS, damaged, head, open, read, write};
use crate::{
    StoreError,
    port::{BodyRef, MessageRow, SpecialUse},
};

/// What an account's mailboxes have in common: the numbers that are given out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    /// The number of the next mailbox.
    pub(crate) next_mailbox: u32,
    /// The highest UIDVALIDITY ever given out.
    pub(crate) last_validity: u32,
}

pub(crate) fn write_owner(owner: Owner) -> [u8; 11] {
    let mut out = [0; 11];
    out[..3].copy_from_slice(&head(Kind::Owner, 1));
    out[3..7].copy_from_slice(&owner.next_mailbox.to_be_bytes());
    out[7..].copy_from_slice(&owner.last_validity.to_be_bytes());
    out
}

pub(crate) fn read_owner(octets: &[u8]) -> Result<Owner, StoreError> {
    let kind = Kind::Owner;
    let (_, rest) = open(octets, kind, 1)?;
    let mut fixed = Fixed { kind, rest };
    Ok(Owner {
        next_mailbox: fixed.u32()?,
        last_validity: fixed.u32()?,
    })
}

/// What seldom changes about a mailbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mailbox {
    pub(crate) name: String,
    pub(crate) special_use: Option<SpecialUse>,
    pub(crate) keywords: Vec<Keyword>,
    pub(crate) created: Time,
}

#[derive(Serialize, Deserialize)]
struct MailboxV1<'a> {
    name: &'a str,
    /// 0: none, then by the names of RFC 6154 §2 in alphabetical order.
    special_use: u8,
    #[serde(borrow)]
    keywords: Vec<&'a str>,
    created: u64,
}

const SPECIAL_USES: [SpecialUse; 7] = [
    SpecialUse::All,
    SpecialUse::Archive,
    SpecialUse::Drafts,
    SpecialUse::Flagged,
    SpecialUse::Junk,
    SpecialUse::Sent,
    SpecialUse::Trash,
];

pub(crate) fn write_mailbox(mailbox: &Mailbox) -> Result<Vec<u8>, StoreError> {
    let number = mailbox
        .special_use
        .and_then(|role| SPECIAL_USES.iter().position(|&r| r == role))
        .map_or(0, |at| at as u8 + 1);
    let record = MailboxV1 {
        name: &mailbox.name,
        special_use: number,
        keywords: mailbox.keywords.iter().map(Keyword::as_str).collect(),
        created: mailbox.created.0,
    };
    write(head(Kind::Mailbox, 1).to_vec(), &record)
}

pub(crate) fn read_mailbox(octets: &[u8]) -> Result<Mailbox, StoreError> {
    let kind = Kind::Mailbox;
    let (_, rest) = open(octets, kind, 1)?;
    let record: MailboxV1<'_> = read(kind, rest)?;
    let keyword = |text: &&str| text.parse().map_err(|_| damaged(kind));
    Ok(Mailbox {
        name: record.name.to_owned(),
        special_use: match record.special_use {
            0 => None,
            n => Some(
                *SPECIAL_USES
                    .get(usize::from(n) - 1)
                    .ok_or_else(|| damaged(kind))?,
            ),
        },
        keywords: record
            .keywords
            .iter()
            .map(keyword)
            .collect::<Result<_, _>>()?,
        created: Time(record.created),
    })
}

/// What changes with every message of a mailbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Counters {
    pub(crate) uid_validity: UidValidity,
    pub(crate) uid_next: Uid,
    pub(crate) recent_from: Uid,
    pub(crate) messages: u32,
    pub(crate) unseen: u32,
    pub(crate) deleted: u32,
    pub(crate) octets: u64,
    pub(crate) highest: ModSeq,
    /// Changes up to this MODSEQ are forgotten.
    pub(crate) log_from: ModSeq,
    /// How many rows the change log has.
    pub(crate) log_rows: u32,
    /// Whether the flags of the messages are in sheets: version 2. In a mailbox that was last
    /// changed before there were sheets (version 1), they are in the messages' own rows.
    pub(crate) sheets: bool,
}

pub(crate) fn write_counters(c: &Counters) -> [u8; 55] {
    let mut out = [0; 55];
    out[..3].copy_from_slice(&head(Kind::Counters, 1 + u8::from(c.sheets)));
    out[3..7].copy_from_slice(&c.uid_validity.get().to_be_bytes());
    out[7..11].copy_from_slice(&c.uid_next.get().to_be_bytes());
    out[11..15].copy_from_slice(&c.recent_from.get().to_be_bytes());
    out[15..19].copy_from_slice(&c.messages.to_be_bytes());
    out[19..23].copy_from_slice(&c.unseen.to_be_bytes());
    out[23..27].copy_from_slice(&c.deleted.to_be_bytes());
    out[27..35].copy_from_slice(&c.octets.to_be_bytes());
    out[35..43].copy_from_slice(&c.highest.0.to_be_bytes());
    out[43..51].copy_from_slice(&c.log_from.0.to_be_bytes());
    out[51..].copy_from_slice(&c.log_rows.to_be_bytes());
    out
}

pub(crate) fn read_counters(octets: &[u8]) -> Result<Counters, StoreError> {
    let kind = Kind::Counters;
    let (version, rest) = open(octets, kind, 2)?;
    let mut fixed = Fixed { kind, rest };
    Ok(Counters {
        uid_validity: UidValidity::new(fixed.u32()?).ok_or_else(|| damaged(kind))?,
        uid_next: fixed.uid()?,
        recent_from: fixed.uid()?,
        messages: fixed.u32()?,
        unseen: fixed.u32()?,
        deleted: fixed.u32()?,
        octets: fixed.u64()?,
        highest: ModSeq(fixed.u64()?),
        log_from: ModSeq(fixed.u64()?),
        log_rows: fixed.u32()?,
        sheets: version > 1,
    })
}

/// Where the blob number stands in a message's record: as the body, as EMAILID, as THREADID.
pub(crate) const MESSAGE_BLOB_AT: [usize; 3] = [44, 60, 68];

/// A message of a mailbox; its UID is in the key. `since` is the MODSEQ with which it came. Its
/// flags and its MODSEQ are as they were then: how they stand now, its sheet says.
pub(crate) fn write_message(row: &MessageRow, since: ModSeq) -> [u8; 76] {
    let mut out = [0; 76];
    out[..3].copy_from_slice(&head(Kind::Message, 1));
    out[3] = row.flags.0;
    out[4..12].copy_from_slice(&row.modseq.0.to_be_bytes());
    out[12..20].copy_from_slice(&since.0.to_be_bytes());
    out[20..28].copy_from_slice(&row.keywords.to_be_bytes());
    out[28..36].copy_from_slice(&row.internal_date.0.to_be_bytes());
    out[36..44].copy_from_slice(&row.save_date.0.to_be_bytes());
    out[44..52].copy_from_slice(&row.body.blob.to_be_bytes());
    out[52..60].copy_from_slice(&row.body.octets.to_be_bytes());
    out[60..68].copy_from_slice(&row.email_id.to_be_bytes());
    out[68..].copy_from_slice(&row.thread_id.to_be_bytes());
    out
}

/// A message, and the MODSEQ with which it came.
pub(crate) fn read_message(uid: Uid, octets: &[u8]) -> Result<(MessageRow, ModSeq), StoreError> {
    let kind = Kind::Message;
    let (_, rest) = open(octets, kind, 1)?;
    let mut fixed = Fixed { kind, rest };
    let flags = Flags(fixed.u8()?);
    let modseq = ModSeq(fixed.u64()?);
    let since = ModSeq(fixed.u64()?);
    let row = MessageRow {
        uid,
        modseq,
        flags,
        keywords: fixed.u64()?,
        internal_date: Time(fixed.u64()?),
        save_date: Time(fixed.u64()?),
        body: BodyRef {
            blob: fixed.u64()?,
            octets: fixed.u64()?,
        },
        email_id: fixed.u64()?,
        thread_id: fixed.u64()?,
    };
    Ok((row, since))
}

/// A row of a mailbox's change log: what one change did to which UIDs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    /// Whether they are gone; else their flags changed.
    pub(crate) expunged: bool,
    /// Spans of UIDs, both ends included, ascending.
    pub(crate) uids: Vec<(u32, u32)>,
}

impl Change {
    /// Of UIDs in ascending order.
    pub(crate) fn new(expunged: bool, ascending: impl IntoIterator<Item = Uid>) -> Self {
        let mut uids: Vec<(u32, u32)> = Vec::new();
        for uid in ascending {
            match uids.last_mut() {
                Some((_, last)) if *last + 1 == uid.get() => *last = uid.get(),
                _ => uids.push((uid.get(), uid.get())),
            }
        }
        Self { expunged, uids }
    }

    /// How many stretches of UIDs it has.
    pub(crate) const fn ranges(&self) -> usize {
        self.uids.len()
    }

    /// The sheets on which they are: spans of numbers, both ends included.
    pub(crate) fn sheets(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let spans = self.uids.iter();
        spans.map(|&(first, last)| (first / SHEET_UIDS, last / SHEET_UIDS))
    }

    /// The UIDs, one by one.
    pub(crate) fn uids(&self) -> impl Iterator<Item = Uid> + '_ {
        self.uids
            .iter()
            .flat_map(|&(first, last)| (first..=last).filter_map(Uid::new))
    }
}

pub(crate) fn write_change(change: &Change) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + 1 + 8 * change.uids.len());
    out.extend_from_slice(&head(Kind::Change, 1));
    out.push(u8::from(change.expunged));
    for (first, last) in &change.uids {
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&last.to_be_bytes());
    }
    out
}

pub(crate) fn read_change(octets: &[u8]) -> Result<Change, StoreError> {
    let kind = Kind::Change;
    let (_, rest) = open(octets, kind, 1)?;
    let mut fixed = Fixed { kind, rest };
    let mut change = Change {
        expunged: fixed.u8()? != 0,
        uids: Vec::with_capacity(fixed.rest.len() / 8),
    };
    while !fixed.rest.is_empty() {
        change.uids.push((fixed.u32()?, fixed.u32()?));
    }
    Ok(change)
}
