//! Every record format of the directory and the journal's operations, in one place.
//!
//! A value is `0xB1, type, version, rest`. The rest is bincode (little-endian, fixed width) for
//! records with texts, and a big-endian layout of fixed width for the hot ones. The structs here
//! are the formats: they never change once published; a new version is a new struct beside the
//! old one, which is read for ever. Only the newest is written. A golden test per version
//! (`record/golden.rs`) holds the octets.

use bincode::Options;
use mail::{
    AccountId, Address, BodyType, Domain, Enhanced, Envelope, Flags, Keyword, ModSeq, Notify,
    Recipient, Reply, Ret, Target, Time, Uid, UidValidity,
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError,
    port::{AccountRow, BodyRef, Entry, MessageRow, Quota, RecipientState, SpecialUse, State},
};

#[cfg(test)]
mod golden;

/// The first octet of every record.
const MAGIC: u8 = 0xB1;

/// What a record is: its second octet. Append-only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Kind {
    Spooled = 1,
    Recipient = 2,
    Due = 3,
    Count = 4,
    Refs = 5,
    Mailbox = 6,
    Counters = 7,
    Message = 8,
    Change = 9,
    Owner = 10,
    Number = 11,
    Entry = 12,
    Account = 13,
    Mark = 14,
    Remaining = 15,
}

// ---------------------------------------------------------------- reading and writing octets

const HEAD: usize = 3;

const fn head(kind: Kind, version: u8) -> [u8; HEAD] {
    [MAGIC, kind as u8, version]
}

/// The rest of a record of that kind, whose newest version is `known`, with its version.
fn open(octets: &[u8], kind: Kind, known: u8) -> Result<(u8, &[u8]), StoreError> {
    match octets {
        [MAGIC, found, version, rest @ ..] if *found == kind as u8 => {
            if *version > known {
                return Err(StoreError::Newer {
                    what: format!("a record of kind {kind:?}"),
                    found: *version,
                    known,
                });
            }
            Ok((*version, rest))
        }
        _ => Err(damaged(kind)),
    }
}

fn damaged(kind: Kind) -> StoreError {
    StoreError::Damage {
        what: format!("a record of kind {kind:?}"),
    }
}

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_little_endian()
        .with_limit(RECORD_OCTETS_MAX)
        .reject_trailing_bytes()
}

fn write<T: Serialize>(mut out: Vec<u8>, value: &T) -> Result<Vec<u8>, StoreError> {
    options()
        .serialize_into(&mut out, value)
        .map_err(|cause| StoreError::TooLarge {
            what: format!("a record ({cause})"),
        })?;
    Ok(out)
}

fn read<'a, T: Deserialize<'a>>(kind: Kind, rest: &'a [u8]) -> Result<T, StoreError> {
    options().deserialize(rest).map_err(|_| damaged(kind))
}

/// Takes big-endian numbers from the front of a fixed layout.
struct Fixed<'a> {
    kind: Kind,
    rest: &'a [u8],
}

impl Fixed<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(damaged(self.kind))?;
        self.rest = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8, StoreError> {
        Ok(u8::from_be_bytes(self.take()?))
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    fn uid(&mut self) -> Result<Uid, StoreError> {
        Uid::new(self.u32()?).ok_or(damaged(self.kind))
    }
}

// ---------------------------------------------------------------- the spool

/// The fixed part of a spooled message's record: all that a delivery has to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SpooledHead {
    pub(crate) body: BodyRef,
    pub(crate) arrived: Time,
    pub(crate) recipients: u32,
    /// How many of them are remote: with none, nothing has to be looked up in the envelope.
    pub(crate) remote: u32,
}

/// Where the blob number stands in a spooled message's record.
pub(crate) const SPOOLED_BLOB_AT: usize = HEAD;
const SPOOLED_HEAD: usize = 8 + 8 + 8 + 4 + 4;

#[derive(Serialize, Deserialize)]
struct AddressV1<'a> {
    local: &'a str,
    domain: &'a str,
}

