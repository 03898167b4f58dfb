//! What has changed in a mailbox since a MODSEQ (RFC 7162).
//!
//! New messages need no log: MODSEQs of their coming rise with their UIDs, so the first one after
//! `since` is found by halving. The log holds a row per change of flags or expunge.

use mail::{AccountId, MailboxId, ModSeq, Uid};

use super::store::{Store, missing};
use crate::{
    StoreError,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{Changes, MessageFlags, UidRange},
    record::{self, Counters, SHEET_UIDS, sheet_of},
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
        let mut sheets = vec![sheets_from(
            self.first_new(account, mailbox, since, &counters)?,
        )];
        let mut expunged = Vec::new();
        let from = keys::change(account, mailbox, ModSeq(since.0.saturating_add(1)));
        let until = keys::after(&keys::of_mailbox(b'v', account, mailbox));
        self.span(Seen::Durable, Class::Mail, &from, &until, |_, value| {
            let change = record::read_change(value)?;
            if change.expunged {
                expunged.extend(change.uids());
            } else {
                sheets.extend(change.sheets());
            }
            Ok(true)
        })?;
        expunged.sort_unstable();
        expunged.dedup();
        changes.expunged = expunged;
        let mut keep = |message: &MessageFlags| {
            if message.modseq > since {
                changes.changed.push(*message);
            }
            true
        };
        if !counters.sheets {
            let all = UidRange::ALL;
            self.each_message(Seen::Durable, account, mailbox, all, |row| {
                Ok(keep(&row.flags()))
            })?;
            return Ok(Some(changes));
        }
        for (first, last) in merged(sheets) {
            let range = UidRange {
                first: Uid::new(first * SHEET_UIDS).unwrap_or(Uid::FIRST),
                last: Uid::new(last * SHEET_UIDS + (SHEET_UIDS - 1)).unwrap_or(Uid::LAST),
            };
            self.each_flags(Seen::Durable, account, mailbox, range, &mut keep)?;
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
            self.each_row(Seen::Durable, account, mailbox, range, |uid, octets| {
                let (_, came) = record::read_message(uid, octets)?;
                old = (came <= since).then_some(uid);
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

/// The sheets on which messages with that UID and higher ones are, by their numbers.
fn sheets_from(uid: u32) -> (u32, u32) {
    (uid / SHEET_UIDS, sheet_of(Uid::LAST))
}

/// Spans of sheets, ascending, so that each is read once.
fn merged(mut spans: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    spans.sort_unstable();
    spans.dedup_by(|next, one| {
        let meets = next.0 <= one.1.saturating_add(1);
        if meets {
            one.1 = one.1.max(next.1);
        }
        meets
    });
    spans
}
