//! The spool: what accepting and settling change.

use std::collections::BTreeMap;

use mail::{Domain, MessageId, Recipient, Target, Time};

use super::{
    case::{apply, untouched},
    store::{Store, damaged_key, settled},
};
use crate::{
    StoreError,
    batch::Batch,
    keeper::{Keeper, Seen},
    keys::{self, Class},
    port::{
        Accepted, Aside, Body, BodyRef, BodyWriter, DueRow, Fence, NewMail, Pending,
        RecipientState, Settle, Spool, Spooled, State,
    },
    record::{self, Remaining},
};

impl<K: Keeper> Spool for Store<K> {
    fn draft(&self) -> BodyWriter {
        self.keeper.draft()
    }

    fn accept(&self, fence: Fence, mail: NewMail) -> Pending<MessageId> {
        settled(self.try_accept(fence, mail, |id| id))
    }

    fn accept_home(&self, fence: Fence, owners: &[Fence], mail: NewMail) -> Pending<Accepted> {
        settled(self.try_accept_home(fence, owners, mail))
    }

    fn get(&self, id: MessageId) -> Result<Option<Spooled>, StoreError> {
        match self.durable(Class::Queue, &keys::spooled(id))? {
            Some(octets) => self.spooled(id, &octets).map(Some),
            None => Ok(None),
        }
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

    fn set_aside(&self, fence: Fence, id: MessageId, report: String) -> Pending<()> {
        settled(self.try_set_aside(fence, id, report))
    }

    fn release(&self, fence: Fence, id: MessageId) -> Pending<()> {
        settled(self.try_release(fence, id))
    }

    fn aside(&self, after: Option<MessageId>, limit: usize) -> Result<Vec<MessageId>, StoreError> {
        self.ids(b'Y', after, limit)
    }

    fn get_aside(&self, id: MessageId) -> Result<Option<Aside>, StoreError> {
        self.read_aside(id)
    }

    fn read(&self, body: &BodyRef) -> Result<Body, StoreError> {
        self.keeper.read(body)
    }
}

impl<K: Keeper> Store<K> {
    /// Yields what `say` says of the message.
    pub(super) fn try_accept<T: Send + 'static>(
        &self,
        fence: Fence,
        mail: NewMail,
        say: impl FnOnce(MessageId) -> T,
    ) -> Result<Pending<T>, StoreError> {
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
        let pending = self.commit(batch, say(id));
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

    /// A message whose record has been read, with the durable states of its recipients.
    pub(super) fn spooled(&self, id: MessageId, octets: &[u8]) -> Result<Spooled, StoreError> {
        let head = record::read_spooled_head(octets)?;
        let (envelope, origin) = record::read_spooled(octets)?;
        let mut states = vec![untouched(head.arrived); envelope.recipients.len()];
        self.each_state(Seen::Durable, id, |number, state| {
            if let Some(place) = states.get_mut(number as usize) {
                *place = state;
            }
        })?;
        Ok(Spooled {
            id,
            envelope,
            body: head.body,
            arrived: head.arrived,
            origin,
            states,
        })
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

/// Everything that the spool knows of a new message.
pub(super) fn write_mail(
    batch: &mut Batch,
    id: MessageId,
    mail: NewMail,
) -> Result<(), StoreError> {
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
