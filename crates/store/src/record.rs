//! Every record format of the directory and the journal's operations, in one place.
//!
//! A value is `0xB1, type, version, rest`. The rest is bincode (little-endian, fixed width) for
//! records with texts, and a big-endian layout of fixed width for the hot ones. The structs here
//! are the formats: they never change once published; a new version is a new struct beside the
//! old one, which is read for ever. Only the newest is written. A golden test per version
//! (`record/golden.rs`) holds the octets.

use bincode::Options;
use mail::{Address, Domain, Uid};
use serde::{Deserialize, Serialize};

use crate::StoreError;

mod account;
mod mailbox;
mod probe;
mod sheet;
mod spool;

#[cfg(test)]
mod golden;

pub(crate) use account::{
    read_account, read_entry, read_limits, read_quota, write_account, write_entry, write_quota,
};
pub(crate) use mailbox::{
    Change, Counters, MESSAGE_BLOB_AT, Mailbox, Owner, read_change, read_counters, read_mailbox,
    read_message, read_owner, write_change, write_counters, write_mailbox, write_message,
    write_owner,
};
pub(crate) use probe::probe;
pub(crate) use sheet::{SHEET_UIDS, longer_sheet, read_sheet, sheet_of, write_sheet};
pub(crate) use spool::{
    AsideRecord, Refs, Remaining, SPOOLED_BLOB_AT, SpooledHead, read_aside, read_due,
    read_recipient, read_refs, read_remaining, read_spooled, read_spooled_domains,
    read_spooled_head, write_aside, write_due, write_recipient, write_refs, write_remaining,
    write_spooled,
};

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
    Aside = 16,
    Sheet = 17,
    Quota = 18,
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
        let (first, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| damaged(self.kind))?;
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
        Uid::new(self.u32()?).ok_or_else(|| damaged(self.kind))
    }
}

// ---------------------------------------------------------------- what several of them have

#[derive(Serialize, Deserialize)]
struct AddressV1<'a> {
    local: &'a str,
    domain: &'a str,
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

/// A count as it is kept: no message has 4 thousand million recipients.
pub(crate) fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Looks like a record at all: for the check of a directory.
pub(crate) const fn is_record(octets: &[u8]) -> bool {
    matches!(octets, [MAGIC, 1..=17, 1, ..] | [MAGIC, 7, 2, ..])
}

/// A record is refused above this size: it bounds what a damaged length can make us allocate.
const RECORD_OCTETS_MAX: u64 = 16 * 1024 * 1024;
