//! What a domain queue decides, tried out.

use mail::Enhanced;
use proptest::prelude::*;

use super::*;

const NOW: Time = Time(1_000_000_000);

fn queue(window: usize) -> DomainQueue {
    let limits = Limits {
        deliveries_max: 2,
        recipients_max: 100,
        window,
    };
    let mut queue = DomainQueue::new(limits, Schedule::default(), 0);
    queue.refill(Vec::new(), window, NOW, &mut Vec::new());
    queue
}

fn row(id: u128, recipient: u32, due: Time) -> DueRow {
    DueRow {
        due,
        id: MessageId(id),
        recipient,
        attempts: 0,
        arrived: NOW,
    }
}

fn attempts(effects: &[Effect]) -> Vec<(u64, MessageId, Vec<u32>)> {
    let attempt = |effect: &Effect| match effect {
        Effect::Attempt {
            attempt,
            id,
            recipients,
        } => Some((*attempt, *id, recipients.clone())),
        _ => None,
    };
    effects.iter().filter_map(attempt).collect()
}

fn deferred() -> Outcome {
    Outcome::Defer(Reply::new(451, Enhanced(4, 3, 0), "later"))
}

fn delivered() -> Outcome {
    Outcome::Deliver(Reply::new(250, Enhanced(2, 0, 0), "ok"))
}

#[test]
fn recipients_of_one_message_travel_together_when_they_wait_together() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    let rows = vec![row(1, 0, NOW), row(1, 1, NOW), row(2, 0, NOW)];
    queue.refill(rows, 100, NOW, &mut effects);
    let expected = vec![(1, MessageId(1), vec![0, 1]), (2, MessageId(2), vec![0])];
    assert_eq!(attempts(&effects), expected);
}

#[test]
fn a_standing_connection_carries_the_next_message_that_is_due() {
    let mut queue = queue(100);
    let rows = (1..=4).map(|id| row(id, 0, NOW)).collect();
    queue.refill(rows, 100, NOW, &mut Vec::new());
    assert_eq!(queue.next(1, NOW), Some((MessageId(3), vec![0])));
    assert_eq!(queue.next(9, NOW), None, "who is not known gets nothing");
    assert_eq!(queue.next(2, NOW), Some((MessageId(4), vec![0])));
    assert_eq!(queue.next(1, NOW), None);
}

#[test]
fn a_delivered_recipient_is_forgotten_only_when_the_spool_says_so() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.enqueue(row(1, 0, NOW));
    queue.wake(NOW, &mut effects);
    queue.settle(
        1,
        MessageId(1),
        vec![(0, delivered())],
        NOW,
        0.0,
        &mut effects,
    );
    assert!(matches!(effects.last(), Some(Effect::Record { .. })));
    queue.gone(1, None, NOW, &mut effects);
    assert!(!queue.is_empty());
    queue.recorded(MessageId(1), &[0], true, NOW, &mut effects);
    assert!(queue.is_empty());
}

#[test]
fn what_the_store_did_not_record_is_told_to_it_again_and_not_to_the_peer() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.enqueue(row(1, 0, NOW));
    queue.wake(NOW, &mut effects);
    queue.settle(
        1,
        MessageId(1),
        vec![(0, delivered())],
        NOW,
        0.0,
        &mut effects,
    );
    let is_record = |effect: &&Effect| matches!(effect, Effect::Record { .. });
    let record = effects.iter().find(is_record).cloned().unwrap();
    queue.gone(1, None, NOW, &mut effects);
    effects.clear();
    queue.recorded(MessageId(1), &[0], false, NOW, &mut effects);
    let later = NOW + STORE_TROUBLE_PAUSE;
    assert_eq!(effects, [Effect::WakeAt(later)]);
    effects.clear();
    queue.flush(None, NOW, &mut effects);
    assert_eq!(effects, [Effect::WakeAt(later)]);
    effects.clear();
    queue.wake(later, &mut effects);
    assert_eq!(effects, [record]);
    queue.recorded(MessageId(1), &[0], true, later, &mut effects);
    assert!(queue.is_empty());
}

