//! Octets that may be no record at all, read as each kind of record: for the fuzz targets.

use mail::{AccountId, Uid};

use super::*;

/// Reads octets as every kind of record. What they are not is an error, and no more.
pub(crate) fn probe(octets: &[u8]) {
    let _ = read_account(AccountId(1), octets);
    let _ = read_aside(octets);
    let _ = read_change(octets);
    let _ = read_count(octets);
    let _ = read_counters(octets);
    let _ = read_due(octets);
    let _ = read_entry(octets);
    let _ = read_limits(octets);
    let _ = read_mailbox(octets);
    let _ = read_message(Uid::FIRST, octets);
    let _ = read_number(octets);
    let _ = read_owner(octets);
    let _ = read_quota(octets);
    let _ = read_recipient(octets);
    let _ = read_refs(octets);
    let _ = read_remaining(octets);
    let _ = read_sheet(1, octets, &mut Vec::new());
    let _ = read_spooled(octets);
    let _ = read_spooled_domains(octets);
    let _ = read_spooled_head(octets);
}
