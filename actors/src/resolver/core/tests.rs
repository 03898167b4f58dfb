//! What the resolver knows, put to the test.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// A cache and what it said.
struct Bench {
    cache: Cache,
    now: Duration,
    tickets: u64,
}

impl Bench {
    fn new(config: Config) -> Self {
        Self {
            cache: Cache::new(config),
            now: Duration::ZERO,
            tickets: 0,
        }
    }

    fn pass(&mut self, span: u64) {
        self.now += seconds(span);
    }

    fn ask(&mut self, name: &str) -> (Source, Vec<Effect>) {
        self.tickets += 1;
        let mut effects = Vec::new();
        let ticket = ticket(self.tickets);
        let source = self
            .cache
            .ask(question(name), ticket, self.now, &mut effects);
        (source, effects)
    }

    fn answered(&mut self, name: &str, result: Result<Found, Missing>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.cache
            .answered(question(name), result, self.now, &mut effects);
        effects
    }

    /// Asks, and has the server answer if it is asked.
    fn learn(&mut self, name: &str, result: Result<Found, Missing>) -> (Source, Answer) {
        let (source, mut effects) = self.ask(name);
        if effects == [Effect::Ask(question(name))] {
            effects = self.answered(name, result);
        }
        match effects.pop() {
            Some(Effect::Tell(_, answer)) => (source, answer),
            other => panic!("{other:?}"),
        }
    }
}

fn question(name: &str) -> Question {
    Question::Txt(name.parse().unwrap())
}

fn ticket(number: u64) -> Ticket {
    Ticket {
        number,
        second: false,
    }
}

fn found(text: &str, ttl: u64) -> Result<Found, Missing> {
    Ok(Found {
        records: records(text),
        ttl: seconds(ttl),
    })
}

fn records(text: &str) -> Records {
    Records::Txt(vec![text.to_owned()])
}

fn told(text: &str) -> Answer {
    Ok(Arc::new(records(text)))
}

const DOWN: Result<Found, Missing> = Err(Missing::Trouble(Trouble::TimedOut));
const TIMED_OUT: Answer = Err(Unfound::Trouble(Trouble::TimedOut));

#[test]
fn an_answer_is_kept_until_its_time_is_over() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(
        bench.learn("a.test", found("one", 300)),
        (Source::Asked, told("one"))
    );
    bench.pass(299);
    assert_eq!(
        bench.learn("a.test", found("two", 300)),
        (Source::Memory, told("one"))
    );
    bench.pass(1);
    assert_eq!(
        bench.learn("a.test", found("two", 300)),
        (Source::Asked, told("two"))
    );
}

#[test]
fn a_ttl_has_bounds() {
    let mut bench = Bench::new(Config::default());
    bench.learn("short.test", found("one", 0)).1.unwrap();
    bench
        .learn("long.test", found("one", u64::from(u32::MAX)))
        .1
        .unwrap();
    bench.pass(4);
    assert_eq!(bench.ask("short.test").0, Source::Memory);
    bench.pass(1);
    assert_eq!(bench.ask("short.test").0, Source::Asked);
    bench.pass(86_400);
    assert_eq!(bench.ask("long.test").0, Source::Asked);
}

#[test]
fn who_asks_the_same_at_the_same_time_waits_for_one_answer() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.ask("a.test").1, [Effect::Ask(question("a.test"))]);
    assert_eq!(bench.ask("a.test"), (Source::Joined, vec![]));
    let effects = bench.answered("a.test", found("one", 60));
    let tell = |number| Effect::Tell(ticket(number), told("one"));
    assert_eq!(effects, [tell(1), tell(2)]);
    assert_eq!(bench.answered("a.test", found("two", 60)), []);
}

#[test]
fn that_there_is_nothing_is_kept_as_long_as_the_zone_says() {
    let mut bench = Bench::new(Config::default());
    let no_name = |ttl: u64| {
        Err(Missing::NoName {
            ttl: Some(seconds(ttl)),
        })
    };
    let unfound = Err(Unfound::NoName);
    assert_eq!(
        bench.learn("a.test", no_name(600)),
        (Source::Asked, unfound.clone())
    );
    bench.pass(599);
    assert_eq!(
        bench.learn("a.test", DOWN),
        (Source::Memory, unfound.clone())
    );
    bench.pass(1);
    // Past its time it bounces no mail, even if nobody knows better.
    assert_eq!(bench.learn("a.test", DOWN), (Source::Asked, TIMED_OUT));
    let no_data = Err(Missing::NoData { ttl: None });
    assert_eq!(bench.learn("b.test", no_data).1, Err(Unfound::NoData));
    bench.pass(5);
    assert_eq!(bench.ask("b.test").0, Source::Asked);
}

