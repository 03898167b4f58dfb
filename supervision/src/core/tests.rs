//! The invariants of a supervisor, one property each, and the comparison with OTP's rules. Those of
//! the members of families are in `src/family/core/tests.rs`.
//!
//! | invariant | shown by |
//! |---|---|
//! | where nothing takes time, what is done is what OTP does | `where_nothing_takes_time_the_core_does_what_otp_does` |
//! | at most one live incarnation per child | `at_most_one_incarnation_of_a_child_is_alive` |
//! | live children are a subset of the specs | `live_children_are_a_subset_of_the_specs`, `who_was_taken_away_is_not_there_and_never_comes_back` |
//! | start order is spec order, stop order its reverse | `start_order_is_spec_order_and_stop_order_is_its_reverse` |
//! | after the end no descendant is alive | `after_the_end_no_child_is_alive`; of the shell, with states: `tests/frame/chaos.rs` |
//! | more restarts in a window than the intensity bears are the end | `more_failures_in_a_window_than_the_intensity_bears_are_the_end` |
//! | a temporary child never has a second incarnation | `a_temporary_child_never_has_a_second_incarnation` |
//! | a transient one is restarted if and only if its end was abnormal | `a_transient_child_is_restarted_if_and_only_if_its_end_was_abnormal` |
//! | rest-for-one restarts exactly the suffix | `rest_for_one_restarts_exactly_the_suffix` |
//! | failures of one group at one time are one round | `failures_of_one_group_at_one_time_are_one_round` |
//! | a stale event of an older incarnation changes nothing | `a_stale_event_of_an_older_incarnation_changes_nothing`; an alarm: `tests/frame/pulse.rs` |
//! | no handler of a supervisor waits for a child | the core has no word for it; the shell's are not `async` beyond their signature |

use std::collections::BTreeSet;

use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, any, prop_assert, prop_assert_eq, prop_oneof, proptest},
    strategy::Strategy as _,
};

use super::{
    reference::{Otp, Pid, Trace, Why},
    world::{Plan, Seen, World, plans, restarts},
    *,
};
use crate::spec::Backoff;

/// What happens to a supervisor from outside, some seconds after what happened before.
type Happens = (u64, What, usize, bool);

#[derive(Clone, Copy, Debug)]
enum What {
    Added(Restart),
    Exits,
    Removed,
}

fn whats() -> impl proptest::strategy::Strategy<Value = What> {
    prop_oneof![
        1 => restarts().prop_map(What::Added),
        1 => Just(What::Removed),
        4 => Just(What::Exits),
    ]
}

/// Plays the core in a world where everything takes no time; what can be seen of it.
fn play_at_once(plan: &Plan, works: impl Fn(usize) -> bool, happens: &[Happens]) -> Vec<Trace> {
    let (mut core, mut trace) = (plan.core(), Vec::new());
    let (mut present, mut starts) = (vec![0; plan.rules.len()], 0);
    let mut settle = |core: &mut Core, now, first: Vec<Command>, present: &mut Vec<u64>| {
        let (mut events, mut commands) = (VecDeque::new(), first);
        loop {
            for command in std::mem::take(&mut commands) {
                match command {
                    Command::Finish(finish) => trace.push(Trace::Ended(match finish {
                        Finish::Auto => Why::Auto,
                        Finish::Escalate { child } => Why::GaveUpOn(child),
                        Finish::StartFailed { child } => Why::NeverUp(child),
                        Finish::Stopped => Why::Asked,
                    })),
                    Command::Kill { child, incarnation } | Command::Stop { child, incarnation } => {
                        trace.push(Trace::Stopped(child));
                        present[child] = 0;
                        events.push_back(Event::Gone {
                            child,
                            incarnation,
                            abnormal: false,
                        });
                    }
                    Command::Start {
                        child, incarnation, ..
                    } => {
                        trace.push(Trace::Started(child));
                        starts += 1;
                        events.push_back(if works(starts) {
                            present[child] = incarnation;
                            Event::Up { child, incarnation }
                        } else {
                            Event::Gone {
                                child,
                                incarnation,
                                abnormal: true,
                            }
                        });
                    }
                    Command::Abandon { .. }
                    | Command::Forget { .. }
                    | Command::Up
                    | Command::Wake { .. } => {}
                }
            }
            match events.pop_front() {
                Some(event) => core.step(now, event, &mut commands),
                None => return,
            }
        }
    };
    let mut now = Duration::ZERO;
    let step = |core: &mut Core, now, event| {
        let mut commands = Vec::new();
        core.step(now, event, &mut commands);
        commands
    };
    let first = step(&mut core, now, Event::Begin);
    settle(&mut core, now, first, &mut present);
    for &(seconds, what, child, abnormal) in happens {
        now += Duration::from_secs(seconds);
        let child = child.checked_rem(present.len());
        let commands = match (what, child) {
            (What::Added(restart), _) => {
                let mut commands = Vec::new();
                let rule = Rule {
                    restart,
                    significant: abnormal && restart != Restart::Permanent,
                    ..all(plan.strategy, restart, 1, 9).rules[0]
                };
                if core.add(rule, &mut commands).is_some() {
                    present.push(0);
                }
                commands
            }
            (What::Exits, Some(child)) => match std::mem::take(&mut present[child]) {
                0 => Vec::new(),
                incarnation => {
                    let gone = Event::Gone {
                        child,
                        incarnation,
                        abnormal,
                    };
                    step(&mut core, now, gone)
                }
            },
            (What::Removed, Some(child)) => step(&mut core, now, Event::Remove { child }),
            (What::Exits | What::Removed, None) => Vec::new(),
        };
        settle(&mut core, now, commands, &mut present);
    }
    let last = step(&mut core, now, Event::Stop);
    settle(&mut core, now, last, &mut present);
    trace
}

