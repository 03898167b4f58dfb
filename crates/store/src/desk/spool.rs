//! The spool: what accepting and settling change.

use std::collections::BTreeMap;

use bytes::Bytes;
use mail::{Domain, MessageId, Recipient, Reply, Target, Time};

use super::store::{Store, damaged_key, missing, settled};
use crate::{
    StoreError,
    batch::{Batch, Blob},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{
        Body, BodyRef, BodyWriter, DueRow, Fence, NewMail, Pending, RecipientState, Settle, Spool,
        Spooled, State,
    },
    record::{self, Remaining, SpooledHead},
};

impl<K: Keeper> Spool for Store<K> {
    fn draft(&self) -> BodyWriter {
        self.keeper.draft()
    }

    fn accept(&self, fence: Fence, mail: NewMail) -> Pending<MessageId> {
        settled(self.try_accept(fence, mail))
    }

    fn get(&self, id: MessageId) -> Result<Option<Spooled>, StoreError> {
        let Some(octets) = self.durable(Class::Queue, &keys::spooled(id))? else {
            return Ok(None);
        };
        let head = record::read_spooled_head(&octets)?;
        let (envelope, origin) = record::read_spooled(&octets)?;
        let mut states = vec![untouched(head.arrived); envelope.recipients.len()];
        self.each_state(Seen::Durable, id, |number, state| {
            if let Some(place) = states.get_mut(number as usize) {
                *place = state;
            }
        })?;
        Ok(Some(Spooled {
            id,
            envelope,
            body: head.body,
            arrived: head.arrived,
            origin,
            states,
        }))
    }

