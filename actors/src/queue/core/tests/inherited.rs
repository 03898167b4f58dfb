//! What becomes of deliveries whose queue has crashed.

use super::*;

/// A queue whose predecessor has left deliveries 7 and 8, with two messages that are due.
fn successor() -> (DomainQueue, Vec<Effect>) {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.inherit([7, 8], NOW);
    queue.refill(vec![row(1, 0, NOW), row(2, 0, NOW)], 100, NOW, &mut effects);
    (queue, effects)
}

fn records(effects: &[Effect]) -> Vec<MessageId> {
    let record = |effect: &Effect| match effect {
        Effect::Record { id, .. } => Some(*id),
        _ => None,
    };
    effects.iter().filter_map(record).collect()
}

#[test]
fn nothing_is_tried_beside_the_deliveries_of_an_incarnation_before() {
    let (mut queue, mut effects) = successor();
    assert_eq!(attempts(&effects), []);
    assert!(queue.held(NOW).is_some(), "and an operator sees why");
    queue.gone(7, None, NOW, &mut effects);
    queue.more(8, true, NOW, &mut effects);
    assert_eq!(effects.last(), Some(&Effect::Dismiss(8)));
    assert_eq!(attempts(&effects), []);
    queue.leave(8, NOW, &mut effects);
    assert_eq!(attempts(&effects)[0].1, MessageId(1));
}

#[test]
fn what_they_say_is_recorded_and_not_sent_again() {
    let (mut queue, mut effects) = successor();
    queue.settle(
        7,
        MessageId(1),
        vec![(0, delivered())],
        NOW,
        0.0,
        &mut effects,
    );
    assert_eq!(records(&effects), [MessageId(1)]);
    let mut effects = Vec::new();
    queue.settle(
        7,
        MessageId(1),
        vec![(0, delivered())],
        NOW,
        0.0,
        &mut effects,
    );
    queue.settle(
        9,
        MessageId(2),
        vec![(0, delivered())],
        NOW,
        0.0,
        &mut effects,
    );
    assert_eq!(records(&effects), [], "said again, and by nobody");
    queue.recorded(MessageId(1), &[0], true, NOW, &mut effects);
    queue.gone(7, None, NOW, &mut effects);
    queue.gone(8, None, NOW, &mut effects);
    assert_eq!(attempts(&effects), [(1, MessageId(2), vec![0])]);
}

#[test]
fn what_they_say_before_the_spool_was_read_is_not_taken_up_from_it() {
    let mut queue = queue(100);
    let mut effects = Vec::new();
    queue.inherit([7], NOW);
    queue.settle(
        7,
        MessageId(1),
        vec![(0, delivered())],
        NOW,
        0.0,
        &mut effects,
    );
    queue.settle(
        7,
        MessageId(2),
        vec![(0, deferred())],
        NOW,
        0.0,
        &mut effects,
    );
    assert_eq!(records(&effects), [MessageId(1)]);
    queue.refill(vec![row(1, 0, NOW), row(2, 0, NOW)], 100, NOW, &mut effects);
    queue.gone(7, None, NOW, &mut effects);
    assert_eq!(attempts(&effects), [(1, MessageId(2), vec![0])]);
    queue.recorded(MessageId(1), &[0], true, NOW, &mut effects);
    assert_eq!(queue.counts(), (0, 1, 1));
}

#[test]
fn a_delivery_that_takes_too_long_does_not_hold_up_the_domain() {
    let (mut queue, effects) = successor();
    let Some(Effect::WakeAt(later)) = effects.last() else {
        panic!("an alarm is set: {effects:?}");
    };
    let mut effects = Vec::new();
    queue.wake(*later, &mut effects);
    assert_eq!(attempts(&effects)[0].1, MessageId(1));
}
