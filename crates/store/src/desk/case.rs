//! A message of the spool under its lock: its record, its recipients' states, every index over them.

use std::collections::BTreeMap;

use bytes::Bytes;
use mail::{MessageId, Reply, Time};

use super::store::{Store, missing};
use crate::{
    StoreError,
    batch::{Batch, Blob},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{RecipientState, Settle, State},
    record::{self, Remaining, SpooledHead},
};

/// A spooled message, as far as settling needs to know it.
pub(super) struct Case {
    pub(super) id: MessageId,
    pub(super) head: SpooledHead,
    pub(super) record: Bytes,
    /// Whether it is set aside: no index has it.
    pub(super) is_aside: bool,
}

impl<K: Keeper> Store<K> {
    /// A message in the spool as it stands, for whoever holds its lock.
    pub(super) fn case(&self, id: MessageId) -> Result<Option<Case>, StoreError> {
        let (record, is_aside) = match self.newest(Class::Queue, &keys::spooled(id))? {
            Some(record) => (record, false),
            None => match self.newest(Class::Queue, &keys::spooled_aside(id))? {
                Some(record) => (record, true),
                None => return Ok(None),
            },
        };
        let head = record::read_spooled_head(&record)?;
        Ok(Some(Case {
            id,
            head,
            record,
            is_aside,
        }))
    }

    /// The state of a recipient as it stands.
    pub(super) fn recipient_state(
        &self,
        case: &Case,
        number: u32,
    ) -> Result<RecipientState, StoreError> {
        if number >= case.head.recipients {
            return Err(missing(format!(
                "recipient {number} of message {}",
                case.id
            )));
        }
        match self.newest(Class::Queue, &keys::recipient(case.id, number))? {
            Some(octets) => record::read_recipient(&octets),
            None => Ok(untouched(case.head.arrived)),
        }
    }

    /// Closes a recipient that is open.
    pub(super) fn close_recipient(
        &self,
        batch: &mut Batch,
        case: &Case,
        number: u32,
        before: RecipientState,
    ) -> Result<(), StoreError> {
        let mut after = before.clone();
        after.state = State::Closed;
        let states = BTreeMap::from([(number, (before, after))]);
        self.put_states(batch, case, states)
    }

    /// The state of a recipient as this call has left it so far.
    pub(super) fn state<'a>(
        &self,
        case: &Case,
        number: u32,
        states: &'a mut BTreeMap<u32, (RecipientState, RecipientState)>,
    ) -> Result<&'a mut RecipientState, StoreError> {
        use std::collections::btree_map::Entry;
        let (_, after) = match states.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let before = self.recipient_state(case, number)?;
                entry.insert((before.clone(), before))
            }
        };
        Ok(after)
    }

    /// Writes states before and after into the batch, with every index over them; forgets the
    /// message when nothing remains to be done.
    pub(super) fn put_states(
        &self,
        batch: &mut Batch,
        case: &Case,
        states: BTreeMap<u32, (RecipientState, RecipientState)>,
    ) -> Result<(), StoreError> {
        if states.values().all(|(before, after)| before == after) {
            return Ok(());
        }
        if case.is_aside {
            return self.put_states_aside(batch, case, states);
        }
        let id = case.id;
        let mut left = self.remaining(id)?;
        let was_local = left.local > 0;
        let mut failed = 0;
        let domains = if case.head.remote == 0 {
            Vec::new()
        } else {
            record::read_spooled_domains(&case.record)?
        };
        for (&number, (before, after)) in &states {
            if before == after {
                continue;
            }
            let is = |state: &RecipientState, what| u32::from(state.state == what);
            let domain = domains.get(number as usize).copied().flatten();
            if let Some(domain) = domain {
                put_due(batch, case, number, domain, (before, after));
            }
            recount(&mut left, domain.is_none(), (before, after));
            failed += i64::from(is(after, State::Failed)) - i64::from(is(before, State::Failed));
        }
        if left.all == 0 {
            if failed != 0 {
                batch.remove(Class::Queue, &keys::failed(id));
            }
            batch.remove(Class::Queue, &keys::remaining(id, was_local));
            return self.forget(batch, case);
        }
        let is_local = left.local > 0;
        let row = record::write_remaining(left);
        batch.put(Class::Queue, &keys::remaining(id, is_local), &row);
        if is_local != was_local {
            batch.remove(Class::Queue, &keys::remaining(id, was_local));
        }
        if failed != 0 {
            batch.count(Class::Queue, keys::failed(id).to_vec(), failed);
        }
        put_recipients(batch, id, states)
    }

    /// How many recipients of a message that is there are not closed.
    pub(super) fn remaining(&self, id: MessageId) -> Result<Remaining, StoreError> {
        for local in [true, false] {
            if let Some(octets) = self.newest(Class::Queue, &keys::remaining(id, local))? {
                return record::read_remaining(&octets);
            }
        }
        // Never taken for "none": that would forget the message.
        Err(StoreError::Damage {
            what: format!("the count of open recipients of message {id}"),
        })
    }

    /// Removes all that is known of a message (S4).
    pub(super) fn forget(&self, batch: &mut Batch, case: &Case) -> Result<(), StoreError> {
        let id = case.id;
        if case.is_aside {
            batch.remove(Class::Queue, &keys::spooled_aside(id));
            batch.remove(Class::Queue, &keys::aside(id));
        } else {
            batch.remove(Class::Queue, &keys::spooled(id));
        }
        batch.refer(Blob::Old(case.head.body.blob), -1);
        if case.head.recipients > 1 {
            let prefix = keys::recipients(id);
            self.each(Seen::Newest, Class::Queue, &prefix, |key, _| {
                batch.remove(Class::Queue, key);
                Ok(true)
            })?;
        } else if self
            .newest(Class::Queue, &keys::recipient(id, 0))?
            .is_some()
        {
            batch.remove(Class::Queue, &keys::recipient(id, 0));
        }
        Ok(())
    }
}