#[derive(Serialize, Deserialize)]
enum TargetV1<'a> {
    Local(u64, Option<&'a str>),
    Remote(&'a str),
}

#[derive(Serialize, Deserialize)]
struct RecipientV1<'a> {
    #[serde(borrow)]
    address: AddressV1<'a>,
    original: Option<AddressV1<'a>>,
    target: TargetV1<'a>,
    /// 1: on success, 2: on failure, 4: on delay.
    notify: u8,
}

#[derive(Serialize, Deserialize)]
struct SpooledV1<'a> {
    #[serde(borrow)]
    from: Option<AddressV1<'a>>,
    recipients: Vec<RecipientV1<'a>>,
    /// 0: 7BIT, 1: 8BITMIME, 2: BINARYMIME.
    body: u8,
    smtputf8: bool,
    envid: Option<&'a str>,
    /// 0: unsaid, 1: full, 2: headers.
    ret: u8,
    origin: &'a str,
}

impl<'a> AddressV1<'a> {
    fn of(address: &'a Address) -> Self {
        Self {
            local: address.local(),
            domain: address.domain().as_str(),
        }
    }

    fn address(&self, kind: Kind) -> Result<Address, StoreError> {
        Address::new(self.local, domain(kind, self.domain)?).map_err(|_| damaged(kind))
    }
}

fn domain(kind: Kind, text: &str) -> Result<Domain, StoreError> {
    text.parse().map_err(|_| damaged(kind))
}

/// A spooled message, with the blob number zero: it is known only when the body has its place.
pub(crate) fn write_spooled(
    envelope: &Envelope,
    octets: u64,
    arrived: Time,
    origin: &str,
) -> Result<Vec<u8>, StoreError> {
    let remote = |r: &&Recipient| matches!(r.target, Target::Remote(_));
    let mut out = Vec::with_capacity(192 + 96 * envelope.recipients.len());
    out.extend_from_slice(&head(Kind::Spooled, 1));
    out.extend_from_slice(&0_u64.to_be_bytes());
    out.extend_from_slice(&octets.to_be_bytes());
    out.extend_from_slice(&arrived.0.to_be_bytes());
    out.extend_from_slice(&small(envelope.recipients.len()).to_be_bytes());
    out.extend_from_slice(&small(envelope.recipients.iter().filter(remote).count()).to_be_bytes());
    let record = SpooledV1 {
        from: envelope.from.as_ref().map(AddressV1::of),
        recipients: envelope.recipients.iter().map(recipient_v1).collect(),
        body: match envelope.body {
            BodyType::SevenBit => 0,
            BodyType::EightBitMime => 1,
            BodyType::BinaryMime => 2,
        },
        smtputf8: envelope.smtputf8,
        envid: envelope.envid.as_deref(),
        ret: match envelope.ret {
            None => 0,
            Some(Ret::Full) => 1,
            Some(Ret::Headers) => 2,
        },
        origin,
    };
    write(out, &record)
}

fn recipient_v1(recipient: &Recipient) -> RecipientV1<'_> {
    let notify = recipient.notify;
    RecipientV1 {
        address: AddressV1::of(&recipient.address),
        original: recipient.original.as_ref().map(AddressV1::of),
        target: match &recipient.target {
            Target::Local { account, detail } => TargetV1::Local(account.0, detail.as_deref()),
            Target::Remote(domain) => TargetV1::Remote(domain.as_str()),
        },
        notify: u8::from(notify.success)
            | u8::from(notify.failure) << 1
            | u8::from(notify.delay) << 2,
    }
}

/// The fixed part alone.
pub(crate) fn read_spooled_head(octets: &[u8]) -> Result<SpooledHead, StoreError> {
    let (_, rest) = open(octets, Kind::Spooled, 1)?;
    let mut fixed = Fixed {
        kind: Kind::Spooled,
        rest,
    };
    Ok(SpooledHead {
        body: BodyRef {
            blob: fixed.u64()?,
            octets: fixed.u64()?,
        },
        arrived: Time(fixed.u64()?),
        recipients: fixed.u32()?,
        remote: fixed.u32()?,
    })
}

