//! What a domain queue decides, tried out.

use mail::Enhanced;

use super::*;

mod fate;
mod inherited;

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

/// Who is there, and what each carries.
fn running(queue: &DomainQueue) -> Vec<(u64, Vec<Key>)> {
    let loads = queue.carriers.loads();
    loads
        .map(|(attempt, keys)| (attempt, keys.to_vec()))
        .collect()
}

/// What waiting deliveries are handed.
fn hands(effects: &[Effect]) -> Vec<(u64, MessageId)> {
    let hand = |effect: &Effect| match effect {
        Effect::Hand { attempt, id, .. } => Some((*attempt, *id)),
        _ => None,
    };
    effects.iter().filter_map(hand).collect()
}

/// What a delivery gets that asks and does not wait.
fn next(queue: &mut DomainQueue, attempt: u64, now: Time) -> Option<MessageId> {
    let mut effects = Vec::new();
    queue.more(attempt, false, now, &mut effects);
    match effects.as_slice() {
        [Effect::Dismiss(dismissed)] => {
            assert_eq!(*dismissed, attempt);
            None
        }
        effects => Some(hands(effects)[0].1),
    }
}

/// A queue with a delivery, number 1, that has carried message 1 and waits.
fn lingering() -> DomainQueue {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.enqueue(row(1, 0, NOW));
    queue.wake(NOW, &mut effects);
    carried(&mut queue, 1, 1, &mut effects);
    queue.more(1, true, NOW, &mut effects);
    assert_eq!((queue.idle(), queue.counts()), (1, (0, 0, 1)));
    queue
}

/// That delivery has carried that message, and the spool knows.
fn carried(queue: &mut DomainQueue, attempt: u64, id: u128, effects: &mut Vec<Effect>) {
    let id = MessageId(id);
    let outcomes = vec![(0, delivered())];
    queue.settle(attempt, id, outcomes, NOW, 0.0, effects);
    queue.recorded(id, &[0], true, NOW, effects);
}

#[test]
fn recipients_of_one_message_travel_together_when_they_wait_together() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    let rows = vec![row(1, 0, NOW), row(1, 1, NOW), row(2, 0, NOW)];
    queue.refill(rows, 100, NOW, &mut effects);
    assert_eq!(attempts(&effects), [(1, MessageId(1), vec![0, 1])]);
}

#[test]
fn a_standing_connection_carries_the_next_message_that_is_due() {
    let mut queue = queue(100);
    let rows = (1..=3).map(|id| row(id, 0, NOW)).collect();
    queue.refill(rows, 100, NOW, &mut Vec::new());
    assert_eq!(next(&mut queue, 1, NOW), Some(MessageId(2)));
    let unknown = next(&mut queue, 9, NOW);
    assert_eq!(unknown, None, "who is not known gets nothing");
    assert_eq!(next(&mut queue, 1, NOW), Some(MessageId(3)));
    assert_eq!(next(&mut queue, 1, NOW), None);
}

#[test]
fn a_connection_that_waits_gets_what_comes_and_no_other_is_opened() {
    let mut queue = lingering();
    let mut effects = Vec::new();
    queue.enqueue(row(2, 0, NOW));
    queue.wake(NOW, &mut effects);
    assert_eq!(hands(&effects), [(1, MessageId(2))]);
    assert_eq!(attempts(&effects), []);
    assert_eq!(queue.idle(), 0);
}

#[test]
fn who_has_waited_least_is_set_to_work_first_so_that_the_others_can_leave() {
    let mut queue = lingering();
    let mut effects = Vec::new();
    let later = NOW + Duration::from_secs(2);
    for id in 2..=3 {
        queue.enqueue(row(id, 0, NOW));
    }
    queue.wake(later, &mut effects);
    assert_eq!(hands(&effects), [(1, MessageId(2))]);
    assert_eq!(attempts(&effects), [(2, MessageId(3), vec![0])]);
    carried(&mut queue, 2, 3, &mut effects);
    queue.more(2, true, later, &mut effects);
    carried(&mut queue, 1, 2, &mut effects);
    queue.more(1, true, later, &mut effects);
    effects.clear();
    queue.enqueue(row(4, 0, later));
    queue.wake(later, &mut effects);
    assert_eq!(hands(&effects), [(1, MessageId(4))]);
}