#[test]
fn a_deferral_waits_for_its_time_and_an_expired_message_is_returned() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.enqueue(row(1, 0, NOW));
    queue.wake(NOW, &mut effects);
    queue.settle(
        1,
        MessageId(1),
        vec![(0, deferred())],
        NOW,
        0.0,
        &mut effects,
    );
    queue.gone(1, None, NOW, &mut effects);
    queue.recorded(MessageId(1), &[0], true, NOW, &mut effects);
    let due = queue.next_due().unwrap();
    assert!(due > NOW);
    assert_eq!(effects.last(), Some(&Effect::WakeAt(due)));

    let late = NOW + Duration::from_secs(30 * 24 * 3600);
    effects.clear();
    queue.wake(late, &mut effects);
    assert_eq!(attempts(&effects).len(), 1);
    queue.settle(
        2,
        MessageId(1),
        vec![(0, deferred())],
        late,
        0.0,
        &mut effects,
    );
    queue.recorded(MessageId(1), &[0], true, late, &mut effects);
    assert!(
        effects.contains(&Effect::Return(MessageId(1))),
        "{effects:?}"
    );
}

#[test]
fn what_a_lost_delivery_carried_waits_again() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.enqueue(row(1, 0, NOW));
    queue.wake(NOW, &mut effects);
    queue.gone(1, None, NOW, &mut effects);
    assert_eq!(queue.next_due(), Some(NOW + LOST_DELIVERY_PAUSE));
    let before = effects.len();
    queue.settle(
        1,
        MessageId(1),
        vec![(0, delivered())],
        NOW,
        0.0,
        &mut effects,
    );
    let stale = &effects[before..];
    assert!(
        !stale.iter().any(|e| matches!(e, Effect::Record { .. })),
        "{stale:?}"
    );
}

#[test]
fn a_dead_site_is_held_and_then_probed_by_one() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    let rows = (1..=9).map(|id| row(id, 0, NOW)).collect();
    queue.refill(rows, 100, NOW, &mut effects);
    let mut attempt = 0;
    while queue.held(NOW).is_none() {
        let running = *queue.deliveries.keys().next().unwrap();
        queue.gone(
            running,
            Some(Reply::new(451, None, "refused")),
            NOW,
            &mut effects,
        );
        attempt += 1;
        assert!(attempt < 10, "a dead site is held sooner or later");
    }
    let running: Vec<u64> = queue.deliveries.keys().copied().collect();
    for running in running {
        queue.gone(
            running,
            Some(Reply::new(451, None, "refused")),
            NOW,
            &mut effects,
        );
    }
    let later = queue.site.held_until().unwrap();
    effects.clear();
    queue.wake(later, &mut effects);
    assert_eq!(attempts(&effects).len(), 1, "one probes");
}

#[test]
fn behind_a_dead_site_senders_hear_of_delay_and_expiry_all_the_same() {
    let rows: Vec<DueRow> = (1..=2000).map(|id| row(id, 0, NOW)).collect();
    let mut bench = Bench::new(4000, 2, rows);
    let expires = Schedule::default().expires(NOW);
    let mut now = NOW;
    bench.queue.wake(now, &mut bench.effects);
    while now < expires + Duration::from_secs(3600) {
        let mut begun = bench.carry_out(now);
        while let Some((attempt, id, recipients)) = begun.pop() {
            let outcomes = recipients.iter().map(|&r| (r, deferred())).collect();
            let why = Some(Reply::new(451, Enhanced(4, 4, 1), "refused"));
            bench
                .queue
                .settle(attempt, id, outcomes, now, 0.5, &mut bench.effects);
            bench.queue.gone(attempt, why, now, &mut bench.effects);
            begun.extend(bench.carry_out(now));
        }
        now = now + Duration::from_secs(300);
        bench.queue.wake(now, &mut bench.effects);
    }
    assert_eq!(bench.late.len(), 2000);
    assert_eq!((bench.rows.len(), bench.returned), (0, 2000));
}

#[test]
fn what_no_hint_told_is_found_in_the_spool() {
    let mut bench = Bench::new(100, 2, Vec::new());
    assert_eq!(bench.run(NOW, &delivered()), []);
    bench.rows.push(row(1, 0, NOW));
    assert_eq!(bench.run(NOW, &delivered()), []);
    bench.queue.look(NOW, &mut bench.effects);
    assert_eq!(bench.carry_out(NOW).len(), 1);
}

