//! What has changed in a mailbox since a MODSEQ (RFC 7162).
//!
//! New messages need no log: MODSEQs of their coming rise with their UIDs, so the first one after
//! `since` is found by halving. The log holds a row per change of flags or expunge.

use std::collections::BTreeSet;

use mail::{AccountId, MailboxId, ModSeq, Uid};

use super::store::{Store, missing};
use crate::{
    StoreError,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Changes, MessageRow, UidRange},
    record::{self, Counters},
};

impl<K: Keeper> Store<K> {
    pub(super) fn changes_since(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Option<Changes>, StoreError> {
        let Some(octets) = self.durable(Class::Mail, &keys::counters(account, mailbox))? else {
            return Err(missing(format!("mailbox {mailbox} of account {account}")));
        };
        let counters = record::read_counters(&octets)?;
        if since < counters.log_from {
            return Ok(None);
        }
        let mut changes = Changes {
            highest: counters.highest,
            ..Changes::default()
        };
        if since >= counters.highest {
            return Ok(Some(changes));
        }
        let first_new = self.first_new(account, mailbox, since, &counters)?;
        let mut flagged = BTreeSet::new();
        let mut expunged = BTreeSet::new();
        let from = keys::change(account, mailbox, ModSeq(since.0.saturating_add(1)));
        let until = keys::after(&keys::of_mailbox(b'v', account, mailbox));
        self.span(Seen::Durable, Class::Mail, &from, &until, |_, value| {
            let change = record::read_change(value)?;
            if change.expunged {
                expunged.extend(change.uids());
            } else {
                flagged.extend(change.uids().filter(|&uid| uid.get() < first_new));
            }
            Ok(true)
        })?;
        changes.expunged = expunged.into_iter().collect();
        let mut keep = |row: MessageRow| {
            if row.modseq > since {
                changes.changed.push(row);
            }
        };
        if let (Some(&first), Some(&last)) = (flagged.first(), flagged.last()) {
            let old = UidRange { first, last };
            if flagged.len() > FEW {
                self.each_message(Seen::Durable, account, mailbox, old, |row, _| {
                    keep(row);
                    Ok(true)
                })?;
            } else {
                for uid in flagged {
                    let key = keys::message(account, mailbox, uid.get());
                    if let Some(octets) = self.durable(Class::Mail, &key)? {
                        keep(record::read_message(uid, &octets)?.0);
                    }
                }
            }
        }
        if let Some(first) = Uid::new(first_new) {
            let last = Uid::LAST;
            let new = UidRange { first, last };
            self.each_message(Seen::Durable, account, mailbox, new, |row, _| {
                keep(row);
                Ok(true)
            })?;
        }
        Ok(Some(changes))
    }

    /// The lowest number from which on all messages came after `since`.
    fn first_new(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
        counters: &Counters,
    ) -> Result<u32, StoreError> {
        let (mut low, mut high) = (1, counters.uid_next.get());
        while low < high {
            let middle = low + (high - low) / 2;
            let mut old = None;
            let range = UidRange {
                first: Uid::new(middle).unwrap_or(Uid::FIRST),
                last: Uid::LAST,
            };
            self.each_message(Seen::Durable, account, mailbox, range, |row, came| {
                old = (came <= since).then_some(row.uid);
                Ok(false)
            })?;
            match old {
                Some(uid) => low = uid.get().saturating_add(1),
                None => high = middle,
            }
        }
        Ok(low)
    }
}

/// Up to so many messages are read one by one.
const FEW: usize = 256;