#[test]
fn what_was_handed_to_somebody_who_leaves_is_carried_by_another_at_once() {
    let mut queue = lingering();
    let mut effects = Vec::new();
    queue.enqueue(row(2, 0, NOW));
    queue.wake(NOW, &mut effects);
    effects.clear();
    queue.leave(1, NOW, &mut effects);
    assert_eq!(attempts(&effects), [(2, MessageId(2), vec![0])]);
    queue.leave(1, NOW, &mut effects);
    queue.gone(1, None, NOW, &mut effects);
    assert_eq!(queue.counts(), (0, 1, 1), "it is not tried twice");
}

#[test]
fn a_connection_that_takes_its_leave_still_counts() {
    let mut queue = queue(100); // two at a time
    let mut effects = Vec::new();
    queue.refill(vec![row(1, 0, NOW)], 100, NOW, &mut effects);
    queue.leave(1, NOW, &mut effects); // 2 carries it on
    queue.leave(2, NOW, &mut effects);
    assert_eq!(queue.counts(), (1, 0, 2));
    queue.gone(1, None, NOW, &mut effects);
    assert_eq!(attempts(&effects).len(), 3);
    assert_eq!(next(&mut queue, 2, NOW), None, "it has left");
}

#[test]
fn a_further_connection_is_opened_for_what_has_waited_as_long_as_one_takes() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    let rows = (1..=3).map(|id| row(id, 0, NOW)).collect();
    queue.refill(rows, 100, NOW, &mut effects);
    assert_eq!(attempts(&effects).len(), 1);
    let second = NOW + Duration::from_secs(1);
    assert_eq!(effects.last(), Some(&Effect::WakeAt(second)));
    effects.clear();
    queue.wake(second, &mut effects);
    assert_eq!(attempts(&effects), [(2, MessageId(2), vec![0])]);
    effects.clear();
    queue.wake(second + Duration::from_secs(9), &mut effects);
    assert_eq!(effects, [], "two is all there may be");
}

#[test]
fn in_a_crowded_house_a_domain_has_one_connection_and_nobody_waits() {
    let mut queue = lingering();
    let mut effects = Vec::new();
    queue.crowd(true);
    queue.wake(NOW, &mut effects);
    assert_eq!(effects, [Effect::Dismiss(1)]);
    queue.leave(1, NOW, &mut effects);
    queue.gone(1, None, NOW, &mut effects);
    effects.clear();
    for id in 2..=4 {
        queue.enqueue(row(id, 0, NOW));
    }
    queue.wake(NOW + Duration::from_secs(60), &mut effects);
    assert_eq!(attempts(&effects).len(), 1);
    let asks = next(&mut queue, 2, NOW);
    assert_eq!(asks, Some(MessageId(3)), "the only one goes on");
    queue.crowd(false);
    queue.wake(NOW + Duration::from_secs(90), &mut effects);
    assert_eq!(queue.counts().2, 2);
    queue.crowd(true);
    assert_eq!(next(&mut queue, 3, NOW), None, "one of two goes");
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
        let running = running(&queue)[0].0;
        queue.gone(
            running,
            Some(Reply::new(451, None, "refused")),
            NOW,
            &mut effects,
        );
        attempt += 1;
        assert!(attempt < 10, "a dead site is held sooner or later");
    }
    for (running, _) in running(&queue) {
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
                    Effect::Dismiss(attempt) => {
                        self.queue.gone(attempt, None, now, &mut self.effects);
                    }
                    Effect::Hand {
                        attempt,
                        id,
                        recipients,
                    } => begun.push((attempt, id, recipients)),
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
            self.queue.more(attempt, false, now, &mut self.effects);
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
