//! Anything that may happen to a domain queue, in any order: a property.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Crowd(bool),
    Enqueue(u8, u8),
    Gone(usize, bool),
    Later(u16),
    Leave(usize),
    More(usize, bool),
    /// The store has taken the oldest record, or has not.
    Recorded(bool),
    Settle(usize, bool),
}

fn event() -> impl Strategy<Value = Event> {
    let which = 0_usize..2;
    prop_oneof![
        1 => any::<bool>().prop_map(Event::Crowd),
        4 => (0_u8..20, 0_u8..3).prop_map(|(id, recipient)| Event::Enqueue(id, recipient)),
        2 => (which.clone(), any::<bool>()).prop_map(|(n, b)| Event::Gone(n, b)),
        2 => any::<u16>().prop_map(Event::Later),
        2 => which.clone().prop_map(Event::Leave),
        4 => (which.clone(), any::<bool>()).prop_map(|(n, b)| Event::More(n, b)),
        4 => any::<bool>().prop_map(Event::Recorded),
        4 => (which, any::<bool>()).prop_map(|(n, b)| Event::Settle(n, b)),
    ]
}

/// A queue that anything happens to, and what is known of it from outside.
struct Fate {
    queue: DomainQueue,
    now: Time,
    /// Recipients whose end has not been recorded.
    open: HashSet<Key>,
    records: VecDeque<(MessageId, Vec<(u32, Settle)>)>,
    /// Deliveries that have asked and were not answered.
    asking: HashSet<u64>,
}

impl Fate {
    fn happens(&mut self, event: Event) {
        let mut effects = Vec::new();
        let (all, now) = (running(&self.queue), self.now);
        let nth = |n: usize| all.get(n).cloned();
        let queue = &mut self.queue;
        match event {
            Event::Crowd(crowded) => {
                queue.crowd(crowded);
                queue.wake(now, &mut effects);
            }
            Event::Enqueue(id, recipient) => {
                self.open
                    .insert((MessageId(id.into()), u32::from(recipient)));
                queue.enqueue(row(id.into(), recipient.into(), now));
                queue.wake(now, &mut effects);
            }
            Event::Gone(n, unreachable) => {
                if let Some((attempt, _)) = nth(n) {
                    self.asking.remove(&attempt);
                    let why = unreachable.then(|| Reply::new(451, None, "refused"));
                    queue.gone(attempt, why, now, &mut effects);
                }
            }
            Event::Later(seconds) => {
                self.now = now + Duration::from_secs(seconds.into());
                queue.wake(self.now, &mut effects);
            }
            Event::Leave(n) => {
                if let Some((attempt, _)) = nth(n) {
                    self.asking.remove(&attempt);
                    queue.leave(attempt, now, &mut effects);
                }
            }
            Event::More(n, may_wait) => {
                // A delivery asks when it carries nothing.
                if let Some((attempt, keys)) = nth(n)
                    && keys.is_empty()
                {
                    self.asking.insert(attempt);
                    queue.more(attempt, may_wait, now, &mut effects);
                }
            }
            Event::Recorded(stored) => self.recorded(stored, &mut effects),
            Event::Settle(n, well) => {
                if let Some((attempt, keys)) = nth(n)
                    && let Some(key) = keys.first()
                {
                    let outcome = if well { delivered() } else { deferred() };
                    let outcomes = vec![(key.1, outcome)];
                    queue.settle(attempt, key.0, outcomes, now, 0.5, &mut effects);
                }
            }
        }
        self.carry_out(effects);
    }

    fn recorded(&mut self, stored: bool, effects: &mut Vec<Effect>) {
        let Some((id, what)) = self.records.pop_front() else {
            return;
        };
        let recipients: Vec<u32> = what.iter().map(|(r, _)| *r).collect();
        self.queue
            .recorded(id, &recipients, stored, self.now, effects);
        for (recipient, settle) in what {
            if stored && !matches!(settle, Settle::Again { .. }) {
                self.open.remove(&(id, recipient));
            }
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Record { id, what } => self.records.push_back((id, what)),
                Effect::Dismiss(attempt) | Effect::Hand { attempt, .. } => {
                    assert!(
                        self.asking.remove(&attempt),
                        "only who asks is answered, and once"
                    );
                }
                _ => {}
            }
        }
    }

    /// Each item is in exactly one place, and nobody is there who may not be.
    fn check(&self) {
        let loads = running(&self.queue);
        let carried: Vec<&Key> = loads.iter().flat_map(|(_, keys)| keys).collect();
        let distinct: HashSet<_> = carried.iter().collect();
        assert_eq!(carried.len(), distinct.len(), "nobody is carried by two");
        let items = self.queue.items.values();
        let recording = items.filter(|item| item.stage == Stage::Recording).count();
        let places = self.queue.waiting.len() + carried.len() + recording;
        assert_eq!(self.queue.items.len(), places);
        assert_eq!(self.queue.items.len(), self.open.len());
        assert!(loads.len() <= 2, "no more connections than are allowed");
        assert!(self.queue.carriers.at_work() + self.queue.idle() <= loads.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever happens, nothing gets lost but by a recorded end, and once all is well again
    /// everything is delivered.
    #[test]
    fn no_recipient_is_ever_lost_or_tried_by_two(events in prop::collection::vec(event(), 1..200)) {
        let mut fate = Fate {
            queue: queue(1000),
            now: NOW,
            open: HashSet::new(),
            records: VecDeque::new(),
            asking: HashSet::new(),
        };
        for event in events {
            fate.happens(event);
            fate.check();
        }
        for round in 0.. {
            if fate.open.is_empty() {
                break;
            }
            prop_assert!(round < 500, "{:?} are not delivered", fate.open);
            fate.happens(Event::Later(600));
            for n in [0, 1, 0, 1, 0, 1] {
                fate.happens(Event::Settle(n, true));
                fate.happens(Event::Recorded(true));
            }
            for n in [1, 0] {
                fate.happens(if round % 2 == 0 { Event::More(n, true) } else { Event::Leave(n) });
                fate.happens(Event::Gone(n, false));
            }
            fate.check();
        }
    }
}