/// The envelope and the origin.
pub(crate) fn read_spooled(octets: &[u8]) -> Result<(Envelope, String), StoreError> {
    let record = spooled_v1(octets)?;
    let kind = Kind::Spooled;
    let envelope = Envelope {
        from: record.from.map(|a| a.address(kind)).transpose()?,
        recipients: record
            .recipients
            .iter()
            .map(recipient)
            .collect::<Result<_, _>>()?,
        body: match record.body {
            0 => BodyType::SevenBit,
            1 => BodyType::EightBitMime,
            2 => BodyType::BinaryMime,
            _ => return Err(damaged(kind)),
        },
        smtputf8: record.smtputf8,
        envid: record.envid.map(str::to_owned),
        ret: match record.ret {
            0 => None,
            1 => Some(Ret::Full),
            2 => Some(Ret::Headers),
            _ => return Err(damaged(kind)),
        },
    };
    Ok((envelope, record.origin.to_owned()))
}

/// The remote domain of each recipient; `None` for a local one.
pub(crate) fn read_spooled_domains(octets: &[u8]) -> Result<Vec<Option<&str>>, StoreError> {
    let record = spooled_v1(octets)?;
    Ok(record
        .recipients
        .iter()
        .map(|recipient| match recipient.target {
            TargetV1::Local(..) => None,
            TargetV1::Remote(domain) => Some(domain),
        })
        .collect())
}

fn spooled_v1(octets: &[u8]) -> Result<SpooledV1<'_>, StoreError> {
    let (_, rest) = open(octets, Kind::Spooled, 1)?;
    let rest = rest.get(SPOOLED_HEAD..).ok_or(damaged(Kind::Spooled))?;
    read(Kind::Spooled, rest)
}

fn recipient(record: &RecipientV1<'_>) -> Result<Recipient, StoreError> {
    let kind = Kind::Spooled;
    Ok(Recipient {
        address: record.address.address(kind)?,
        original: match &record.original {
            Some(address) => Some(address.address(kind)?),
            None => None,
        },
        target: match record.target {
            TargetV1::Local(account, detail) => Target::Local {
                account: AccountId(account),
                detail: detail.map(str::to_owned),
            },
            TargetV1::Remote(text) => Target::Remote(domain(kind, text)?),
        },
        notify: Notify {
            success: record.notify & 1 != 0,
            failure: record.notify & 2 != 0,
            delay: record.notify & 4 != 0,
        },
    })
}

#[derive(Serialize, Deserialize)]
struct ReplyV1<'a> {
    code: u16,
    enhanced: Option<(u8, u16, u16)>,
    text: &'a str,
}

#[derive(Serialize, Deserialize)]
struct RecipientStateV1<'a> {
    /// 0: open, 1: failed, 2: closed.
    state: u8,
    attempts: u32,
    due: u64,
    #[serde(borrow)]
    last: Option<ReplyV1<'a>>,
    delay_told: bool,
}

pub(crate) fn write_recipient(state: &RecipientState) -> Result<Vec<u8>, StoreError> {
    let record = RecipientStateV1 {
        state: match state.state {
            State::Open => 0,
            State::Failed => 1,
            State::Closed => 2,
        },
        attempts: state.attempts,
        due: state.due.0,
        last: state.last.as_ref().map(|reply| ReplyV1 {
            code: reply.code(),
            enhanced: reply.enhanced().map(|e| (e.0, e.1, e.2)),
            text: reply.text(),
        }),
        delay_told: state.delay_told,
    };
    write(head(Kind::Recipient, 1).to_vec(), &record)
}

pub(crate) fn read_recipient(octets: &[u8]) -> Result<RecipientState, StoreError> {
    let kind = Kind::Recipient;
    let (_, rest) = open(octets, kind, 1)?;
    let record: RecipientStateV1<'_> = read(kind, rest)?;
    Ok(RecipientState {
        state: match record.state {
            0 => State::Open,
            1 => State::Failed,
            2 => State::Closed,
            _ => return Err(damaged(kind)),
        },
        attempts: record.attempts,
        due: Time(record.due),
        last: record.last.map(|reply| {
            let enhanced = reply.enhanced.map(|e| Enhanced(e.0, e.1, e.2));
            Reply::new(reply.code, enhanced, reply.text.to_owned())
        }),
        delay_told: record.delay_told,
    })
}

