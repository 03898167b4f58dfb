//! Messages that are set aside: out of every index, and back.
//!
//! The record moves to a table of its own, so that whoever looks for the message finds none, and
//! nobody who handles mail has to ask whether one is aside.

use std::collections::BTreeMap;

use mail::MessageId;

use super::{
    case::{Case, put_recipients, recount},
    store::Store,
};
use crate::{
    StoreError,
    batch::Batch,
    keeper::Keeper,
    keys::{self, Class},
    port::{Aside, Fence, Pending, REPORT_OCTETS_MAX, RecipientState, State},
    record::{self, AsideRecord},
};

impl<K: Keeper> Store<K> {
    pub(super) fn try_set_aside(
        &self,
        fence: Fence,
        id: MessageId,
        mut report: String,
    ) -> Result<Pending<()>, StoreError> {
        let _guard = self.desk.locks.message(id);
        let mut batch = self.begin_as(fence)?;
        let case = match self.case(id)? {
            Some(case) if !case.is_aside => case,
            _ => return Ok(self.commit(batch, ())),
        };
        let remaining = self.remaining(id)?;
        report.truncate(report.floor_char_boundary(REPORT_OCTETS_MAX));
        let aside = AsideRecord {
            remaining,
            since: self.keeper.now(),
            report,
        };
        let is_local = remaining.local > 0;
        batch.remove(Class::Queue, &keys::spooled(id));
        batch.remove(Class::Queue, &keys::remaining(id, is_local));
        batch.put(Class::Queue, &keys::spooled_aside(id), &case.record);
        batch.put(Class::Queue, &keys::aside(id), &record::write_aside(&aside));
        let mut has_failed = false;
        self.each_left(&case, |domain, number, state| match state.state {
            State::Closed => {}
            State::Failed => has_failed = true,
            State::Open => {
                if let Some(domain) = domain {
                    let key = keys::due(domain, state.due, id, number);
                    batch.remove(Class::Queue, &key);
                    batch.count(Class::Queue, keys::waiting(domain), -1);
                }
            }
        })?;
        if has_failed {
            batch.remove(Class::Queue, &keys::failed(id));
        }
        Ok(self.commit(batch, ()))
    }

    pub(super) fn try_release(
        &self,
        fence: Fence,
        id: MessageId,
    ) -> Result<Pending<()>, StoreError> {
        let _guard = self.desk.locks.message(id);
        let mut batch = self.begin_as(fence)?;
        let case = match self.case(id)? {
            Some(case) if case.is_aside => case,
            _ => return Ok(self.commit(batch, ())),
        };
        let remaining = self.aside_record(id)?.remaining;
        batch.remove(Class::Queue, &keys::spooled_aside(id));
        batch.remove(Class::Queue, &keys::aside(id));
        batch.put(Class::Queue, &keys::spooled(id), &case.record);
        let key = keys::remaining(id, remaining.local > 0);
        batch.put(Class::Queue, &key, &record::write_remaining(remaining));
        let mut failed = 0;
        self.each_left(&case, |domain, number, state| match state.state {
            State::Closed => {}
            State::Failed => failed += 1,
            State::Open => {
                if let Some(domain) = domain {
                    let row = record::write_due(state.attempts, case.head.arrived);
                    let key = keys::due(domain, state.due, id, number);
                    batch.put(Class::Queue, &key, &row);
                    batch.count(Class::Queue, keys::waiting(domain), 1);
                }
            }
        })?;
        batch.count(Class::Queue, keys::failed(id).to_vec(), failed);
        Ok(self.commit(batch, ()))
    }

    pub(super) fn read_aside(&self, id: MessageId) -> Result<Option<Aside>, StoreError> {
        let why = self.durable(Class::Queue, &keys::aside(id))?;
        let record = self.durable(Class::Queue, &keys::spooled_aside(id))?;
        // Between the two reads it may have been released.
        let Some((why, record)) = why.zip(record) else {
            return Ok(None);
        };
        let AsideRecord { since, report, .. } = record::read_aside(&why)?;
        Ok(Some(Aside {
            message: self.spooled(id, &record)?,
            since,
            report,
        }))
    }

    /// Writes states of a message that is set aside: only its own count is kept true.
    pub(super) fn put_states_aside(
        &self,
        batch: &mut Batch,
        case: &Case,
        states: BTreeMap<u32, (RecipientState, RecipientState)>,
    ) -> Result<(), StoreError> {
        let mut aside = self.aside_record(case.id)?;
        let domains = record::read_spooled_domains(&case.record)?;
        for (&number, (before, after)) in &states {
            let is_local = domains.get(number as usize).is_none_or(Option::is_none);
            recount(&mut aside.remaining, is_local, (before, after));
        }
        if aside.remaining.all == 0 {
            return self.forget(batch, case);
        }
        let record = record::write_aside(&aside);
        batch.put(Class::Queue, &keys::aside(case.id), &record);
        put_recipients(batch, case.id, states)
    }

    /// Calls `each` for every recipient with its remote domain and its state as it stands.
    fn each_left(
        &self,
        case: &Case,
        mut each: impl FnMut(Option<&str>, u32, RecipientState),
    ) -> Result<(), StoreError> {
        let domains = record::read_spooled_domains(&case.record)?;
        for (number, domain) in (0..).zip(domains) {
            each(domain, number, self.recipient_state(case, number)?);
        }
        Ok(())
    }

    fn aside_record(&self, id: MessageId) -> Result<AsideRecord, StoreError> {
        match self.newest(Class::Queue, &keys::aside(id))? {
            Some(octets) => record::read_aside(&octets),
            // Never taken for "none": that would forget the message.
            None => Err(StoreError::Damage {
                what: format!("why message {id} is set aside"),
            }),
        }
    }
}
