//! The resolver, as an actor: it asks the DNS for the whole house.
//!
//! # Owns
//! What the DNS said and how long that is true, and who waits for an answer. It decides nothing
//! itself: the decisions are [`Cache`]'s.
//!
//! # Hears
//! [`ResolverMsg`]: `Addresses` and `Mx` from deliveries, `Names` from sessions, `Texts` from
//! policies, `Answered` from the world, `Forget` and `Inspect` from an operator.
//!
//! # Says
//! Questions to the [`Dns`], and the answer to whoever asked.
//!
//! # Supervised by
//! The advisers, `Permanent`.
//!
//! # When it crashes
//! What it knew is asked again. Who waits for an answer gets none and takes it for trouble of the
//! DNS: deliveries try again later, and nothing is bounced.
//!
//! # Metrics
//! `heronry_resolver_answer_seconds`, `heronry_resolver_answers_total`,
//! `heronry_resolver_asking`, `heronry_resolver_kept`, `heronry_resolver_questions_total`.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use policy::mx::Mx;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use world::{
    Clock,
    dns::{self, Dns, Found, Missing, MxRecord, Question, Records},
};

use super::{
    Config,
    core::{Answer, Cache, Effect, Ticket, Unfound},
    metrics::{
        RESOLVER_ANSWER_SECONDS, RESOLVER_ANSWERS, RESOLVER_ASKING, RESOLVER_KEPT,
        RESOLVER_QUESTIONS,
    },
};
use crate::contract::{Addresses, Resolved, ResolverMsg, Unresolved};

/// The resolver.
#[derive(Debug)]
pub struct Resolver;

/// What the resolver needs to live. Everything it may touch is named here.
#[derive(Clone, Debug)]
pub struct ResolverArgs {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What the operator has set.
    pub config: Config,
    /// Who is asked.
    pub dns: Arc<dyn Dns>,
}

/// What the resolver has in memory.
pub struct ResolverState {
    args: ResolverArgs,
    cache: Cache,
    /// When the questions on their way were asked.
    since: HashMap<Question, Duration>,
    tickets: u64,
    waiting: HashMap<u64, Waiting>,
}

/// Somebody who waits for an answer.
enum Waiting {
    Addresses {
        reply: RpcReplyPort<Resolved<Addresses>>,
        /// What came of the question for IPv4 and of the one for IPv6.
        halves: [Option<Answer>; 2],
    },
    Mx(RpcReplyPort<Resolved<Vec<Mx>>>),
    Names(RpcReplyPort<Resolved<Arc<[mail::Domain]>>>),
    Texts(RpcReplyPort<Resolved<Arc<[String]>>>),
}

impl Actor for Resolver {
    type Msg = ResolverMsg;
    type State = ResolverState;
    type Arguments = ResolverArgs;