    fn open(&self, after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError> {
        let mut found = self.ids(b'O', after, limit)?;
        found.extend(self.ids(b'P', after, limit)?);
        found.sort_unstable();
        // One that moved between the two reads is there twice.
        found.dedup();
        found.truncate(limit);
        Ok(found)
    }

    fn open_local(
        &self,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        self.ids(b'O', after, limit)
    }

    fn domains(
        &self,
        after: Option<&Domain>,
        limit: usize,
    ) -> Result<Vec<(Domain, u64)>, StoreError> {
        let from = after.map_or_else(
            || b"N".to_vec(),
            |domain| keys::next(&keys::waiting(domain.as_str())),
        );
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.span(Seen::Durable, Class::Queue, &from, b"O", |key, value| {
            let name = std::str::from_utf8(&key[1..]).ok();
            let domain = name.and_then(|name| name.parse().ok());
            let domain = domain.ok_or_else(|| damaged_key(Class::Queue, key))?;
            found.push((domain, record::read_count(value)?));
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    fn due(
        &self,
        domain: &Domain,
        from: Option<(Time, MessageId, u32)>,
        limit: usize,
    ) -> Result<Vec<DueRow>, StoreError> {
        let prefix = keys::dues(domain.as_str());
        let until = keys::after(&prefix);
        let from = from.map_or(prefix, |(due, id, recipient)| {
            keys::due(domain.as_str(), due, id, recipient)
        });
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.span(Seen::Durable, Class::Queue, &from, &until, |key, value| {
            let (due, id, recipient) =
                keys::read_due(key).ok_or_else(|| damaged_key(Class::Queue, key))?;
            let (attempts, arrived) = record::read_due(value)?;
            found.push(DueRow {
                due,
                id,
                recipient,
                attempts,
                arrived,
            });
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    fn failed(&self, after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError> {
        self.ids(b'F', after, limit)
    }

    fn settle(&self, fence: Fence, id: MessageId, what: Vec<(u32, Settle)>) -> Pending<()> {
        settled(self.try_settle(fence, id, what))
    }

    fn read(&self, body: &BodyRef) -> Result<Body, StoreError> {
        self.keeper.read(body)
    }
}

/// A spooled message, as far as settling needs to know it.
pub(super) struct Case {
    id: MessageId,
    pub(super) head: SpooledHead,
    record: Bytes,
}

impl<K: Keeper> Store<K> {
    fn try_accept(&self, fence: Fence, mail: NewMail) -> Result<Pending<MessageId>, StoreError> {
        let guard = mail
            .answers
            .as_ref()
            .map(|answer| self.desk.locks.message(answer.id));
        let mut batch = self.begin_as(fence)?;
        let id = self.new_id(fence.shard, mail.arrived);
        if let Some(answer) = &mail.answers
            && let Some(case) = self.case(answer.id)?
        {
            let closed = |state: &mut RecipientState| state.state = State::Closed;
            let numbers = answer.recipients.iter();
            let numbers = numbers.filter(|&&number| number < case.head.recipients);
            let mut states = BTreeMap::new();
            for &number in numbers {
                closed(self.state(&case, number, &mut states)?);
            }
            self.put_states(&mut batch, &case, states)?;
        }
        if !mail.envelope.recipients.is_empty() {
            write_mail(&mut batch, id, mail)?;
        }
        let pending = self.commit(batch, id);
        drop(guard);
        Ok(pending)
    }

    fn try_settle(
        &self,
        fence: Fence,
        id: MessageId,
        what: Vec<(u32, Settle)>,
    ) -> Result<Pending<()>, StoreError> {
        let _guard = self.desk.locks.message(id);
        let mut batch = self.begin_as(fence)?;
        if let Some(case) = self.case(id)? {
            let mut states = BTreeMap::new();
            for (number, settle) in what {
                if number < case.head.recipients {
                    apply(self.state(&case, number, &mut states)?, settle);
                }
            }
            self.put_states(&mut batch, &case, states)?;
        }
        Ok(self.commit(batch, ()))
    }

    /// A message in the spool as it stands, for whoever holds its lock.
    pub(super) fn case(&self, id: MessageId) -> Result<Option<Case>, StoreError> {
        let Some(record) = self.newest(Class::Queue, &keys::spooled(id))? else {
            return Ok(None);
        };
        let head = record::read_spooled_head(&record)?;
        Ok(Some(Case { id, head, record }))
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
    fn state<'a>(
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
    fn put_states(
        &self,
        batch: &mut Batch,
        case: &Case,
        states: BTreeMap<u32, (RecipientState, RecipientState)>,
    ) -> Result<(), StoreError> {
        if states.values().all(|(before, after)| before == after) {
            return Ok(());
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
            if let Some(Some(domain)) = domains.get(number as usize) {
                put_due(batch, case, number, domain, (before, after));
            } else {
                left.local =
                    (left.local + is(after, State::Open)).saturating_sub(is(before, State::Open));
            }
            left.all = left
                .all
                .saturating_sub(is(after, State::Closed) - is(before, State::Closed));
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
        for (number, (before, after)) in states {
            if before != after {
                let record = record::write_recipient(&after)?;
                batch.put(Class::Queue, &keys::recipient(id, number), &record);
            }
        }
        Ok(())
    }

    /// How many recipients of a message that is there are not closed.
    fn remaining(&self, id: MessageId) -> Result<Remaining, StoreError> {
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
    fn forget(&self, batch: &mut Batch, case: &Case) -> Result<(), StoreError> {
        let id = case.id;
        batch.remove(Class::Queue, &keys::spooled(id));
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

    fn each_state(
        &self,
        seen: Seen,
        id: MessageId,
        mut each: impl FnMut(u32, RecipientState),
    ) -> Result<(), StoreError> {
        self.each(seen, Class::Queue, &keys::recipients(id), |key, value| {
            let number = key.last_chunk().copied().map(u32::from_be_bytes);
            let number = number.ok_or_else(|| damaged_key(Class::Queue, key))?;
            each(number, record::read_recipient(value)?);
            Ok(true)
        })
    }

    /// Message ids of an index, ascending after a key.
    fn ids(
        &self,
        table: u8,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        let from = after.map_or_else(
            || vec![table],
            |id| keys::next(&keys::of_message(table, id)),
        );
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.span(
            Seen::Durable,
            Class::Queue,
            &from,
            &[table + 1],
            |key, _| {
                let id = keys::read_message_id(key);
                found.push(id.ok_or_else(|| damaged_key(Class::Queue, key))?);
                Ok(found.len() < limit)
            },
        )?;
        Ok(found)
    }
}

/// How every recipient begins; it has no row of its own.
const fn untouched(arrived: Time) -> RecipientState {
    RecipientState {
        state: State::Open,
        attempts: 0,
        due: arrived,
        last: None,
        delay_told: false,
    }
}

fn write_mail(batch: &mut Batch, id: MessageId, mail: NewMail) -> Result<(), StoreError> {
    let NewMail {
        envelope,
        draft,
        arrived,
        origin,
        answers: _,
    } = mail;
    let record = record::write_spooled(&envelope, draft.octets(), arrived, &origin)?;
    let blob = batch.body(draft);
    batch.refer(blob, 1);
    let places = [record::SPOOLED_BLOB_AT];
    let key = keys::spooled(id);
    batch.put_with_blob(Class::Queue, &key, &record, (blob, &places));
    let is_local = |recipient: &&Recipient| matches!(recipient.target, Target::Local { .. });
    let remaining = Remaining {
        all: record::small(envelope.recipients.len()),
        local: record::small(envelope.recipients.iter().filter(is_local).count()),
    };
    let key = keys::remaining(id, remaining.local > 0);
    batch.put_fresh(Class::Queue, &key, &record::write_remaining(remaining));
    let due = record::write_due(0, arrived);
    for (number, recipient) in (0..).zip(&envelope.recipients) {
        if let Recipient {
            target: Target::Remote(domain),
            ..
        } = recipient
        {
            let key = keys::due(domain.as_str(), arrived, id, number);
            batch.put_fresh(Class::Queue, &key, &due);
            batch.count(Class::Queue, keys::waiting(domain.as_str()), 1);
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
fn apply(state: &mut RecipientState, settle: Settle) {
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