fn play_reference(
    plan: &Plan,
    works: impl FnMut(usize) -> bool,
    happens: &[Happens],
) -> Vec<Trace> {
    let pid = |rule: &Rule| Pid {
        restart: rule.restart,
        significant: rule.significant,
        alive: false,
        deleted: false,
    };
    let mut otp = Otp {
        strategy: plan.strategy,
        intensity: plan.intensity,
        auto_shutdown: plan.auto_shutdown,
        children: plan.rules.iter().map(pid).collect(),
        works,
        starts: 0,
        restarts: Vec::new(),
        trace: Vec::new(),
    };
    let mut now = Duration::ZERO;
    otp.init();
    for &(seconds, what, child, abnormal) in happens {
        now += Duration::from_secs(seconds);
        match (what, child.checked_rem(otp.children.len())) {
            (What::Added(restart), _) => {
                otp.add(restart, abnormal && restart != Restart::Permanent);
            }
            (What::Exits, Some(child)) => otp.exit(child, abnormal, now),
            (What::Removed, Some(child)) => otp.remove(child),
            (What::Exits | What::Removed, None) => {}
        }
    }
    otp.shut_down(Why::Asked);
    otp.trace
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn where_nothing_takes_time_the_core_does_what_otp_does(
        plan in plans(false),
        happens in vec((0_u64..7, whats(), any::<usize>(), any::<bool>()), 0..25),
        failing in vec(1_usize..60, 0..8),
    ) {
        let failing: BTreeSet<_> = failing.into_iter().collect();
        let works = |start| !failing.contains(&start);
        prop_assert_eq!(
            play_at_once(&plan, works, &happens),
            play_reference(&plan, works, &happens)
        );
    }

    #[test]
    fn at_most_one_incarnation_of_a_child_is_alive(
        plan in plans(true), tape in vec(any::<u16>(), 0..120),
    ) {
        for (seen, there) in World::play(&plan, &tape).moments() {
            if let Seen::Did(Command::Start { child, .. }) = seen {
                prop_assert!(there.iter().all(|there| there.0 != child), "{child} is there");
            }
        }
    }

    #[test]
    fn live_children_are_a_subset_of_the_specs(
        plan in plans(true), tape in vec(any::<u16>(), 0..120),
    ) {
        let world = World::play(&plan, &tape);
        let mut count = plan.rules.len();
        for (_, seen) in &world.seen {
            match *seen {
                Seen::Added(child) => {
                    prop_assert_eq!(child, count);
                    count += 1;
                }
                Seen::Did(Command::Start { child, .. }) => prop_assert!(child < count),
                _ => {}
            }
        }
    }

    #[test]
    fn who_was_taken_away_is_not_there_and_never_comes_back(
        plan in plans(true), tape in vec(any::<u16>(), 0..120),
    ) {
        let mut forgotten = BTreeSet::new();
        for (seen, there) in World::play(&plan, &tape).moments() {
            prop_assert!(there.iter().all(|there| !forgotten.contains(&there.0)));
            match seen {
                Seen::Did(Command::Forget { child }) => {
                    prop_assert!(there.iter().all(|there| there.0 != child));
                    prop_assert!(forgotten.insert(child), "{} was forgotten twice", child);
                }
                Seen::Did(Command::Start { child, .. }) => {
                    prop_assert!(!forgotten.contains(&child));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn start_order_is_spec_order_and_stop_order_is_its_reverse(
        plan in plans(true), tape in vec(any::<u16>(), 0..120),
    ) {
        let world = World::play(&plan, &tape);
        let first = world.starts().map(|(_, child)| child);
        let mut known = 0;
        for child in first {
            prop_assert!(child <= known, "{child} was started before {known}");
            known = known.max(child + 1);
        }
        let mut is_ending = false;
        for (seen, there) in world.moments() {
            is_ending |= matches!(seen, Seen::Heard(Event::Stop));
            if let Seen::Did(Command::Stop { child, .. } | Command::Kill { child, .. }) = seen {
                let later = there.iter().any(|there| there.0 > child);
                prop_assert!(!is_ending || !later, "{child} was stopped before a later one");
            }
        }
    }

    #[test]
    fn after_the_end_no_child_is_alive(
        plan in plans(true), tape in vec(any::<u16>(), 0..120),
    ) {
        for (seen, there) in World::play(&plan, &tape).moments() {
            if let Seen::Did(Command::Finish(_)) = seen {
                prop_assert_eq!(&there, &[]);
            }
        }
    }

    #[test]
    fn more_failures_in_a_window_than_the_intensity_bears_are_the_end(
        plan in plans(false), tape in vec(any::<u16>(), 0..120),
    ) {
        let plan = Plan { strategy: Strategy::OneForOne, ..plan };
        let world = World::play(&plan, &tape);
        let starts: Vec<_> = world.seen.iter().filter_map(|(at, seen)| match seen {
            Seen::Did(Command::Start { restart: true, .. }) => Some(*at),
            _ => None,
        }).collect();
        for (first, from) in starts.iter().enumerate() {
            let until = *from + plan.intensity.window;
            let within = starts[first..].iter().filter(|at| **at <= until).count();
            prop_assert!(within <= plan.intensity.restarts_max as usize);
        }
    }

    #[test]
    fn a_temporary_child_never_has_a_second_incarnation(
        plan in plans(true), tape in vec(any::<u16>(), 0..120),
    ) {
        let world = World::play(&plan, &tape);
        for (child, rule) in plan.rules.iter().enumerate() {
            if rule.restart == Restart::Temporary {
                prop_assert!(world.starts().filter(|start| start.1 == child).count() <= 1);
            }
        }
    }

    #[test]
    fn a_transient_child_is_restarted_if_and_only_if_its_end_was_abnormal(
        abnormal in any::<bool>(), count in 1_usize..5, which in any::<usize>(),
    ) {
        let plan = all(Strategy::OneForOne, Restart::Transient, count, 9);
        let (mut world, child) = (up(&plan), which % count);
        world.go(child, world.incarnation(child), abnormal);
        prop_assert_eq!(world.starts().filter(|start| start.1 == child).count() > 1, abnormal);
    }

    #[test]
    fn rest_for_one_restarts_exactly_the_suffix(count in 1_usize..6, which in any::<usize>()) {
        let plan = all(Strategy::RestForOne, Restart::Permanent, count, 9);
        let (mut world, child) = (up(&plan), which % count);
        world.go(child, world.incarnation(child), true);
        world.settle();
        let started: Vec<_> = world.starts().skip(count).map(|start| start.1).collect();
        prop_assert_eq!(started, (child..count).collect::<Vec<_>>());
    }

    #[test]
    fn failures_of_one_group_at_one_time_are_one_round(
        count in 1_usize..6, failing in vec(any::<usize>(), 1..6),
    ) {
        // The intensity bears one round, so a second one would be the end.
        let plan = all(Strategy::OneForAll, Restart::Permanent, count, 1);
        let mut world = up(&plan);
        let failing: BTreeSet<_> = failing.into_iter().map(|child| child % count).collect();
        for child in failing {
            world.go(child, world.incarnation(child), true);
        }
        world.settle();
        prop_assert_eq!(world.finish, None);
        prop_assert_eq!(world.starts().count(), 2 * count);
    }

    #[test]
    fn a_stale_event_of_an_older_incarnation_changes_nothing(
        plan in plans(true), tape in vec(any::<u16>(), 0..120),
    ) {
        World::play(&plan, &tape); // asserts it at every seventh turn
    }
}

#[test]
fn a_child_that_does_not_stop_is_killed_and_then_counted_out() {
    let plan = all(Strategy::OneForOne, Restart::Permanent, 1, 9);
    let mut world = up(&plan);
    let incarnation = world.incarnation(0);
    world.tell(Event::Stop);
    world.ring();
    world.ring();
    let done = world.seen.iter().filter_map(|(_, seen)| match seen {
        Seen::Did(command) if !matches!(command, Command::Wake { .. }) => Some(*command),
        _ => None,
    });
    let end: Vec<_> = done.skip(2).collect();
    assert_eq!(
        end,
        [
            Command::Stop {
                child: 0,
                incarnation
            },
            Command::Kill {
                child: 0,
                incarnation
            },
            Command::Abandon {
                child: 0,
                incarnation
            },
            Command::Finish(Finish::Stopped),
        ]
    );
}

#[test]
fn a_child_with_a_backoff_is_started_after_its_pause() {
    let mut plan = all(Strategy::OneForOne, Restart::Permanent, 1, 9);
    plan.rules[0].backoff = Some(Backoff {
        jitter: 0.0,
        ..Backoff::default()
    });
    let mut world = up(&plan);
    world.go(0, world.incarnation(0), true);
    assert_eq!(world.starts().count(), 1);
    world.ring();
    assert_eq!(world.starts().last(), Some((Duration::from_millis(10), 0)));
}

#[test]
fn a_failure_below_a_group_that_pauses_does_not_end_its_pause() {
    let mut plan = all(Strategy::RestForOne, Restart::Permanent, 2, 9);
    plan.rules[1].backoff = Some(Backoff {
        jitter: 0.0,
        ..Backoff::default()
    });
    let mut world = up(&plan);
    world.go(1, world.incarnation(1), true);
    world.go(0, world.incarnation(0), true);
    assert_eq!(world.starts().count(), 2);
    world.ring(); // that of the smaller group, of a time that has passed
    world.ring();
    world.settle();
    let again: Vec<_> = world.starts().skip(2).collect();
    let after = Duration::from_millis(10);
    assert_eq!(again, [(after, 0), (after, 1)]);
}

fn all(strategy: Strategy, restart: Restart, count: usize, restarts_max: u32) -> Plan {
    let shutdown = Shutdown::Stop(Duration::from_secs(5));
    let rule = Rule {
        restart,
        shutdown,
        backoff: None,
        significant: false,
    };
    Plan {
        strategy,
        intensity: Intensity {
            restarts_max,
            window: Duration::from_secs(10),
        },
        auto_shutdown: AutoShutdown::Never,
        rules: vec![rule; count],
    }
}

/// A world with everybody up.
fn up(plan: &Plan) -> World {
    let mut world = World::new(plan);
    world.tell(Event::Begin);
    world.settle();
    world
}

impl World {
    /// Lets everybody come up who starts, and go who is asked to.
    fn settle(&mut self) {
        loop {
            let asked = self.there.iter().find(|there| there.3).copied();
            let starting = self.there.iter_mut().find(|there| !there.2 && !there.3);
            if let Some((child, incarnation, ..)) = asked {
                self.go(child, incarnation, false);
            } else if let Some(starting) = starting {
                starting.2 = true;
                let (child, incarnation, ..) = *starting;
                self.tell(Event::Up { child, incarnation });
            } else {
                return;
            }
        }
    }

    fn incarnation(&self, child: usize) -> u64 {
        self.there
            .iter()
            .find(|there| there.0 == child)
            .expect("it is up")
            .1
    }
}
