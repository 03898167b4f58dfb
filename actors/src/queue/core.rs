//! What a domain queue decides. No tokio, no ractor, no clock, no disk.
//!
//! Events go in, [`Effect`]s come out. The queue holds a *window* of the domain's open recipients,
//! the ones due first; the spool has them all, and the window is refilled from it.
//!
//! ```text
//!                enqueue / refill
//!                       │
//!                       ▼      due, site reachable,       settled        recorded
//!                    waiting ───── a delivery free ──► in flight ──► recording ──► gone
//!                       ▲                                 │              │
//!                       ├──────── lost its delivery ──────┘              │
//!                       └──────── deferred ──────────────────────────────┘
//! ```
//!
//! Recipients of one message travel together. A delivery that asks for more and finds nothing is
//! *idle*: it waits with its connection, and what is due next goes to it; a further connection is
//! opened only when that [is worth it](ramp). While there is hardly room for more deliveries in the
//! house, a domain has one, and nobody waits. A site that cannot be reached at all is *held*:
//! nothing is tried until the hold ends, then one delivery probes it. What the store does not
//! record is told to it again, and not to the peer.
//!
//! It does not know where the domain's mail is carried to, nor how.

mod carriers;
mod effect;
mod inherited;
mod ramp;
mod report;
mod settlements;
mod site;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use mail::{MessageId, Outcome, Reply, Time};
use policy::retry::Schedule;
use store::port::{DueRow, Settle};

use self::{
    carriers::Carriers, inherited::Inherited, ramp::Ramp, settlements::Settlements, site::Site,
};

pub use self::effect::{Effect, Key, Limits};

/// What waits for one domain, what is being tried, and what is due.
#[derive(Debug)]
pub struct DomainQueue {
    limits: Limits,
    schedule: Schedule,
    items: HashMap<Key, Item>,
    waiting: BTreeSet<(Time, Key)>,
    carriers: Carriers,
    inherited: Inherited,
    ramp: Ramp,
    /// Whether others want the room that deliveries take.
    crowded: bool,
    /// The number of the latest delivery; none is used twice.
    attempt_last: u64,
    /// What is due from then on may stand in the spool alone; `None`: all of it is held here.
    beyond: Option<Time>,
    settlements: Settlements,
    site: Site,
    last: Option<String>,
}

#[derive(Debug)]
struct Item {
    arrived: Time,
    due: Time,
    attempts: u32,
    stage: Stage,
    late_told: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    InFlight(u64),
    Recording,
    Waiting,
}

impl DomainQueue {
    /// An empty queue that has not looked at the spool yet. Deliveries are numbered from
    /// `attempt_last` on: higher than any of an earlier incarnation.
    #[must_use]
    pub fn new(limits: Limits, schedule: Schedule, attempt_last: u64) -> Self {
        Self {
            limits,
            schedule,
            items: HashMap::new(),
            waiting: BTreeSet::new(),
            carriers: Carriers::default(),
            inherited: Inherited::default(),
            ramp: Ramp::default(),
            crowded: false,
            attempt_last,
            beyond: Some(Time(0)),
            settlements: Settlements::default(),
            site: Site::default(),
            last: None,
        }
    }

    /// A recipient is to go to this domain. What is known already is passed over, and what comes
    /// after the window is left to the spool. Nothing is tried before [`DomainQueue::wake`], so
    /// that recipients of one message that are told one by one travel together.
    pub fn enqueue(&mut self, row: DueRow) {
        if self.beyond.is_none_or(|beyond| row.due < beyond) {
            self.admit(row);
        }
    }

    /// The spool may have what nobody has told: asks for it.
    pub fn look(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.ask_the_spool(effects);
        self.fill(now, effects);
    }

    /// The spool's due rows, as asked for by [`Effect::Refill`]; `limit` is what was asked.
    pub fn refill(
        &mut self,
        rows: Vec<DueRow>,
        limit: usize,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        let last = rows.last().filter(|_| rows.len() >= limit);
        self.beyond = last.map(|row| row.due);
        for row in rows {
            self.admit(row);
        }
        self.fill(now, effects);
    }

    /// Something may be due.
    pub fn wake(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.fill(now, effects);
    }

    /// An operator wants it tried now: all of it, or one message.
    pub fn flush(&mut self, only: Option<MessageId>, now: Time, effects: &mut Vec<Effect>) {
        self.site.release();
        let wanted = |key: &Key| only.is_none_or(|id| key.0 == id);
        let keys: Vec<Key> = self
            .waiting
            .iter()
            .map(|(_, key)| *key)
            .filter(wanted)
            .collect();
        for key in keys {
            self.reschedule(key, now);
        }
        if self.beyond.is_some() {
            self.ask_the_spool(effects); // there it may be due now, too
        }
        self.fill(now, effects);
    }

