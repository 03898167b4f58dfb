//! What the resolver knows, and what it must ask. No tokio, no ractor, no clock, no network.
//!
//! ```text
//!               ┌── known and true ───────────────────────▶ Tell
//!   ask ────────┼── already on its way ──▶ waits ─┐
//!               └── neither ──▶ Ask               ▼
//!   answered ── found, or certainly not there ──▶ kept ──▶ Tell, to all who wait
//!            └─ trouble ──▶ past its time but there: Tell that (RFC 8767); else Tell the trouble
//! ```

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use mail::Domain;
use world::dns::{Found, Missing, Question, Records, Trouble};

use super::Config;
use crate::contract::ResolverReport;

/// What is known of the DNS. Instants are those of a clock that never goes back.
#[derive(Debug)]
pub struct Cache {
    asking: HashMap<Question, Vec<Ticket>>,
    config: Config,
    kept: HashMap<Question, Kept>,
    /// What is kept, in the order in which it loses its place.
    turns: VecDeque<Question>,
    asked: u64,
    from_memory: u64,
    stale: u64,
    troubles: u64,
}

/// What the shell must do. Effects are carried out in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Ask a server; what comes of it goes to [`Cache::answered`].
    Ask(Question),
    /// Tell whoever holds this ticket.
    Tell(Ticket, Answer),
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Ticket {
    /// Unique among those who wait.
    pub number: u64,
    /// Which of the two questions that were asked for this number.
    pub second: bool,
}

/// What is known about a question.
pub type Answer = Result<Arc<Records>, Unfound>;

/// Why there is nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unfound {
    /// The name has no such records.
    NoData,
    /// There is no such name.
    NoName,
    /// Nobody knows.
    Trouble(Trouble),
}

/// Where the answer to a question comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// A server is asked.
    Asked,
    /// Nowhere: too many questions are on their way.
    Busy,
    /// A server is being asked the same already.
    Joined,
    /// It is known.
    Memory,
    /// It was known, and nobody can be asked.
    Stale,
}

#[derive(Debug)]
struct Kept {
    answer: Answer,
    /// Until then it is true.
    fresh: Duration,
    /// Until then it is better than nothing.
    stale: Duration,
    /// Whether somebody asked since it last was its turn to go.
    used: bool,
}

