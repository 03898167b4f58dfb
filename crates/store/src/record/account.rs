//! The records of accounts: what an address stands for, and who has an account.

use mail::{AccountId, Domain, Time};
use serde::{Deserialize, Serialize};

use super::{AddressV1, Kind, head, open, read, write};
use crate::{
    StoreError,
    port::{AccountRow, Entry, Quota},
};

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

/// What limits an account: its own quota, and where it lives.
pub(crate) fn read_limits(octets: &[u8]) -> Result<(Quota, Domain), StoreError> {
    let kind = Kind::Account;
    let (_, rest) = open(octets, kind, 1)?;
    let record: AccountV1<'_> = read(kind, rest)?;
    let quota = Quota {
        octets: record.quota_octets,
        messages: record.quota_messages,
    };
    Ok((quota, record.address.address(kind)?.domain().clone()))
}

#[derive(Serialize, Deserialize)]
struct QuotaV1 {
    octets: Option<u64>,
    messages: Option<u64>,
}

pub(crate) fn write_quota(quota: Quota) -> Result<Vec<u8>, StoreError> {
    let Quota { octets, messages } = quota;
    write(head(Kind::Quota, 1).to_vec(), &QuotaV1 { octets, messages })
}

pub(crate) fn read_quota(octets: &[u8]) -> Result<Quota, StoreError> {
    let kind = Kind::Quota;
    let (_, rest) = open(octets, kind, 1)?;
    let QuotaV1 { octets, messages } = read(kind, rest)?;
    Ok(Quota { octets, messages })
}