#[test]
fn an_old_answer_serves_while_no_server_does() {
    let mut bench = Bench::new(Config::default());
    bench.learn("a.test", found("one", 60)).1.unwrap();
    bench.pass(61);
    assert_eq!(bench.learn("a.test", DOWN), (Source::Asked, told("one")));
    bench.pass(29);
    assert_eq!(bench.learn("a.test", DOWN), (Source::Memory, told("one")));
    bench.pass(1);
    assert_eq!(
        bench.learn("a.test", found("two", 60)),
        (Source::Asked, told("two"))
    );
    bench.pass(60 + 86_400);
    assert_eq!(bench.learn("a.test", DOWN), (Source::Asked, TIMED_OUT));
    assert_eq!(bench.cache.report().stale, 1);
    assert_eq!(bench.cache.report().troubles, 2);
}

#[test]
fn servers_in_trouble_are_left_alone_for_a_moment() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.learn("a.test", DOWN), (Source::Asked, TIMED_OUT));
    bench.pass(9);
    assert_eq!(bench.learn("a.test", DOWN), (Source::Memory, TIMED_OUT));
    bench.pass(1);
    assert_eq!(
        bench.learn("a.test", found("one", 60)),
        (Source::Asked, told("one"))
    );
}

#[test]
fn too_many_questions_are_refused_or_answered_from_old_knowledge() {
    let config = Config {
        asking_max: 1,
        ..Config::default()
    };
    let mut bench = Bench::new(config);
    bench.learn("old.test", found("one", 60)).1.unwrap();
    bench.pass(60);
    assert_eq!(bench.ask("a.test").0, Source::Asked);
    let (source, effects) = bench.ask("b.test");
    let busy = Err(Unfound::Trouble(Trouble::Busy));
    assert_eq!(
        (source, effects),
        (Source::Busy, vec![Effect::Tell(ticket(3), busy)])
    );
    let (source, effects) = bench.ask("old.test");
    assert_eq!(
        (source, effects),
        (Source::Stale, vec![Effect::Tell(ticket(4), told("one"))])
    );
}

#[test]
fn what_is_asked_for_stays_when_room_is_needed() {
    let config = Config {
        kept_max: 2,
        ..Config::default()
    };
    let mut bench = Bench::new(config);
    bench.learn("a.test", found("a", 60)).1.unwrap();
    bench.learn("b.test", found("b", 60)).1.unwrap();
    assert_eq!(bench.ask("a.test").0, Source::Memory);
    bench.learn("c.test", found("c", 60)).1.unwrap();
    assert_eq!(bench.cache.report().kept, 2);
    assert_eq!(bench.ask("a.test").0, Source::Memory);
    assert_eq!(bench.ask("b.test").0, Source::Asked);
}

#[test]
fn what_is_forgotten_is_asked_again() {
    let mut bench = Bench::new(Config::default());
    bench.learn("a.test", found("a", 60)).1.unwrap();
    bench.learn("b.test", found("b", 60)).1.unwrap();
    bench.cache.forget(Some(&"a.test".parse().unwrap()));
    assert_eq!(bench.ask("a.test").0, Source::Asked);
    assert_eq!(bench.ask("b.test").0, Source::Memory);
    bench.cache.forget(None);
    assert_eq!(bench.ask("b.test").0, Source::Asked);
}

#[derive(Clone, Debug)]
enum Turn {
    Answer(usize, u8),
    Ask(usize),
    Forget(usize),
    Pass(u64),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => (0..8_usize, 0..4_u8).prop_map(|(name, how)| Turn::Answer(name, how)),
        4 => (0..8_usize).prop_map(Turn::Ask),
        1 => (0..8_usize).prop_map(Turn::Forget),
        1 => prop_oneof![Just(1), Just(30), Just(100_000)].prop_map(Turn::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everybody_is_told_once_and_memory_is_bounded(
        turns in prop::collection::vec(turn(), 1..80)
    ) {
        let config = Config { kept_max: 3, asking_max: 4, ..Config::default() };
        let mut bench = Bench::new(config);
        let (mut asking, mut told) = (HashSet::new(), HashSet::new());
        let name = |n: usize| format!("n{n}.test");
        let end = (0..8).map(|n| Turn::Answer(n, 0));
        for turn in turns.into_iter().chain(end) {
            let effects = match turn {
                Turn::Ask(n) => bench.ask(&name(n)).1,
                Turn::Answer(n, how) => {
                    asking.remove(&question(&name(n)));
                    bench.answered(&name(n), match how {
                        0 => found("x", 20),
                        1 => DOWN,
                        2 => Err(Missing::NoName { ttl: None }),
                        _ => Err(Missing::NoData { ttl: Some(seconds(50)) }),
                    })
                }
                Turn::Forget(n) => {
                    bench.cache.forget(Some(&name(n).parse().unwrap()));
                    Vec::new()
                }
                Turn::Pass(span) => {
                    bench.pass(span);
                    Vec::new()
                }
            };
            for effect in effects {
                match effect {
                    Effect::Ask(question) => prop_assert!(asking.insert(question)),
                    Effect::Tell(ticket, _) => prop_assert!(told.insert(ticket)),
                }
            }
            prop_assert!(bench.cache.kept.len() <= 3);
            prop_assert_eq!(bench.cache.turns.len(), bench.cache.kept.len());
            prop_assert!(bench.cache.asking.len() <= 4);
        }
        prop_assert_eq!(told.len() as u64, bench.tickets);
    }
}
