//! What becomes of deliveries whose queue has crashed.

use super::*;

/// A queue whose predecessor has left deliveries 7 and 8, with two messages that are due.
fn successor() -> (DomainQueue, Vec<Effect>) {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.inherit([7, 8], NOW);
    queue.refill(spooled(), 100, NOW, &mut effects);
    (queue, effects)
}

fn spooled() -> Vec<DueRow> {
    vec![row(1, 0, NOW), row(2, 0, NOW)]
}

/// A delivery says how its attempt at a message ended; what is recorded for it.
fn says(queue: &mut DomainQueue, attempt: u64, id: u128, outcome: Outcome) -> Vec<MessageId> {
    let mut effects = Vec::new();
    let outcomes = vec![(0, outcome)];
    queue.settle(attempt, MessageId(id), outcomes, NOW, 0.0, &mut effects);
    let record = |effect: &Effect| match effect {
        Effect::Record { id, .. } => Some(*id),
        _ => None,
    };
    effects.iter().filter_map(record).collect()
}

/// Both deliveries go; what is tried when the spool has these rows by then.
fn goes_on(queue: &mut DomainQueue, rows: Vec<DueRow>) -> Vec<(u64, MessageId, Vec<u32>)> {
    let mut effects = Vec::new();
    queue.gone(7, None, NOW, &mut effects);
    queue.gone(8, None, NOW, &mut effects);
    assert_eq!(attempts(&effects), [], "what was read before may be done");
    assert_eq!(read_again(&effects), 1);
    queue.refill(rows, 100, NOW, &mut effects);
    attempts(&effects)
}

fn read_again(effects: &[Effect]) -> usize {
    let is_refill = |effect: &&Effect| matches!(effect, Effect::Refill(_));
    effects.iter().filter(is_refill).count()
}

#[test]
fn nothing_is_tried_beside_the_deliveries_of_an_incarnation_before() {
    let (mut queue, mut effects) = successor();
    assert_eq!(attempts(&effects), []);
    assert!(queue.held(NOW).is_some(), "and an operator sees why");
    queue.gone(7, None, NOW, &mut effects);
    queue.more(8, true, NOW, &mut effects);
    assert_eq!(effects.last(), Some(&Effect::Dismiss(8)));
    queue.leave(8, NOW, &mut effects);
    assert_eq!(attempts(&effects), []);
    queue.refill(spooled(), 100, NOW, &mut effects);
    assert_eq!(attempts(&effects)[0].1, MessageId(1));
    assert!(queue.held(NOW).is_none());
}

#[test]
fn what_they_say_is_recorded_and_not_sent_again() {
    let (mut queue, _) = successor();
    assert_eq!(says(&mut queue, 7, 1, delivered()), [MessageId(1)]);
    assert_eq!(says(&mut queue, 7, 1, delivered()), [], "said again");
    assert_eq!(says(&mut queue, 9, 2, delivered()), [], "said by nobody");
    // The store is slow: both messages still stand in the spool.
    assert_eq!(goes_on(&mut queue, spooled()), [(1, MessageId(2), vec![0])]);
}

#[test]
fn what_they_say_before_the_spool_was_read_is_not_taken_up_from_it() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.inherit([7, 8], NOW);
    assert_eq!(says(&mut queue, 7, 1, delivered()), [MessageId(1)]);
    assert_eq!(says(&mut queue, 7, 2, deferred()), []);
    queue.refill(spooled(), 100, NOW, &mut effects);
    assert_eq!(goes_on(&mut queue, spooled()), [(1, MessageId(2), vec![0])]);
    queue.recorded(MessageId(1), &[0], true, NOW, &mut effects);
    assert_eq!(queue.counts(), (0, 1, 1));
}

#[test]
fn what_the_incarnation_before_was_about_to_record_is_not_sent_again() {
    let (mut queue, _) = successor();
    let rows = vec![row(2, 0, NOW)]; // the other one is closed by now
    assert_eq!(goes_on(&mut queue, rows), [(1, MessageId(2), vec![0])]);
}

#[test]
fn a_delivery_that_takes_too_long_does_not_hold_up_the_domain() {
    let (mut queue, effects) = successor();
    let Some(Effect::WakeAt(later)) = effects.last() else {
        panic!("an alarm is set: {effects:?}");
    };
    let mut effects = Vec::new();
    queue.wake(*later, &mut effects);
    assert_eq!((attempts(&effects), read_again(&effects)), (vec![], 1));
    queue.refill(spooled(), 100, *later, &mut effects);
    assert_eq!(attempts(&effects)[0].1, MessageId(1));
}