#[test]
fn recipients_that_are_told_one_by_one_travel_together() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    for recipient in 0..50 {
        queue.enqueue(row(1, recipient, NOW));
    }
    queue.wake(NOW, &mut effects);
    assert_eq!(attempts(&effects).len(), 1);
}

#[test]
fn the_window_holds_what_is_due_first() {
    let mut queue = queue(2);
    let later = |s: u64| NOW + Duration::from_secs(s);
    queue.enqueue(row(1, 0, later(50)));
    queue.enqueue(row(2, 0, later(60)));
    queue.enqueue(row(3, 0, later(10)));
    queue.enqueue(row(4, 0, later(90)));
    let held: Vec<u128> = queue.waiting.iter().map(|(_, (id, _))| id.0).collect();
    assert_eq!(held, [3, 1]);
    assert!(!queue.is_empty());
}

/// A spool with rows, and a queue that asks it as the actor does.
struct Bench {
    queue: DomainQueue,
    rows: Vec<DueRow>,
    effects: Vec<Effect>,
    /// Times that the spool was read.
    reads: usize,
    late: std::collections::HashSet<MessageId>,
    returned: usize,
}

impl Bench {
    fn new(window: usize, deliveries_max: usize, rows: Vec<DueRow>) -> Self {
        let limits = Limits {
            deliveries_max,
            recipients_max: 100,
            window,
        };
        Self {
            queue: DomainQueue::new(limits, Schedule::default(), 0),
            rows,
            effects: Vec::new(),
            reads: 0,
            late: std::collections::HashSet::new(),
            returned: 0,
        }
    }

    /// Carries out what the queue wants of the spool; yields the attempts.
    fn carry_out(&mut self, now: Time) -> Vec<(u64, MessageId, Vec<u32>)> {
        let mut begun = Vec::new();
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Refill(limit) => {
                        self.reads += 1;
                        assert!(self.reads < 5000, "the spool is read on and on");
                        self.rows
                            .sort_by_key(|row| (row.due, row.id, row.recipient));
                        let rows = self.rows.iter().take(limit).cloned().collect();
                        self.queue.refill(rows, limit, now, &mut self.effects);
                    }
                    Effect::Record { id, what } => {
                        let recipients: Vec<u32> = what.iter().map(|(r, _)| *r).collect();
                        for (recipient, settle) in what {
                            self.record((id, recipient), settle);
                        }
                        self.queue
                            .recorded(id, &recipients, true, now, &mut self.effects);
                    }
                    Effect::Late(id) => assert!(self.late.insert(id), "told twice"),
                    Effect::Return(_) => self.returned += 1,
                    effect => begun.extend(attempts(&[effect])),
                }
            }
        }
        begun
    }

    fn record(&mut self, key: Key, settle: Settle) {
        match settle {
            Settle::Again { due, .. } => {
                for row in &mut self.rows {
                    if (row.id, row.recipient) == key {
                        row.due = due;
                    }
                }
            }
            _ => self.rows.retain(|row| (row.id, row.recipient) != key),
        }
    }

    /// Runs all deliveries to their ends, each with this outcome; yields what was tried.
    fn run(&mut self, now: Time, outcome: &Outcome) -> Vec<Key> {
        let mut tried = Vec::new();
        self.queue.wake(now, &mut self.effects);
        let mut begun: std::collections::VecDeque<_> = self.carry_out(now).into();
        while let Some((attempt, id, recipients)) = begun.pop_front() {
            tried.extend(recipients.iter().map(|&recipient| (id, recipient)));
            let outcomes = recipients.into_iter().map(|r| (r, outcome.clone()));
            self.queue
                .settle(attempt, id, outcomes.collect(), now, 0.5, &mut self.effects);
            begun.extend(self.carry_out(now));
            match self.queue.next(attempt, now) {
                Some((id, recipients)) => begun.push_front((attempt, id, recipients)),
                None => self.queue.gone(attempt, None, now, &mut self.effects),
            }
            begun.extend(self.carry_out(now));
        }
        tried
    }
}

