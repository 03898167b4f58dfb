//! The invariants of a member of a family, one property each. Those of a supervisor are in
//! `src/core/tests.rs`.
//!
//! | invariant | shown by |
//! |---|---|
//! | a message that is sent while a member is passivating is delivered exactly once, in order, to the next incarnation | `a_message_that_is_sent_while_it_passivates_is_delivered_once_in_order_to_the_next_incarnation`; with threads: `tests/frame/chaos.rs` |
//! | nothing that was taken is forgotten: it was handled, waits, was lost with a crash, or was dropped in so many words | `nothing_that_was_taken_is_forgotten`; the world looks after each turn |
//! | at most one live incarnation per key | `at_most_one_incarnation_is_there`; with states: `tests/frame/chaos.rs` |
//! | a stale event of an older incarnation changes nothing | `a_stale_event_of_an_older_incarnation_changes_nothing` |
//! | the buffer never passes its bound | `the_buffer_never_passes_its_bound` |
//! | nothing stays buffered for ever | `nothing_stays_buffered_for_ever` |
//! | a temporary member never has a second incarnation | `a_temporary_member_that_crashed_is_not_started_again` |
//! | more restarts in a window than the intensity bears are the end | `more_crashes_in_a_window_than_the_intensity_bears_are_the_end` |
//! | what is left is found once, or let go | `what_is_left_is_found_once_or_let_go` |
//! | after the family has closed nobody is there and nothing waits | `who_is_closed_ends_and_nothing_waits` |

use proptest::{
    collection::vec,
    prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest},
};

use super::{
    world::{World, rules},
    *,
};
use crate::spec::{Backoff, Intensity, Shutdown};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_message_that_is_sent_while_it_passivates_is_delivered_once_in_order_to_the_next_incarnation(
        rules in rules(), tape in vec(any::<u16>(), 0..200), before in 0_usize..4, after in 1_usize..4,
    ) {
        let (mut rules, _) = rules;
        (rules.has_next, rules.restart) = (true, Restart::Transient);
        let mut world = World::play((rules, true), &tape, false);
        world.settle();
        world.send();
        world.settle();
        (0..before).for_each(|_| world.send());
        let leaver = world.there.as_ref().unwrap().incarnation;
        world.passivates(tape.len() % 2 == 0);
        let since = world.last_message;
        (0..after).for_each(|_| world.send());
        let taken: Vec<_> = world.taken.iter().filter(|taken| **taken > since).copied().collect();
        prop_assert_eq!(taken.len(), after.min(rules.buffer_max));
        world.settle();
        let next: Vec<_> = world.handled.iter().filter(|handled| handled.0 > since).collect();
        prop_assert_eq!(next.iter().map(|handled| handled.0).collect::<Vec<_>>(), taken);
        prop_assert!(next.iter().all(|handled| handled.1 == leaver + 1));
        prop_assert!(world.lost.is_empty());
        prop_assert!(world.dropped.is_empty());
        let all: Vec<_> = world.handled.iter().map(|handled| handled.0).collect();
        prop_assert_eq!(all, world.taken);
    }

    #[test]
    fn nothing_that_was_taken_is_forgotten(rules in rules(), tape in vec(any::<u16>(), 0..200)) {
        World::play(rules, &tape, true); // it looks after each turn
    }

    #[test]
    fn at_most_one_incarnation_is_there(rules in rules(), tape in vec(any::<u16>(), 0..200)) {
        let world = World::play(rules, &tape, true); // it would not start a second one
        prop_assert!(world.starts.windows(2).all(|starts| starts[0].1 < starts[1].1));
    }

    #[test]
    fn a_stale_event_of_an_older_incarnation_changes_nothing(
        rules in rules(), tape in vec(any::<u16>(), 0..200),
    ) {
        let often = tape.iter().flat_map(|turn| [*turn, turn / 20 * 20 + 10]);
        World::play(rules, &often.collect::<Vec<_>>(), true); // it compares before and after
    }

    #[test]
    fn the_buffer_never_passes_its_bound(rules in rules(), tape in vec(any::<u16>(), 0..200)) {
        let often = tape.iter().flat_map(|turn| [*turn, 0, 0]);
        World::play(rules, &often.collect::<Vec<_>>(), true); // it looks after each turn
    }

    #[test]
    fn nothing_stays_buffered_for_ever(rules in rules(), tape in vec(any::<u16>(), 0..200)) {
        let mut world = World::play(rules, &tape, true);
        world.settle();
        prop_assert_eq!(world.core.waiting(), 0);
    }

    #[test]
    fn a_temporary_member_that_crashed_is_not_started_again(
        rules in rules(), tape in vec(any::<u16>(), 0..200),
    ) {
        let (mut rules, birth) = rules;
        (rules.restart, rules.has_next) = (Restart::Temporary, false);
        let mut world = World::play((rules, birth), &tape, true);
        world.settle();
        world.start();
        world.comes();
        let starts = world.starts.len();
        world.crashes();
        world.settle();
        prop_assert_eq!(world.starts.len(), starts);
        prop_assert!(world.core.is_down());
    }

    #[test]
    fn more_crashes_in_a_window_than_the_intensity_bears_are_the_end(
        rules in rules(), tape in vec(any::<u16>(), 0..40),
    ) {
        let (mut rules, birth) = rules;
        (rules.restart, rules.revive, rules.backoff) = (Restart::Transient, Revive::AtOnce, None);
        let mut world = World::play((rules, birth), &tape, false);
        world.settle();
        world.start();
        let (starts, given_up) = (world.starts.len(), world.given_up);
        for _ in 0..=rules.intensity.restarts_max {
            prop_assert_eq!(world.given_up, given_up);
            while world.is_wanted || world.there.as_ref().is_some_and(|there| !there.is_up) {
                world.comes();
            }
            world.crashes();
        }
        prop_assert_eq!(world.given_up, given_up + 1);
        prop_assert!(world.starts.len() - starts <= rules.intensity.restarts_max as usize + 1);
        let is_refused = world.core.is_refused(world.now);
        prop_assert_eq!(is_refused, !rules.quarantine.is_zero());
    }

    #[test]
    fn what_is_left_is_found_once_or_let_go(rules in rules(), tape in vec(any::<u16>(), 0..200)) {
        let mut world = World::play(rules, &tape, true);
        world.tell(Event::Close);
        world.settle();
        world.found.extend(&world.let_go);
        world.found.sort_unstable();
        prop_assert_eq!(world.found, world.left);
    }

    #[test]
    fn who_is_closed_ends_and_nothing_waits(rules in rules(), tape in vec(any::<u16>(), 0..200)) {
        let mut world = World::play(rules, &tape, true);
        world.tell(Event::Close);
        let starts = world.starts.len();
        world.settle();
        prop_assert!(world.there.is_none() && world.core.is_down());
        prop_assert_eq!((world.core.waiting(), world.starts.len()), (0, starts));
    }
}