/// How many recipients of a message are not closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Remaining {
    /// All of them.
    pub(crate) all: u32,
    /// Those of ours that are open.
    pub(crate) local: u32,
}

pub(crate) fn write_remaining(remaining: Remaining) -> [u8; 11] {
    let mut out = [0; 11];
    out[..3].copy_from_slice(&head(Kind::Remaining, 1));
    out[3..7].copy_from_slice(&remaining.all.to_be_bytes());
    out[7..].copy_from_slice(&remaining.local.to_be_bytes());
    out
}

pub(crate) fn read_remaining(octets: &[u8]) -> Result<Remaining, StoreError> {
    let kind = Kind::Remaining;
    let (_, rest) = open(octets, kind, 1)?;
    let mut fixed = Fixed { kind, rest };
    Ok(Remaining {
        all: fixed.u32()?,
        local: fixed.u32()?,
    })
}

/// A row of the due index: attempts, and when the message arrived.
pub(crate) fn write_due(attempts: u32, arrived: Time) -> [u8; 15] {
    let mut out = [0; 15];
    out[..3].copy_from_slice(&head(Kind::Due, 1));
    out[3..7].copy_from_slice(&attempts.to_be_bytes());
    out[7..].copy_from_slice(&arrived.0.to_be_bytes());
    out
}

pub(crate) fn read_due(octets: &[u8]) -> Result<(u32, Time), StoreError> {
    let kind = Kind::Due;
    let (_, rest) = open(octets, kind, 1)?;
    let mut fixed = Fixed { kind, rest };
    Ok((fixed.u32()?, Time(fixed.u64()?)))
}

/// A counter.
pub(crate) fn write_count(count: u64) -> [u8; 11] {
    let mut out = [0; 11];
    out[..3].copy_from_slice(&head(Kind::Count, 1));
    out[3..].copy_from_slice(&count.to_be_bytes());
    out
}

pub(crate) fn read_count(octets: &[u8]) -> Result<u64, StoreError> {
    let kind = Kind::Count;
    let (_, rest) = open(octets, kind, 1)?;
    Fixed { kind, rest }.u64()
}

// ---------------------------------------------------------------- bodies

/// Who refers to a body, and where it lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refs {
    /// How many messages refer to it, in the spool and in mailboxes.
    pub(crate) refs: u32,
    /// Where its section is now: compaction moves it, and its number stays.
    pub(crate) at: u64,
    /// The segments that it needs, with the octets it takes there.
    pub(crate) spans: Vec<(u32, u64)>,
}

pub(crate) fn write_refs(refs: &Refs) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + 12 + 12 * refs.spans.len());
    out.extend_from_slice(&head(Kind::Refs, 1));
    out.extend_from_slice(&refs.refs.to_be_bytes());
    out.extend_from_slice(&refs.at.to_be_bytes());
    for (segment, octets) in &refs.spans {
        out.extend_from_slice(&segment.to_be_bytes());
        out.extend_from_slice(&octets.to_be_bytes());
    }
    out
}

pub(crate) fn read_refs(octets: &[u8]) -> Result<Refs, StoreError> {
    let kind = Kind::Refs;
    let (_, rest) = open(octets, kind, 1)?;
    let mut fixed = Fixed { kind, rest };
    let mut refs = Refs {
        refs: fixed.u32()?,
        at: fixed.u64()?,
        spans: Vec::with_capacity(fixed.rest.len() / 12),
    };
    while !fixed.rest.is_empty() {
        refs.spans.push((fixed.u32()?, fixed.u64()?));
    }
    Ok(refs)
}

// ---------------------------------------------------------------- mailboxes

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
            n => Some(*SPECIAL_USES.get(usize::from(n) - 1).ok_or(damaged(kind))?),
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
}

