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
    queue.enqueue(row(1, 0, NOW), NOW, &mut effects);
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
fn a_settlement_that_the_store_lost_is_tried_again() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.enqueue(row(1, 0, NOW), NOW, &mut effects);
    queue.settle(
        1,
        MessageId(1),
        vec![(0, delivered())],
        NOW,
        0.0,
        &mut effects,
    );
    queue.recorded(MessageId(1), &[0], false, NOW, &mut effects);
    assert_eq!(queue.next_due(), Some(NOW + STORE_TROUBLE_PAUSE));
}

#[test]
fn a_deferral_waits_for_its_time_and_an_expired_message_is_returned() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.enqueue(row(1, 0, NOW), NOW, &mut effects);
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
    queue.enqueue(row(1, 0, NOW), NOW, &mut effects);
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
    let later = queue.site.held_until.unwrap();
    effects.clear();
    queue.wake(later, &mut effects);
    assert_eq!(attempts(&effects).len(), 1, "one probes");
}

#[test]
fn the_window_holds_what_is_due_first() {
    let mut queue = queue(2);
    let later = |s: u64| NOW + Duration::from_secs(s);
    let mut effects = Vec::new();
    queue.enqueue(row(1, 0, later(50)), NOW, &mut effects);
    queue.enqueue(row(2, 0, later(60)), NOW, &mut effects);
    queue.enqueue(row(3, 0, later(10)), NOW, &mut effects);
    queue.enqueue(row(4, 0, later(90)), NOW, &mut effects);
    let held: Vec<u128> = queue.waiting.iter().map(|(_, (id, _))| id.0).collect();
    assert_eq!(held, [3, 1]);
    assert!(!queue.is_empty());
}

#[derive(Clone, Debug)]
enum Event {
    Enqueue(u8, u8),
    Gone(bool),
    Later(u16),
    Next,
    Settle(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0_u8..20, 0_u8..3).prop_map(|(id, recipient)| Event::Enqueue(id, recipient)),
        any::<bool>().prop_map(Event::Gone),
        any::<u16>().prop_map(Event::Later),
        Just(Event::Next),
        (0_u8..3).prop_map(Event::Settle),
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
        for event in events {
            let mut effects = Vec::new();
            let running: Vec<(u64, Vec<Key>)> =
                queue.deliveries.iter().map(|(a, keys)| (*a, keys.clone())).collect();
            match event {
                Event::Enqueue(id, recipient) => {
                    open.insert((MessageId(id.into()), u32::from(recipient)));
                    queue.enqueue(row(id.into(), recipient.into(), now), now, &mut effects);
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
                Event::Settle(how) => {
                    let Some((attempt, keys)) = running.first() else { continue };
                    let Some(key) = keys.first() else { continue };
                    let outcome = if how == 0 { delivered() } else { deferred() };
                    queue.settle(*attempt, key.0, vec![(key.1, outcome)], now, 0.5, &mut effects);
                    queue.recorded(key.0, &[key.1], how != 1, now, &mut effects);
                    let ended = |effect: &Effect| match effect {
                        Effect::Record { what, .. } => {
                            !matches!(what[..], [(_, Settle::Again { .. })])
                        }
                        _ => false,
                    };
                    if how != 1 && effects.iter().any(ended) {
                        open.remove(key);
                    }
                }
            }
            let in_flight: usize = queue.deliveries.values().map(Vec::len).sum();
            prop_assert_eq!(queue.items.len(), queue.waiting.len() + in_flight);
            prop_assert_eq!(queue.items.len(), open.len());
            prop_assert!(queue.deliveries.len() <= 2);
        }
    }
}