    async fn pre_start(
        &self,
        _: ActorRef<ResolverMsg>,
        args: ResolverArgs,
    ) -> Result<ResolverState, ActorProcessingErr> {
        Ok(ResolverState {
            cache: Cache::new(args.config.clone()),
            args,
            since: HashMap::new(),
            tickets: 0,
            waiting: HashMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ResolverMsg>,
        msg: ResolverMsg,
        state: &mut ResolverState,
    ) -> Result<(), ActorProcessingErr> {
        let now = state.args.clock.monotonic();
        let mut effects = Vec::new();
        match msg {
            ResolverMsg::Addresses(host, reply) => {
                let questions = [Question::V4(host.clone()), Question::V6(host)];
                let halves = [None, None];
                state.ask(
                    &questions,
                    Waiting::Addresses { reply, halves },
                    now,
                    &mut effects,
                );
            }
            ResolverMsg::Answered(question, result) => {
                state.answered(question, result, now, &mut effects);
            }
            ResolverMsg::Forget(name) => state.cache.forget(name.as_ref()),
            ResolverMsg::Inspect(reply) => {
                let _ = reply.send(state.cache.report()); // whoever asked may have left
            }
            ResolverMsg::Mx(domain, reply) => {
                state.ask(
                    &[Question::Mx(domain)],
                    Waiting::Mx(reply),
                    now,
                    &mut effects,
                );
            }
            ResolverMsg::Names(address, reply) => {
                state.ask(
                    &[Question::Ptr(address)],
                    Waiting::Names(reply),
                    now,
                    &mut effects,
                );
            }
            ResolverMsg::Texts(name, reply) => {
                state.ask(
                    &[Question::Txt(name)],
                    Waiting::Texts(reply),
                    now,
                    &mut effects,
                );
            }
        }
        state.carry_out(effects, now, &myself);
        Ok(())
    }
}

impl ResolverState {
    fn ask(
        &mut self,
        questions: &[Question],
        waiting: Waiting,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        self.tickets += 1;
        let number = self.tickets;
        self.waiting.insert(number, waiting);
        for (question, second) in questions.iter().zip([false, true]) {
            let ticket = Ticket { number, second };
            let source = self.cache.ask(question.clone(), ticket, now, effects);
            RESOLVER_QUESTIONS.count(&[source.as_str()]);
        }
    }

    fn answered(
        &mut self,
        question: Question,
        result: Result<Found, Missing>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(since) = self.since.remove(&question) {
            RESOLVER_ANSWER_SECONDS.observe(now.saturating_sub(since).as_secs_f64(), &[]);
        }
        let outcome = match &result {
            Ok(_) => "found",
            Err(Missing::NoData { .. }) => "no_data",
            Err(Missing::NoName { .. }) => "no_name",
            Err(Missing::Trouble(trouble)) => {
                tracing::debug!(%question, %trouble, "the DNS gives no answer");
                "trouble"
            }
        };
        RESOLVER_ANSWERS.count(&[question.kind(), outcome]);
        self.cache.answered(question, result, now, effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, now: Duration, myself: &ActorRef<ResolverMsg>) {
        for effect in effects {
            match effect {
                Effect::Ask(question) => {
                    self.since.insert(question.clone(), now);
                    let myself = myself.clone();
                    dns::ask(
                        &self.args.dns,
                        question.clone(),
                        ANSWER_MAX,
                        move |result| {
                            // An incarnation that has ended has nobody who waits.
                            let _ = myself.cast(ResolverMsg::Answered(question, result));
                        },
                    );
                }
                Effect::Tell(ticket, answer) => self.tell(ticket, answer),
            }
        }
        let report = self.cache.report();
        RESOLVER_ASKING.set(report.asking as f64, &[]);
        RESOLVER_KEPT.set(report.kept as f64, &[]);
    }

    /// Whoever asked may have left: then nobody hears it.
    fn tell(&mut self, ticket: Ticket, answer: Answer) {
        match self.waiting.remove(&ticket.number) {
            Some(Waiting::Addresses { reply, mut halves }) => {
                halves[usize::from(ticket.second)] = Some(answer);
                if let [Some(v4), Some(v6)] = &halves {
                    let _ = reply.send(addresses(v4, v6));
                } else {
                    let waiting = Waiting::Addresses { reply, halves };
                    self.waiting.insert(ticket.number, waiting);
                }
            }
            Some(Waiting::Mx(reply)) => {
                let _ = reply.send(listed(&answer).map(|records| match records {
                    Some(Records::Mx(exchangers)) => exchangers.iter().map(mx).collect(),
                    _ => Vec::new(),
                }));
            }
            Some(Waiting::Names(reply)) => {
                let _ = reply.send(listed(&answer).map(|records| match records {
                    Some(Records::Ptr(names)) => names.as_slice().into(),
                    _ => Arc::default(),
                }));
            }
            Some(Waiting::Texts(reply)) => {
                let _ = reply.send(listed(&answer).map(|records| match records {
                    Some(Records::Txt(texts)) => texts.as_slice().into(),
                    _ => Arc::default(),
                }));
            }
            None => {}
        }
    }
}

impl fmt::Debug for ResolverState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolverState")
            .field("cache", &self.cache.report())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

/// The records; none if the name has none.
fn listed(answer: &Answer) -> Resolved<Option<&Records>> {
    match answer {
        Ok(records) => Ok(Some(records)),
        Err(Unfound::NoData) => Ok(None),
        Err(Unfound::NoName) => Err(Unresolved::NoName),
        Err(Unfound::Trouble(trouble)) => Err(Unresolved::Trouble(*trouble)),
    }
}

/// Addresses of one family are enough: trouble with the other is then no trouble.
fn addresses(v4: &Answer, v6: &Answer) -> Resolved<Addresses> {
    let mut found = Addresses::default();
    for records in [v4, v6].into_iter().flatten() {
        match &**records {
            Records::V4(addresses) => found.v4.extend(addresses),
            Records::V6(addresses) => found.v6.extend(addresses),
            Records::Mx(_) | Records::Ptr(_) | Records::Txt(_) => {}
        }
    }
    if !found.v4.is_empty() || !found.v6.is_empty() {
        return Ok(found);
    }
    match (v4, v6) {
        (Err(Unfound::Trouble(trouble)), _) | (_, Err(Unfound::Trouble(trouble))) => {
            Err(Unresolved::Trouble(*trouble))
        }
        (Err(Unfound::NoName), _) | (_, Err(Unfound::NoName)) => Err(Unresolved::NoName),
        _ => Err(Unresolved::NoAddress),
    }
}

fn mx(record: &MxRecord) -> Mx {
    Mx {
        preference: record.preference,
        host: record.host.clone(),
    }
}

/// How long the world may take for one question, all servers and repetitions included.
const ANSWER_MAX: Duration = Duration::from_secs(ResolverMsg::ANSWER_SECONDS_MAX - 5);

#[cfg(test)]
mod tests {
    use mail::{Domain, Time};
    use ractor::rpc::CallResult;
    use world::{
        ManualClock,
        dns::{TableDns, Trouble},
    };

    use super::*;

    struct House {
        clock: ManualClock,
        dns: TableDns,
        resolver: ActorRef<ResolverMsg>,
    }

    impl House {
        async fn new() -> Self {
            let (clock, dns) = (ManualClock::new(Time(0)), TableDns::new());
            let args = ResolverArgs {
                clock: Arc::new(clock.clone()),
                config: Config::default(),
                dns: Arc::new(dns.clone()),
            };
            let (resolver, _) = Actor::spawn(None, Resolver, args).await.unwrap();
            Self {
                clock,
                dns,
                resolver,
            }
        }

        async fn call<T: Send + 'static>(
            &self,
            ask: impl FnOnce(RpcReplyPort<T>) -> ResolverMsg,
        ) -> T {
            match self.resolver.call(ask, None).await.unwrap() {
                CallResult::Success(answer) => answer,
                other => panic!("{:?}", other.is_timeout()),
            }
        }

        async fn mx(&self, name: &str) -> Resolved<Vec<Mx>> {
            self.call(|port| ResolverMsg::Mx(domain(name), port)).await
        }

        async fn addresses(&self, name: &str) -> Resolved<Addresses> {
            self.call(|port| ResolverMsg::Addresses(domain(name), port))
                .await
        }
    }

    fn domain(name: &str) -> Domain {
        name.parse().unwrap()
    }

    fn exchanger(preference: u16, host: Option<&str>) -> Mx {
        let host = host.map(domain);
        Mx { preference, host }
    }

    #[tokio::test]
    async fn deliveries_learn_where_mail_goes_and_servers_are_asked_once() {
        let house = House::new().await;
        house
            .dns
            .mx("a.test", &[(10, "mx.a.test"), (20, "mx.b.test")]);
        house.dns.mx("null.test", &[(0, ".")]);
        house
            .dns
            .addresses("mx.a.test", &["192.0.2.1", "2001:db8::1"]);
        let expected = vec![
            exchanger(10, Some("mx.a.test")),
            exchanger(20, Some("mx.b.test")),
        ];
        for _ in 0..3 {
            assert_eq!(house.mx("a.test").await, Ok(expected.clone()));
        }
        assert_eq!(house.mx("null.test").await, Ok(vec![exchanger(0, None)]));
        // It exists and has no exchanger: it is its own host.
        assert_eq!(house.mx("mx.a.test").await, Ok(vec![]));
        assert_eq!(house.mx("none.test").await, Err(Unresolved::NoName));
        let found = house.addresses("mx.a.test").await.unwrap();
        assert_eq!(
            found.v4,
            ["192.0.2.1".parse::<std::net::Ipv4Addr>().unwrap()]
        );
        assert_eq!(
            found.v6,
            ["2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap()]
        );
        assert_eq!(house.dns.asked().len(), 6);
        let report = house.call(ResolverMsg::Inspect).await;
        assert_eq!((report.kept, report.asking, report.from_memory), (6, 0, 2));
    }

    #[tokio::test]
    async fn one_family_of_addresses_is_enough() {
        let house = House::new().await;
        house.dns.addresses("four.test", &["192.0.2.1"]);
        let broken = Err(Missing::Trouble(Trouble::Server));
        house
            .dns
            .put(Question::V6(domain("four.test")), broken.clone());
        assert_eq!(house.addresses("four.test").await.unwrap().v4.len(), 1);
        house.dns.put(Question::V6(domain("six.test")), broken);
        let trouble = Err(Unresolved::Trouble(Trouble::Server));
        assert_eq!(house.addresses("six.test").await, trouble);
        house.dns.txt("text.test", &["hello"]);
        assert_eq!(
            house.addresses("text.test").await,
            Err(Unresolved::NoAddress)
        );
        assert_eq!(house.addresses("none.test").await, Err(Unresolved::NoName));
    }

    #[tokio::test]
    async fn mail_flows_on_while_the_dns_is_down() {
        let house = House::new().await;
        house.dns.mx("a.test", &[(10, "mx.a.test")]);
        let known = house.mx("a.test").await;
        house.dns.down(Some(Trouble::TimedOut));
        house.clock.advance(Duration::from_secs(301));
        assert_eq!(house.mx("a.test").await, known);
        let trouble = Err(Unresolved::Trouble(Trouble::TimedOut));
        assert_eq!(house.mx("b.test").await, trouble);
        house.dns.down(None).mx("a.test", &[(10, "mx.b.test")]);
        house.clock.advance(Duration::from_secs(31));
        assert_eq!(
            house.mx("a.test").await,
            Ok(vec![exchanger(10, Some("mx.b.test"))])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_at_the_same_time_gets_one_answer() {
        let house = House::new().await;
        house
            .dns
            .txt("a.test", &["v=spf1 -all"])
            .delay(Duration::from_secs(2));
        let texts = || house.call(|port| ResolverMsg::Texts(domain("a.test"), port));
        let (one, two, three) = tokio::join!(texts(), texts(), texts());
        assert_eq!((&one, &two), (&two, &three));
        assert_eq!(one.unwrap().as_ref(), ["v=spf1 -all"]);
        assert_eq!(house.dns.asked().len(), 1);
        house.resolver.cast(ResolverMsg::Forget(None)).unwrap();
        texts().await.unwrap();
        assert_eq!(house.dns.asked().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_not_waited_for() {
        let house = House::new().await;
        house.dns.delay(Duration::from_secs(3600));
        let trouble = Err(Unresolved::Trouble(Trouble::TimedOut));
        assert_eq!(house.mx("a.test").await, trouble);
    }
}