#[test]
fn who_leaves_something_sleeps_and_the_next_incarnation_finds_it_once() {
    let mut world = up(transient());
    world.passivates(true);
    world.ends();
    assert!(world.core.is_asleep());
    world.send();
    world.comes();
    let incarnation = world.there.as_ref().unwrap().incarnation;
    assert!(
        world.core.take_left(incarnation - 1).is_none(),
        "it is not that one's"
    );
    assert!(world.core.take_left(incarnation).is_some());
    assert!(world.core.take_left(incarnation).is_none());
    world.settle();
    world.passivates(false);
    world.ends();
    assert!(world.core.is_down(), "it left nothing");
}

#[test]
fn what_was_left_outlives_a_crash_on_the_way_out_and_is_let_go_with_who_is_stopped() {
    let mut world = up(transient());
    world.passivates(true);
    world.crashes();
    world.comes();
    let incarnation = world.there.as_ref().unwrap().incarnation;
    assert!(world.core.take_left(incarnation).is_some());
    world.comes();
    world.passivates(true);
    world.tell(Event::Leave);
    world.ends();
    assert!(world.core.is_down());
    assert_eq!(world.let_go, [1]);
}

#[test]
fn a_start_that_fails_again_and_again_is_tried_after_longer_and_longer_pauses() {
    let mut rules = transient();
    rules.intensity.restarts_max = 100;
    rules.backoff = Some(Backoff {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(600),
        factor: 2.0,
        jitter: 0.0,
        reset_after: Duration::from_secs(60),
    });
    let mut world = World::new((rules, true));
    world.send();
    for _ in 0..10 {
        world.comes();
        world.crashes();
        world.ring();
    }
    // It has never been up, so it has not been well for a minute either.
    assert_eq!(world.now, Duration::from_secs((1 << 10) - 1));
}

#[test]
fn who_does_not_end_is_killed_and_the_second_time_counted_out() {
    let mut world = up(transient());
    world.tell(Event::Leave);
    world.ring();
    assert!(world.core.is_timed_out() && world.there.is_some());
    world.ring();
    assert!(world.there.is_none() && world.core.is_down());
}

/// A member that is up.
fn up(rules: Rules) -> World {
    let mut world = World::new((rules, true));
    world.send();
    world.settle();
    world
}

fn transient() -> Rules {
    Rules {
        restart: Restart::Transient,
        shutdown: Shutdown::Stop(Duration::from_secs(5)),
        intensity: Intensity::default(),
        backoff: None,
        revive: Revive::AtOnce,
        has_next: true,
        sleeps: false,
        buffer_max: 8,
        quarantine: Duration::ZERO,
    }
}
