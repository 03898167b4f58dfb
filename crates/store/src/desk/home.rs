//! Mail for nobody but accounts of this house, put into their mailboxes as it is accepted.
//!
//! Body, rows of the mailboxes and everybody's counters are one batch: there is no moment in which
//! the message is in the spool. Whatever is not quite plain (somebody lives elsewhere, is full, is
//! gone, is meant twice) leaves the message in the spool, where it takes the way of all mail.

use std::sync::MutexGuard;

use mail::{AccountId, Flags, Recipient, Target, Uid};

use super::{locks::Locks, mailboxes::INBOX_NUMBER, opened::Box, spool::write_mail, store::Store};
use crate::{
    StoreError,
    batch::Batch,
    keeper::Keeper,
    port::{Accepted, BodyRef, Delivered, Fence, Held, MessageRow, NewMail, Pending},
};

/// Who a message is for, when all of them live here and each is meant once; with what stood after
/// the `+`.
struct Homes<'a>(Vec<(AccountId, Option<&'a str>)>);

impl<K: Keeper> Store<K> {
    pub(super) fn try_accept_home(
        &self,
        fence: Fence,
        owners: &[Fence],
        mail: NewMail,
    ) -> Result<Pending<Accepted>, StoreError> {
        if owners
            .iter()
            .any(|owner| owner.epoch != self.keeper.epoch())
        {
            return Err(StoreError::Fenced);
        }
        let homes = Homes::of(&mail.envelope.recipients).filter(|_| mail.answers.is_none());
        let guards = homes.as_ref().and_then(|homes| self.lock_homes(homes));
        let (Some(homes), Some(_guards)) = (homes, guards) else {
            return self.try_accept(fence, mail, Accepted::in_spool);
        };
        let mut batch = self.begin_as(fence)?;
        let id = self.new_id(fence.shard, mail.arrived);
        let delivered = match self.open_homes(&homes, mail.draft.octets())? {
            Some(boxes) => self.put_home(&mut batch, boxes, mail)?,
            None => {
                write_mail(&mut batch, id, mail)?;
                Vec::new()
            }
        };
        Ok(self.commit(batch, Accepted { id, delivered }))
    }

    /// Their locks; `None` if one of them is not free at once: nobody but who has the house's lock
    /// may wait for a second one.
    fn lock_homes(&self, homes: &Homes<'_>) -> Option<Vec<MutexGuard<'_, ()>>> {
        let mut stripes: Vec<usize> = homes.0.iter().map(|(id, _)| Locks::stripe(*id)).collect();
        stripes.sort_unstable();
        stripes.dedup();
        let locks = &self.desk.locks;
        let mut guards = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            guards.push(if guards.is_empty() {
                locks.accounts_of(stripe)
            } else {
                locks.try_accounts_of(stripe)?
            });
        }
        Some(guards)
    }

    /// The mailboxes that it goes to; `None` if one of them cannot take it.
    fn open_homes(&self, homes: &Homes<'_>, octets: u64) -> Result<Option<Vec<Box>>, StoreError> {
        let mut boxes = Vec::with_capacity(homes.0.len());
        for &(account, detail) in &homes.0 {
            match self.open_home(account, detail, octets) {
                Ok(target) => boxes.push(target),
                Err(StoreError::Missing { .. } | StoreError::OverQuota { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        // What several may hold together is seen only where one comes after the other.
        let is_counted = |target: &Box| target.counted_in != Some(None);
        let is_plain = boxes.len() == 1 || !boxes.iter().any(is_counted);
        Ok(is_plain.then_some(boxes))
    }

    fn open_home(
        &self,
        account: AccountId,
        detail: Option<&str>,
        octets: u64,
    ) -> Result<Box, StoreError> {
        let named = match detail {
            Some(detail) => self.numbered(account, detail)?,
            None => None,
        };
        let mut target = self.open_box(account, named.unwrap_or(INBOX_NUMBER))?;
        self.admit(&mut target, Held::of([octets]))?;
        Ok(target)
    }

    fn put_home(
        &self,
        batch: &mut Batch,
        boxes: Vec<Box>,
        mail: NewMail,
    ) -> Result<Vec<Delivered>, StoreError> {
        let body = BodyRef {
            blob: 0,
            octets: mail.draft.octets(),
        };
        let blob = batch.body(mail.draft);
        let save_date = self.keeper.now();
        let mut delivered = Vec::with_capacity(boxes.len());
        for mut target in boxes {
            let row = MessageRow {
                uid: Uid::FIRST,
                modseq: target.modseq,
                flags: Flags::NONE,
                keywords: 0,
                internal_date: mail.arrived,
                save_date,
                body,
                email_id: 0,
                thread_id: 0,
            };
            let appended = self.add(batch, &mut target, row, blob)?;
            self.put_box(batch, &mut target)?;
            delivered.push(Delivered {
                account: target.account,
                mailbox: target.mailbox,
                uid: appended.uid,
                modseq: appended.modseq,
            });
        }
        Ok(delivered)
    }
}

impl<'a> Homes<'a> {
    fn of(recipients: &'a [Recipient]) -> Option<Self> {
        if recipients.is_empty() || recipients.len() > HOMES_MAX {
            return None;
        }
        let mut homes = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let Target::Local { account, detail } = &recipient.target else {
                return None;
            };
            if homes.iter().any(|(known, _)| known == account) {
                return None;
            }
            homes.push((*account, detail.as_deref()));
        }
        Some(Self(homes))
    }
}

/// So many accounts are locked at once, and no more: their locks are short, and others wait.
const HOMES_MAX: usize = 16;