    /// Whether there is hardly room in the house for more deliveries: then each domain has one.
    pub const fn crowd(&mut self, crowded: bool) {
        self.crowded = crowded;
    }

    /// A delivery whose connection stands asks for more. It is handed the next message if one is
    /// due; else it waits for one, if it `may_wait`, or is dismissed.
    pub fn more(&mut self, attempt: u64, may_wait: bool, now: Time, effects: &mut Vec<Effect>) {
        let Some(first) = self.carriers.ask(attempt) else {
            return effects.push(Effect::Dismiss(attempt));
        };
        if let Some(begun) = first {
            self.ramp.learn(now.since(begun));
        }
        // It has a connection: the site is well.
        self.site = Site::default();
        let is_one_of_many = self.crowded && self.carriers.len() > 1;
        if !is_one_of_many && self.is_due(now) {
            self.hand(attempt, now, effects);
        } else if may_wait && !self.crowded {
            self.carriers.rest(attempt);
        } else {
            effects.push(Effect::Dismiss(attempt));
        }
    }

    /// A delivery takes its leave: its connection is about to close. What it was handed and has
    /// not begun with waits again.
    pub fn leave(&mut self, attempt: u64, now: Time, effects: &mut Vec<Effect>) {
        if self.lose_inherited(attempt, now, effects) {
            return;
        }
        for key in self.carriers.leave(attempt) {
            self.put_back(key);
        }
        self.fill(now, effects);
    }

    /// Attempts have ended. Reports about what is not in flight with that attempt are stale and
    /// passed over.
    pub fn settle(
        &mut self,
        attempt: u64,
        id: MessageId,
        outcomes: Vec<(u32, Outcome)>,
        now: Time,
        jitter: f64,
        effects: &mut Vec<Effect>,
    ) {
        let mut what = Vec::with_capacity(outcomes.len());
        for (recipient, outcome) in outcomes {
            let key = (id, recipient);
            if !self.may_end(attempt, key, &outcome, now) {
                continue;
            }
            let Some(settle) = self.end(key, outcome, now, jitter) else {
                continue;
            };
            self.carriers.put_down(attempt, key);
            what.push((recipient, settle));
        }
        if !what.is_empty() {
            effects.push(Effect::Record { id, what });
        }
        self.fill(now, effects);
    }

    /// The spool has taken a record, or has not: then it is told again after a pause.
    pub fn recorded(
        &mut self,
        id: MessageId,
        recipients: &[u32],
        stored: bool,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        let mut to_return = false;
        let mut late = false;
        for &recipient in recipients {
            let key = (id, recipient);
            if !stored {
                self.settlements.refuse(key, now + STORE_TROUBLE_PAUSE);
                continue;
            }
            let Some(settle) = self.settlements.confirm(key) else {
                continue;
            };
            let Some(item) = self.items.get_mut(&key) else {
                continue;
            };
            let Settle::Again { due, .. } = settle else {
                to_return |= matches!(settle, Settle::Fail(_));
                self.items.remove(&key);
                continue;
            };
            if self.schedule.is_late(item.arrived, now) && !item.late_told {
                item.late_told = true;
                late = true;
            }
            item.due = due;
            if self.beyond.is_some_and(|beyond| due >= beyond) {
                // Others come before it, and the spool has it: it must not take their place.
                self.items.remove(&key);
            } else {
                self.put_back(key);
            }
        }
        if to_return {
            effects.push(Effect::Return(id));
        }
        if late {
            effects.push(Effect::Late(id));
        }
        self.fill(now, effects);
    }

    /// A delivery is gone; what it carried and had not settled waits again. With `unreachable` it
    /// never had a connection: after a few of these the site is held.
    pub fn gone(
        &mut self,
        attempt: u64,
        unreachable: Option<Reply>,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        let Some(carried) = self.carriers.remove(attempt) else {
            self.lose_inherited(attempt, now, effects);
            return;
        };
        for key in carried {
            if let Some(item) = self.items.get_mut(&key) {
                // It died without a word: give what killed it time to pass.
                item.due = item.due.max(now + LOST_DELIVERY_PAUSE);
                self.put_back(key);
            }
        }
        if let Some(reply) = unreachable {
            self.site.failed(now, self.schedule.first());
            if self.site.is_dead() {
                self.share_fate(&reply, now, effects);
            }
            self.last = Some(format!("cannot be reached: {reply}"));
        }
        self.fill(now, effects);
    }

