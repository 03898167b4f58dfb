//! The records of the spool: messages on their way, their recipients, and who refers to a body.

use mail::{AccountId, BodyType, Enhanced, Envelope, Notify, Recipient, Reply, Ret, Target, Time};
use serde::{Deserialize, Serialize};

use super::{AddressV1, Fixed, HEAD, Kind, damaged, domain, head, open, read, small, write};
use crate::{
    StoreError,
    port::{BodyRef, RecipientState, State},
};

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
    let rest = rest
        .get(SPOOLED_HEAD..)
        .ok_or_else(|| damaged(Kind::Spooled))?;
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

/// Why a message is set aside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AsideRecord {
    pub(crate) remaining: Remaining,
    pub(crate) since: Time,
    pub(crate) report: String,
}

pub(crate) fn write_aside(aside: &AsideRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + 16 + aside.report.len());
    out.extend_from_slice(&head(Kind::Aside, 1));
    out.extend_from_slice(&aside.remaining.all.to_be_bytes());
    out.extend_from_slice(&aside.remaining.local.to_be_bytes());
    out.extend_from_slice(&aside.since.0.to_be_bytes());
    out.extend_from_slice(aside.report.as_bytes());
    out
}

pub(crate) fn read_aside(octets: &[u8]) -> Result<AsideRecord, StoreError> {
    let kind = Kind::Aside;
    let (_, rest) = open(octets, kind, 1)?;
    let mut fixed = Fixed { kind, rest };
    let remaining = Remaining {
        all: fixed.u32()?,
        local: fixed.u32()?,
    };
    let since = Time(fixed.u64()?);
    let report = std::str::from_utf8(fixed.rest).map_err(|_| damaged(kind))?;
    Ok(AsideRecord {
        remaining,
        since,
        report: report.to_owned(),
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