/// How every recipient begins; it has no row of its own.
pub(super) const fn untouched(arrived: Time) -> RecipientState {
    RecipientState {
        state: State::Open,
        attempts: 0,
        due: arrived,
        last: None,
        delay_told: false,
    }
}

/// Counts what has become of a recipient.
pub(super) fn recount(
    left: &mut Remaining,
    is_local: bool,
    (before, after): (&RecipientState, &RecipientState),
) {
    let is = |state: &RecipientState, what| u32::from(state.state == what);
    if is_local {
        left.local = (left.local + is(after, State::Open)).saturating_sub(is(before, State::Open));
    }
    left.all = left
        .all
        .saturating_sub(is(after, State::Closed) - is(before, State::Closed));
}

/// Writes the states that have changed.
pub(super) fn put_recipients(
    batch: &mut Batch,
    id: MessageId,
    states: BTreeMap<u32, (RecipientState, RecipientState)>,
) -> Result<(), StoreError> {
    for (number, (before, after)) in states {
        if before != after {
            let record = record::write_recipient(&after)?;
            batch.put(Class::Queue, &keys::recipient(id, number), &record);
        }
    }
    Ok(())
}

/// Keeps the due index of a remote domain true.
fn put_due(
    batch: &mut Batch,
    case: &Case,
    number: u32,
    domain: &str,
    (before, after): (&RecipientState, &RecipientState),
) {
    let was_open = before.state == State::Open;
    let is_open = after.state == State::Open;
    if was_open && (!is_open || before.due != after.due) {
        let key = keys::due(domain, before.due, case.id, number);
        batch.remove(Class::Queue, &key);
    }
    if is_open {
        let row = record::write_due(after.attempts, case.head.arrived);
        batch.put(
            Class::Queue,
            &keys::due(domain, after.due, case.id, number),
            &row,
        );
    }
    let by = i64::from(is_open) - i64::from(was_open);
    if by != 0 {
        batch.count(Class::Queue, keys::waiting(domain), by);
    }
}

/// What a report changes: nothing about a closed recipient, and a failed one can only be closed.
pub(super) fn apply(state: &mut RecipientState, settle: Settle) {
    let attempt = |state: &mut RecipientState, reply: Reply| {
        state.attempts = state.attempts.saturating_add(1);
        state.last = Some(reply);
    };
    match (state.state, settle) {
        (State::Open | State::Failed, Settle::Close(reply)) => {
            attempt(state, reply);
            state.state = State::Closed;
        }
        (State::Open, Settle::Again { due, reply }) => {
            attempt(state, reply);
            state.due = due;
        }
        (State::Open, Settle::DelayTold) => state.delay_told = true,
        (State::Open, Settle::Fail(reply)) => {
            attempt(state, reply);
            state.state = State::Failed;
        }
        (State::Open, Settle::Hasten(due)) => state.due = due,
        (State::Closed | State::Failed, _) => {}
    }
}