    /// Whether nothing is held here and the spool has nothing more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nobody = self.carriers.is_empty() && self.inherited.is_empty();
        nobody && self.items.is_empty() && self.beyond.is_none()
    }

    fn admit(&mut self, row: DueRow) {
        let key = (row.id, row.recipient);
        if self.items.contains_key(&key) {
            return;
        }
        if self.items.len() >= self.limits.window {
            match self.waiting.last().copied() {
                // The window holds what is due first: the last one makes room.
                Some((due, last)) if due > row.due => {
                    self.waiting.remove(&(due, last));
                    self.items.remove(&last);
                    self.ends_at(due);
                }
                _ => return self.ends_at(row.due),
            }
        }
        let item = Item {
            arrived: row.arrived,
            due: row.due,
            attempts: row.attempts,
            stage: Stage::Waiting,
            late_told: false,
        };
        self.waiting.insert((item.due, key));
        self.items.insert(key, item);
    }

    /// The window does not reach farther than that.
    fn ends_at(&mut self, due: Time) {
        self.beyond = Some(self.beyond.map_or(due, |beyond| beyond.min(due)));
    }

    /// An attempt has ended for a recipient; yields what the store is to be told.
    fn end(&mut self, key: Key, outcome: Outcome, now: Time, jitter: f64) -> Option<Settle> {
        let item = self.items.get_mut(&key)?;
        item.attempts += 1;
        item.stage = Stage::Recording;
        let settle = match outcome {
            Outcome::Defer(reply) => {
                match self.schedule.next(item.attempts, item.arrived, now, jitter) {
                    Some(due) => Settle::Again { due, reply },
                    None => Settle::Fail(expired(&reply)),
                }
            }
            outcome => Settle::from_outcome(outcome, now),
        };
        self.last = Some(in_words(&settle));
        self.settlements.begin(key, settle.clone());
        Some(settle)
    }

    /// A dead site is only probed, and most of what is due is not tried. Whoever should hear by
    /// now that it is late or has expired hears it all the same, with the probe's answer.
    fn share_fate(&mut self, reply: &Reply, now: Time, effects: &mut Vec<Effect>) {
        let overdue = |(_, key): &&(Time, Key)| {
            self.items.get(key).is_some_and(|item| {
                let is_late = self.schedule.is_late(item.arrived, now) && !item.late_told;
                is_late || now >= self.schedule.expires(item.arrived)
            })
        };
        let due = self.waiting.iter().take_while(|(due, _)| *due <= now);
        let overdue: Vec<(Time, Key)> = due.filter(overdue).copied().collect();
        let mut told: BTreeMap<MessageId, Vec<(u32, Settle)>> = BTreeMap::new();
        for (due, key) in overdue {
            self.waiting.remove(&(due, key));
            if let Some(settle) = self.end(key, Outcome::Defer(reply.clone()), now, 0.5) {
                told.entry(key.0).or_default().push((key.1, settle));
            }
        }
        let record = |(id, what)| Effect::Record { id, what };
        effects.extend(told.into_iter().map(record));
    }

    fn put_back(&mut self, key: Key) {
        if let Some(item) = self.items.get_mut(&key) {
            item.stage = Stage::Waiting;
            self.waiting.insert((item.due, key));
        }
    }

    fn reschedule(&mut self, key: Key, due: Time) {
        if let Some(item) = self.items.get_mut(&key) {
            self.waiting.remove(&(item.due, key));
            item.due = due;
            self.waiting.insert((due, key));
        }
    }

    fn ask_the_spool(&self, effects: &mut Vec<Effect>) {
        // What is in flight or being recorded still stands in the spool, first in line.
        let busy = self.items.len() - self.waiting.len();
        effects.push(Effect::Refill(self.limits.window + busy));
    }

    /// Hands out what is due, starts what may start, asks for more of the spool at the low-water
    /// mark, sets the alarm.
    fn fill(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.begin_without_them(now, effects) {
            return; // it comes back with what the spool has
        }
        let again = self.settlements.due(now).into_iter();
        effects.extend(again.map(|(id, what)| Effect::Record { id, what }));
        while self.is_due(now)
            && let Some(attempt) = self.carriers.rouse()
        {
            self.hand(attempt, now, effects);
        }
        while self.crowded
            && let Some(attempt) = self.carriers.rouse()
        {
            effects.push(Effect::Dismiss(attempt));
        }
        let mut worth_it = None;
        while let Some(due) = self.due_since(now)
            && self.has_place(now)
        {
            match self.ramp.open(self.carriers.at_work(), due, now) {
                Ok(()) => self.begin(now, effects),
                Err(at) => {
                    worth_it = Some(at);
                    break;
                }
            }
        }
        if self.beyond.is_some() && self.has_room() {
            self.ask_the_spool(effects);
        }
        let alarm = match self.next_due() {
            // Due already: a free delivery will take it, or a further one will be worth it.
            Some(due) if due <= now => worth_it,
            due => due,
        };
        let others = [self.settlements.next(), self.inherited.awaited(now)];
        let alarm = alarm.into_iter().chain(others.into_iter().flatten()).min();
        effects.extend(alarm.map(Effect::WakeAt));
    }

    /// Whether one more delivery may be started at all.
    fn has_place(&self, now: Time) -> bool {
        let one_only = self.crowded || !self.site.is_well(); // after trouble, one probes first
        let deliveries_max = if one_only {
            1
        } else {
            self.limits.deliveries_max
        };
        let may_try = !self.site.is_held(now) && self.inherited.awaited(now).is_none();
        may_try && self.carriers.len() < deliveries_max
    }

    /// Starts a delivery with what is due first.
    fn begin(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.attempt_last += 1;
        let attempt = self.attempt_last;
        self.carriers.begin(attempt, now);
        effects.extend(
            self.take_due(attempt, now)
                .map(|(id, recipients)| Effect::Attempt {
                    attempt,
                    id,
                    recipients,
                }),
        );
    }

    /// Gives a delivery that has asked what is due first.
    fn hand(&mut self, attempt: u64, now: Time, effects: &mut Vec<Effect>) {
        effects.extend(
            self.take_due(attempt, now)
                .map(|(id, recipients)| Effect::Hand {
                    attempt,
                    id,
                    recipients,
                }),
        );
    }

    /// Whether little waits, and reading the spool would bring a good part of a window. With all
    /// of the window in flight, it would bring nothing.
    fn has_room(&self) -> bool {
        let (quarter, room) = (
            self.limits.window / 4,
            self.limits.window.saturating_sub(self.items.len()),
        );
        self.waiting.len() <= quarter && room >= quarter.max(1)
    }

    fn is_due(&self, now: Time) -> bool {
        self.due_since(now).is_some()
    }

    /// Since when something has been due, if anything is.
    fn due_since(&self, now: Time) -> Option<Time> {
        let (due, _) = self.waiting.first()?;
        (*due <= now).then_some(*due)
    }

    /// The message that has been due longest, with those of its recipients that are due too.
    fn take_due(&mut self, attempt: u64, now: Time) -> Option<(MessageId, Vec<u32>)> {
        let (_, (id, _)) = *self.waiting.first().filter(|(due, _)| *due <= now)?;
        let keys: Vec<Key> = self
            .waiting
            .iter()
            .take_while(|(due, _)| *due <= now)
            .map(|(_, key)| *key)
            .take(SIBLINGS_LOOKED_AT)
            .filter(|key| key.0 == id)
            .take(self.limits.recipients_max)
            .collect();
        for key in &keys {
            let Some(item) = self.items.get_mut(key) else {
                unreachable!("what waits is an item");
            };
            item.stage = Stage::InFlight(attempt);
            self.waiting.remove(&(item.due, *key));
            self.carriers.carry(attempt, *key);
        }
        Some((
            id,
            keys.into_iter().map(|(_, recipient)| recipient).collect(),
        ))
    }
}

fn expired(last: &Reply) -> Reply {
    let status = mail::Enhanced(5, 4, 7); // delivery time expired (RFC 3463 §3.5)
    Reply::new(
        550,
        status,
        format!("not delivered in time; the last answer was: {last}"),
    )
}

fn in_words(settle: &Settle) -> String {
    match settle {
        Settle::Again { due, reply } => format!("deferred until {due}: {reply}"),
        Settle::Close(reply) => format!("delivered: {reply}"),
        Settle::Fail(reply) => format!("failed: {reply}"),
        Settle::DelayTold | Settle::Hasten(_) => String::new(),
    }
}

/// How long to wait before the store is told again what it could not record.
const STORE_TROUBLE_PAUSE: Duration = Duration::from_secs(30);

/// How long to wait before what a crashed delivery carried is tried again.
const LOST_DELIVERY_PAUSE: Duration = Duration::from_secs(5);

/// How far to look for other recipients of a message: they arrive together, so they stand
/// together, and a look must not cost more the longer the queue is.
const SIBLINGS_LOOKED_AT: usize = 512;

#[cfg(test)]
mod tests;