impl Cache {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            asking: HashMap::new(),
            config,
            kept: HashMap::new(),
            turns: VecDeque::new(),
            asked: 0,
            from_memory: 0,
            stale: 0,
            troubles: 0,
        }
    }

    /// Somebody wants to know. They are told exactly once, now or later.
    pub fn ask(
        &mut self,
        question: Question,
        ticket: Ticket,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) -> Source {
        if let Some(kept) = self.kept.get_mut(&question)
            && now < kept.fresh
        {
            kept.used = true;
            self.from_memory += 1;
            effects.push(Effect::Tell(ticket, kept.answer.clone()));
            return Source::Memory;
        }
        if let Some(waiting) = self.asking.get_mut(&question) {
            waiting.push(ticket);
            return Source::Joined;
        }
        if self.asking.len() >= self.config.asking_max {
            let (source, answer) = match self.stale(&question, now) {
                Some(answer) => (Source::Stale, answer),
                None => (Source::Busy, Err(Unfound::Trouble(Trouble::Busy))),
            };
            effects.push(Effect::Tell(ticket, answer));
            return source;
        }
        self.asked += 1;
        self.asking.insert(question.clone(), vec![ticket]);
        effects.push(Effect::Ask(question));
        Source::Asked
    }

    /// A server answered, or none did. An answer to a question that is not on its way is one to
    /// an earlier incarnation: nobody waits for it.
    pub fn answered(
        &mut self,
        question: Question,
        result: Result<Found, Missing>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let Some(waiting) = self.asking.remove(&question) else {
            return;
        };
        let answer = match result {
            Ok(Found { records, ttl }) => self.keep_found(question, records, ttl, now),
            Err(Missing::NoData { ttl }) => self.keep_missing(question, Unfound::NoData, ttl, now),
            Err(Missing::NoName { ttl }) => self.keep_missing(question, Unfound::NoName, ttl, now),
            Err(Missing::Trouble(trouble)) => self.keep_trouble(question, trouble, now),
        };
        let tell = |ticket| Effect::Tell(ticket, answer.clone());
        effects.extend(waiting.into_iter().map(tell));
    }

    /// Forgets what is known about a name, or about everything.
    pub fn forget(&mut self, name: Option<&Domain>) {
        match name {
            Some(name) => self
                .kept
                .retain(|question, _| question.name() != Some(name)),
            None => self.kept.clear(),
        }
        self.turns
            .retain(|question| self.kept.contains_key(question));
    }

    /// How the resolver is.
    #[must_use]
    pub fn report(&self) -> ResolverReport {
        ResolverReport {
            kept: self.kept.len(),
            kept_max: self.config.kept_max,
            asking: self.asking.len(),
            from_memory: self.from_memory,
            asked: self.asked,
            stale: self.stale,
            troubles: self.troubles,
        }
    }

    fn keep_found(
        &mut self,
        question: Question,
        records: Records,
        ttl: Duration,
        now: Duration,
    ) -> Answer {
        let least = seconds(self.config.ttl_min_seconds);
        let fresh = now + ttl.max(least).min(seconds(self.config.ttl_max_seconds));
        let stale = fresh + seconds(self.config.stale_max_seconds);
        self.keep(question, Ok(Arc::new(records)), fresh, stale)
    }

    /// Kept for as long as the zone says (RFC 2308 §5), and never used past its time: a name that
    /// may exist by now must not bounce mail.
    fn keep_missing(
        &mut self,
        question: Question,
        unfound: Unfound,
        ttl: Option<Duration>,
        now: Duration,
    ) -> Answer {
        let least = seconds(self.config.ttl_min_seconds);
        let ttl = ttl.unwrap_or_default().max(least);
        let fresh = now + ttl.min(seconds(self.config.negative_max_seconds));
        self.keep(question, Err(unfound), fresh, fresh)
    }

    /// Tells what was true before, if it is not too old; asks nobody for a while.
    fn keep_trouble(&mut self, question: Question, trouble: Trouble, now: Duration) -> Answer {
        self.troubles += 1;
        if let Some(answer) = self.stale(&question, now) {
            let rest = now + seconds(self.config.stale_rest_seconds);
            if let Some(kept) = self.kept.get_mut(&question) {
                kept.fresh = rest.min(kept.stale);
            }
            return answer;
        }
        let answer = Err(Unfound::Trouble(trouble));
        if trouble == Trouble::Busy {
            return answer; // that was us, not a server
        }
        let fresh = now + seconds(self.config.trouble_seconds);
        self.keep(question, answer, fresh, fresh)
    }

    /// What was true and is not too old to be used.
    fn stale(&mut self, question: &Question, now: Duration) -> Option<Answer> {
        let kept = self.kept.get_mut(question)?;
        if now >= kept.stale {
            return None;
        }
        kept.used = true;
        self.stale += 1;
        Some(kept.answer.clone())
    }

    fn keep(
        &mut self,
        question: Question,
        answer: Answer,
        fresh: Duration,
        stale: Duration,
    ) -> Answer {
        let kept = Kept {
            answer: answer.clone(),
            fresh,
            stale,
            used: false,
        };
        if let Some(earlier) = self.kept.get_mut(&question) {
            *earlier = kept;
            return answer;
        }
        while self.kept.len() >= self.config.kept_max.max(1) {
            self.make_room();
        }
        self.turns.push_back(question.clone());
        self.kept.insert(question, kept);
        answer
    }

    /// Lets the oldest go that nobody has asked for since its last turn.
    fn make_room(&mut self) {
        while let Some(question) = self.turns.pop_front() {
            match self.kept.get_mut(&question) {
                Some(kept) if kept.used => {
                    kept.used = false;
                    self.turns.push_back(question);
                }
                _ => {
                    self.kept.remove(&question);
                    return;
                }
            }
        }
        self.kept.clear(); // unreachable while each kept answer has its turn; never loops for ever
    }
}

impl Source {
    /// The label `source` of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Busy => "busy",
            Self::Joined => "joined",
            Self::Memory => "memory",
            Self::Stale => "stale",
        }
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
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
}