pub(crate) fn write_counters(c: &Counters) -> [u8; 55] {
    let mut out = [0; 55];
    out[..3].copy_from_slice(&head(Kind::Counters, 1));
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
    let (_, rest) = open(octets, kind, 1)?;
    let mut fixed = Fixed { kind, rest };
    Ok(Counters {
        uid_validity: UidValidity::new(fixed.u32()?).ok_or(damaged(kind))?,
        uid_next: fixed.uid()?,
        recent_from: fixed.uid()?,
        messages: fixed.u32()?,
        unseen: fixed.u32()?,
        deleted: fixed.u32()?,
        octets: fixed.u64()?,
        highest: ModSeq(fixed.u64()?),
        log_from: ModSeq(fixed.u64()?),
        log_rows: fixed.u32()?,
    })
}

/// Where the blob number stands in a message's record: as the body, as EMAILID, as THREADID.
pub(crate) const MESSAGE_BLOB_AT: [usize; 3] = [44, 60, 68];

/// A message of a mailbox; its UID is in the key. `since` is the MODSEQ with which it came.
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

/// A small number, such as a mailbox's behind its name.
pub(crate) fn write_number(number: u32) -> [u8; 7] {
    let mut out = [0; 7];
    out[..3].copy_from_slice(&head(Kind::Number, 1));
    out[3..].copy_from_slice(&number.to_be_bytes());
    out
}

pub(crate) fn read_number(octets: &[u8]) -> Result<u32, StoreError> {
    let kind = Kind::Number;
    let (_, rest) = open(octets, kind, 1)?;
    Fixed { kind, rest }.u32()
}

/// A row whose key says everything.
pub(crate) const MARK: [u8; HEAD] = head(Kind::Mark, 1);

// ---------------------------------------------------------------- accounts

#[derive(Serialize, Deserialize)]
enum EntryV1<'a> {
    Account(u64),
    #[serde(borrow)]
    Alias(Vec<AddressV1<'a>>),
}

pub(crate) fn write_entry(entry: &Entry) -> Result<Vec<u8>, StoreError> {
    let record = match entry {
        Entry::Account(id) => EntryV1::Account(id.0),
        Entry::Alias(targets) => EntryV1::Alias(targets.iter().map(AddressV1::of).collect()),
    };
    write(head(Kind::Entry, 1).to_vec(), &record)
}

pub(crate) fn read_entry(octets: &[u8]) -> Result<Entry, StoreError> {
    let kind = Kind::Entry;
    let (_, rest) = open(octets, kind, 1)?;
    Ok(match read(kind, rest)? {
        EntryV1::Account(id) => Entry::Account(AccountId(id)),
        EntryV1::Alias(targets) => Entry::Alias(
            targets
                .iter()
                .map(|target| target.address(kind))
                .collect::<Result<_, _>>()?,
        ),
    })
}

#[derive(Serialize, Deserialize)]
struct AccountV1<'a> {
    #[serde(borrow)]
    address: AddressV1<'a>,
    password: Option<&'a str>,
    quota_octets: Option<u64>,
    quota_messages: Option<u64>,
    created: u64,
}

pub(crate) fn write_account(row: &AccountRow) -> Result<Vec<u8>, StoreError> {
    let record = AccountV1 {
        address: AddressV1::of(&row.address),
        password: row.password.as_deref(),
        quota_octets: row.quota.octets,
        quota_messages: row.quota.messages,
        created: row.created.0,
    };
    write(head(Kind::Account, 1).to_vec(), &record)
}

pub(crate) fn read_account(id: AccountId, octets: &[u8]) -> Result<AccountRow, StoreError> {
    let kind = Kind::Account;
    let (_, rest) = open(octets, kind, 1)?;
    let record: AccountV1<'_> = read(kind, rest)?;
    Ok(AccountRow {
        id,
        address: record.address.address(kind)?,
        password: record.password.map(str::to_owned),
        quota: Quota {
            octets: record.quota_octets,
            messages: record.quota_messages,
        },
        created: Time(record.created),
    })
}

/// A count as it is kept: no message has 4 thousand million recipients.
pub(crate) fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Looks like a record at all: for the check of a directory.
pub(crate) const fn is_record(octets: &[u8]) -> bool {
    matches!(octets, [MAGIC, 1..=15, 1, ..])
}

/// A record is refused above this size: it bounds what a damaged length can make us allocate.
const RECORD_OCTETS_MAX: u64 = 16 * 1024 * 1024;