#[test]
fn a_message_with_more_recipients_than_the_window_holds_is_delivered() {
    let rows = (0..5000).map(|recipient| row(1, recipient, NOW)).collect();
    let mut bench = Bench::new(1000, 20, rows);
    let tried = bench.run(NOW, &delivered());
    assert_eq!(tried.len(), 5000);
    assert!(bench.queue.is_empty());
}

#[test]
fn deferred_mail_does_not_keep_the_spool_from_being_read() {
    let rows = (1..=500).map(|id| row(id, 0, NOW)).collect();
    let mut bench = Bench::new(100, 20, rows);
    let tried: std::collections::HashSet<Key> = bench.run(NOW, &deferred()).into_iter().collect();
    assert_eq!(tried.len(), 500, "each is tried although all are deferred");
    let later = NOW + Duration::from_secs(3600);
    assert_eq!(bench.run(later, &delivered()).len(), 500);
    assert!(bench.queue.is_empty());
}

#[derive(Clone, Debug)]
enum Event {
    Enqueue(u8, u8),
    Gone(bool),
    Later(u16),
    Next,
    /// The store has taken the oldest record, or has not.
    Recorded(bool),
    Settle(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0_u8..20, 0_u8..3).prop_map(|(id, recipient)| Event::Enqueue(id, recipient)),
        any::<bool>().prop_map(Event::Gone),
        any::<u16>().prop_map(Event::Later),
        Just(Event::Next),
        any::<bool>().prop_map(Event::Recorded),
        any::<bool>().prop_map(Event::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, each item is in exactly one place, and nothing gets lost but by a
    /// recorded end.
    #[test]
    fn no_recipient_is_ever_lost_or_tried_by_two(events in prop::collection::vec(event(), 1..200)) {
        let mut queue = queue(1000);
        let mut now = NOW;
        let mut open = std::collections::HashSet::new();
        let mut records = std::collections::VecDeque::new();
        for event in events {
            let mut effects = Vec::new();
            let running: Vec<(u64, Vec<Key>)> =
                queue.deliveries.iter().map(|(a, keys)| (*a, keys.clone())).collect();
            match event {
                Event::Enqueue(id, recipient) => {
                    open.insert((MessageId(id.into()), u32::from(recipient)));
                    queue.enqueue(row(id.into(), recipient.into(), now));
                    queue.wake(now, &mut effects);
                }
                Event::Gone(unreachable) => {
                    if let Some((attempt, _)) = running.first() {
                        let why = unreachable.then(|| Reply::new(451, None, "refused"));
                        queue.gone(*attempt, why, now, &mut effects);
                    }
                }
                Event::Later(seconds) => {
                    now = now + Duration::from_secs(seconds.into());
                    queue.wake(now, &mut effects);
                }
                Event::Next => {
                    if let Some((attempt, _)) = running.first() {
                        let _ = queue.next(*attempt, now);
                    }
                }
                Event::Recorded(stored) => {
                    let Some((id, what)) = records.pop_front() else { continue };
                    let what: Vec<(u32, Settle)> = what;
                    let recipients: Vec<u32> = what.iter().map(|(r, _)| *r).collect();
                    queue.recorded(id, &recipients, stored, now, &mut effects);
                    for (recipient, settle) in what {
                        if stored && !matches!(settle, Settle::Again { .. }) {
                            open.remove(&(id, recipient));
                        }
                    }
                }
                Event::Settle(well) => {
                    let Some((attempt, keys)) = running.first() else { continue };
                    let Some(key) = keys.first() else { continue };
                    let outcome = if well { delivered() } else { deferred() };
                    queue.settle(*attempt, key.0, vec![(key.1, outcome)], now, 0.5, &mut effects);
                }
            }
            for effect in effects {
                if let Effect::Record { id, what } = effect {
                    records.push_back((id, what));
                }
            }
            let in_flight: usize = queue.deliveries.values().map(Vec::len).sum();
            let recording = queue.items.values().filter(|item| item.stage == Stage::Recording);
            let places = queue.waiting.len() + in_flight + recording.count();
            prop_assert_eq!(queue.items.len(), places);
            prop_assert_eq!(queue.items.len(), open.len());
            prop_assert!(queue.deliveries.len() <= 2);
        }
    }
}
