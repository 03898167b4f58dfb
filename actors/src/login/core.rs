//! What the login room decides: who is remembered, who computes, who waits for a refusal.
//!
//! ```text
//! arrive ──remembered────────────────────────────► Answer(Welcome)
//!    │  └──too many wait, or its network failed ─► Answer(Busy)
//!    │     before and has one here already
//!    └─► queued ─► Compute ─► computed ──right──► Answer(Welcome)
//!                     │            └──wrong──► held back ──wake──► Answer(Refused)
//!                     └──the worker does not answer ──wake──────► Answer(Busy)
//! ```
//!
//! It knows no clock, no hash function and no account: [`Attempt`] brings what was found about the
//! user. Failures are counted by network and by user name, whether that user exists or not, so
//! that nothing here tells an existing name from another one.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use mail::Network;

use super::{Config, generations::Generations};
use crate::contract::{Checked, Identity, LoginReport, LoginVerdict};

/// A login that has arrived, with what the store knows about its user.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Whose the password may be; `None` for a user that is not there.
    pub(super) identity: Option<Identity>,
    /// A keyed digest of the user name as written.
    pub(super) user: Digest,
    /// A keyed digest of stored hash and given password together: another password, or another
    /// stored hash, is another proof, and so a change of the password is felt at once.
    pub(super) proof: Digest,
    /// Where the client is.
    pub(super) client: IpAddr,
}

/// Thirty-two octets that nobody outside this process can compute.
pub(super) type Digest = [u8; 32];

/// What the shell must do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// Answer that request.
    Answer(u64, LoginVerdict),
    /// Let that worker (the second) compute that request's hash, and say [`LoginCore::computed`].
    Compute(u64, usize),
    /// Say [`LoginCore::wake`] at that time.
    WakeAt(Duration),
}

/// The state of the login room. Times are monotonic.
pub(super) struct LoginCore {
    config: Config,
    /// When something is due for which request: a refusal, or the end of our patience with a
    /// worker.
    due: BTreeSet<(Duration, u64)>,
    failures: Generations<Key, Failures>,
    /// How many refusals wait until they are due.
    held_back: usize,
    idle: Vec<usize>,
    /// Attempts of each network that have not been answered.
    present: HashMap<Network, usize>,
    queued: VecDeque<u64>,
    remembered: Generations<Digest, Duration>,
    requests: HashMap<u64, Request>,
}

struct Request {
    attempt: Attempt,
    since: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    Computing { worker: usize, until: Duration },
    HeldBack,
    Queued,
}

#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Key {
    Network(Network),
    User(Digest),
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Duration,
}

impl LoginCore {
    /// A room in which nobody has failed yet.
    #[must_use]
    pub(super) fn new(config: Config) -> Self {
        Self {
            due: BTreeSet::new(),
            failures: Generations::new(FAILURES_MAX),
            held_back: 0,
            idle: (0..config.workers.max(1)).rev().collect(),
            present: HashMap::new(),
            queued: VecDeque::new(),
            remembered: Generations::new(config.remembered_max),
            requests: HashMap::new(),
            config,
        }
    }

    /// A login has arrived; `request` is a new number.
    pub(super) fn arrive(&mut self, request: u64, attempt: Attempt, now: Duration) -> Vec<Effect> {
        if let Some(identity) = &attempt.identity
            && self.is_remembered(&attempt.proof, now)
        {
            return vec![Effect::Answer(
                request,
                LoginVerdict::Welcome(identity.clone()),
            )];
        }
        let network = network(attempt.client);
        let is_suspect = self.failures(&Key::Network(network), now) >= FREE_FAILURES;
        let present_max = if is_suspect { 1 } else { usize::MAX };
        let present = self.present.get(&network).copied().unwrap_or(0);
        if present >= present_max
            || self.queued.len() >= self.config.waiting_max
            || self.requests.len() >= REQUESTS_MAX
        {
            return vec![Effect::Answer(request, LoginVerdict::Busy)];
        }
        self.present.insert(network, present + 1);
        self.requests.insert(
            request,
            Request {
                attempt,
                since: now,
                stage: Stage::Queued,
            },
        );
        self.queued.push_back(request);
        self.employ(now)
    }

    /// A worker has computed a hash. A report about a request that it is not computing is stale.
    pub(super) fn computed(&mut self, report: Checked, now: Duration) -> Vec<Effect> {
        let Some(request) = self.requests.get(&report.request) else {
            return Vec::new();
        };
        let Stage::Computing { worker, until } = request.stage else {
            return Vec::new();
        };
        if worker != report.worker {
            return Vec::new();
        }
        self.due.remove(&(until, report.request));
        self.idle.push(worker);
        let attempt = request.attempt.clone();
        let mut effects = match &attempt.identity {
            Some(identity) if report.matches => {
                self.failures.remove(&Key::User(attempt.user));
                self.remembered.insert(attempt.proof, now);
                let welcome = LoginVerdict::Welcome(identity.clone());
                self.answer(report.request, welcome).into_iter().collect()
            }
            _ => self.hold_back(report.request, &attempt, now),
        };
        effects.extend(self.employ(now));
        effects
    }

    /// The worker of that request cannot be reached: no verdict, and no failure.
    pub(super) fn unreachable(&mut self, request: u64) -> Option<Effect> {
        let Stage::Computing { worker, until } = self.requests.get(&request)?.stage else {
            return None;
        };
        self.due.remove(&(until, request));
        self.idle.insert(0, worker); // the others first: they may be well
        self.answer(request, LoginVerdict::Busy)
    }

    /// Time has passed: refusals may be due, or a worker may have died.
    pub(super) fn wake(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(&(due, request)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            match self.requests.get(&request).map(|request| request.stage) {
                Some(Stage::HeldBack) => {
                    effects.extend(self.answer(request, LoginVerdict::Refused));
                }
                Some(Stage::Computing { .. }) => effects.extend(self.unreachable(request)),
                Some(Stage::Queued) | None => {}
            }
        }
        effects.extend(self.employ(now));
        effects.extend(self.alarm());
        effects
    }

    /// How it is.
    #[must_use]
    pub(super) fn report(&self) -> LoginReport {
        LoginReport {
            computing: self.requests.len() - self.held_back,
            held_back: self.held_back,
            remembered: self.remembered.len(),
            slowed_down: self.failures.len(),
        }
    }

    /// Gives the next requests to workers that have nothing to do.
    fn employ(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(&worker) = self.idle.last()
            && let Some(next) = self.queued.pop_front()
        {
            let Some(request) = self.requests.get_mut(&next) else {
                continue;
            };
            self.idle.pop();
            let until = now + PATIENCE;
            request.stage = Stage::Computing { worker, until };
            self.due.insert((until, next));
            effects.push(Effect::Compute(next, worker));
        }
        if !effects.is_empty() {
            effects.extend(self.alarm());
        }
        effects
    }

    /// A refusal is due so long after the arrival, not after the hash: hashes from elsewhere may
    /// be dearer than ours, and whoever counts the milliseconds would learn which users are there.
    fn hold_back(&mut self, request: u64, attempt: &Attempt, now: Duration) -> Vec<Effect> {
        let of_network = self.fail(Key::Network(network(attempt.client)), now);
        let of_user = self.fail(Key::User(attempt.user), now);
        let mut due = now;
        let delay = self.delay(of_network.max(of_user));
        if let Some(request) = self.requests.get_mut(&request) {
            due = due.max(request.since + delay);
            request.stage = Stage::HeldBack;
            self.held_back += 1;
        }
        self.due.insert((due, request));
        self.alarm()
    }

    fn answer(&mut self, request: u64, verdict: LoginVerdict) -> Option<Effect> {
        let gone = self.requests.remove(&request)?;
        self.held_back -= usize::from(gone.stage == Stage::HeldBack);
        let network = network(gone.attempt.client);
        if let Some(present) = self.present.get_mut(&network) {
            *present -= 1;
            if *present == 0 {
                self.present.remove(&network);
            }
        }
        Some(Effect::Answer(request, verdict))
    }

    fn is_remembered(&mut self, proof: &Digest, now: Duration) -> bool {
        let span = Duration::from_secs(self.config.remembered_seconds);
        let Some(since) = self.remembered.get_mut(proof) else {
            return false;
        };
        if now.saturating_sub(*since) < span {
            return true;
        }
        self.remembered.remove(proof);
        false
    }

    /// Counts a failure; yields how many there were before it.
    fn fail(&mut self, key: Key, now: Duration) -> u32 {
        let before = self.failures(&key, now);
        let failures = Failures {
            count: before.saturating_add(1),
            last: now,
        };
        self.failures.insert(key, failures);
        before
    }

    /// How many failures are remembered by now: half as many after each quiet span.
    fn failures(&mut self, key: &Key, now: Duration) -> u32 {
        let span = self.config.failures_halve_seconds.max(1);
        self.failures.get_mut(key).map_or(0, |failures| {
            let halvings = now.saturating_sub(failures.last).as_secs() / span;
            failures
                .count
                .checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX))
                .unwrap_or(0)
        })
    }

    fn delay(&self, failures_before: u32) -> Duration {
        let doublings = failures_before.min(20);
        let late = self
            .config
            .refusal_first_milliseconds
            .saturating_mul(1 << doublings);
        Duration::from_millis(
            late.min(self.config.refusal_longest_milliseconds)
                .min(LATEST),
        )
    }

    fn alarm(&self) -> Vec<Effect> {
        self.due
            .first()
            .map(|&(due, _)| Effect::WakeAt(due))
            .into_iter()
            .collect()
    }
}

/// What counts as one client: an IPv4 address's /24 or an IPv6 address's /64, since whoever has
/// one address of it mostly has them all. Loopback addresses are each their own.
fn network(client: IpAddr) -> Network {
    Network::around(
        client,
        match client.to_canonical() {
            loopback if loopback.is_loopback() => 128,
            IpAddr::V4(_) => 24,
            IpAddr::V6(_) => 64,
        },
    )
}

/// So many failures may be a person's; after them a network has one attempt at a time.
const FREE_FAILURES: u32 = 5;
/// Networks and users whose failures are remembered.
const FAILURES_MAX: usize = 65_536;
/// Attempts that have not been answered, in all.
const REQUESTS_MAX: usize = 16_384;
/// A worker that has not answered for this long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(20);
/// No refusal may come later than the caller waits
/// ([`LoginMsg::ANSWER_SECONDS_MAX`](crate::contract::LoginMsg::ANSWER_SECONDS_MAX)).
const LATEST: u64 = 20_000;

#[cfg(test)]
mod tests {
    use mail::AccountId;
    use proptest::prelude::*;

    use super::*;

    /// More workers than a test has requests at one time.
    fn core() -> LoginCore {
        LoginCore::new(Config {
            workers: 8,
            ..Config::default()
        })
    }

    fn ann() -> Identity {
        Identity {
            account: AccountId(1),
            address: "ann@example.test".parse().unwrap(),
        }
    }

    fn welcome(request: u64) -> Effect {
        Effect::Answer(request, LoginVerdict::Welcome(ann()))
    }

    fn attempt(proof: u8, client: &str) -> Attempt {
        Attempt {
            identity: Some(ann()),
            user: [9; 32],
            proof: [proof; 32],
            client: client.parse().unwrap(),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Lets a login arrive that must be computed; yields its worker.
    fn compute(core: &mut LoginCore, request: u64, attempt: Attempt, now: Duration) -> usize {
        match core.arrive(request, attempt, now)[..] {
            [Effect::Compute(same, worker), Effect::WakeAt(_)] if same == request => worker,
            ref other => panic!("{other:?}"),
        }
    }

    fn refusal_delay(core: &mut LoginCore, request: u64, client: &str, now: Duration) -> Duration {
        let worker = compute(core, request, attempt(1, client), now);
        let report = Checked {
            worker,
            request,
            matches: false,
        };
        let effects = core.computed(report, now);
        let [Effect::WakeAt(due)] = effects[..] else {
            panic!("{effects:?}");
        };
        assert_eq!(
            core.wake(due),
            [Effect::Answer(request, LoginVerdict::Refused)]
        );
        due - now
    }

    #[test]
    fn a_login_that_was_right_needs_no_hash_until_it_is_forgotten() {
        let mut core = core();
        let worker = compute(&mut core, 1, attempt(7, "192.0.2.1"), at(0));
        let report = Checked {
            worker,
            request: 1,
            matches: true,
        };
        assert_eq!(core.computed(report, at(0)), [welcome(1)]);
        assert_eq!(
            core.arrive(2, attempt(7, "198.51.100.1"), at(899)),
            [welcome(2)]
        );
        compute(&mut core, 3, attempt(8, "192.0.2.1"), at(1));
        compute(&mut core, 4, attempt(7, "192.0.2.1"), at(900));
    }

    #[test]
    fn each_refusal_comes_later_than_the_one_before_up_to_a_bound() {
        let mut core = core();
        let delays: Vec<_> = (0..8)
            .map(|n| refusal_delay(&mut core, n, "192.0.2.1", at(n)).as_millis())
            .collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 16000, 16000, 16000]);
        let quiet = refusal_delay(&mut core, 9, "192.0.2.1", at(100_000));
        assert_eq!(quiet.as_millis(), 500);
    }

    #[test]
    fn a_refusal_does_not_show_how_long_its_hash_took() {
        for (hashed, due) in [(20, 500), (400, 500), (900, 900)] {
            let mut core = core();
            let worker = compute(&mut core, 1, attempt(1, "192.0.2.1"), at(0));
            let report = Checked {
                worker,
                request: 1,
                matches: false,
            };
            let effects = core.computed(report, Duration::from_millis(hashed));
            assert_eq!(effects, [Effect::WakeAt(Duration::from_millis(due))]);
        }
    }

    #[test]
    fn the_failures_of_an_account_slow_down_every_network() {
        let mut core = core();
        for n in 0..4 {
            refusal_delay(&mut core, n, &format!("10.0.{n}.1"), at(0));
        }
        assert_eq!(
            refusal_delay(&mut core, 5, "203.0.113.5", at(0)).as_millis(),
            8000
        );
    }

    #[test]
    fn a_network_that_failed_often_has_one_attempt_at_a_time() {
        let mut core = core();
        for n in 0..5 {
            refusal_delay(&mut core, n, "192.0.2.1", at(0));
        }
        compute(&mut core, 10, attempt(1, "192.0.2.1"), at(0));
        let neighbour = core.arrive(11, attempt(1, "192.0.2.200"), at(0));
        assert_eq!(neighbour, [Effect::Answer(11, LoginVerdict::Busy)]);
        compute(&mut core, 12, attempt(1, "192.0.3.1"), at(0));
        assert_eq!(
            core.unreachable(10),
            Some(Effect::Answer(10, LoginVerdict::Busy))
        );
        compute(&mut core, 13, attempt(1, "192.0.2.1"), at(0));
    }

    #[test]
    fn a_user_that_is_not_there_is_refused_even_if_the_hash_matches() {
        let mut core = core();
        let nobody = Attempt {
            identity: None,
            ..attempt(1, "192.0.2.1")
        };
        let worker = compute(&mut core, 1, nobody.clone(), at(0));
        let report = Checked {
            worker,
            request: 1,
            matches: true,
        };
        assert_eq!(
            core.computed(report, at(0)),
            [Effect::WakeAt(Duration::from_millis(500))]
        );
        compute(&mut core, 2, nobody, at(0));
    }

    #[test]
    fn a_request_whose_worker_died_is_told_to_come_back_and_the_next_one_is_computed() {
        let mut core = LoginCore::new(Config {
            workers: 1,
            ..Config::default()
        });
        let worker = compute(&mut core, 1, attempt(1, "192.0.2.1"), at(0));
        assert_eq!(core.arrive(2, attempt(2, "192.0.2.1"), at(1)), []);
        let busy = Effect::Answer(1, LoginVerdict::Busy);
        let expected = [
            busy,
            Effect::Compute(2, worker),
            Effect::WakeAt(at(40)),
            Effect::WakeAt(at(40)),
        ];
        assert_eq!(core.wake(at(20)), expected);
        let late = Checked {
            worker,
            request: 1,
            matches: true,
        };
        assert_eq!(core.computed(late, at(21)), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_request_is_answered_once_and_no_worker_has_two(
            workers in 1_usize..4,
            steps in prop::collection::vec((0_u8..4, 0_u8..3, 0_u8..4), 1..60)
        ) {
            let mut core = LoginCore::new(Config { workers, ..Config::default() });
            let mut answers: HashMap<u64, u32> = HashMap::new();
            let mut busy: HashMap<usize, u64> = HashMap::new();
            let count = steps.len() as u64;
            let all = (0..).zip(steps).map(|(n, step)| (n, Some(step)));
            for (n, step) in all.chain((count..count + 200).map(|n| (n, None))) {
                let now = at(n * 3);
                let waiting = core.requests.values().filter(|r| r.stage == Stage::HeldBack);
                prop_assert_eq!(core.report().held_back, waiting.count());
                let mut effects = core.wake(now);
                if let Some((net, proof, what)) = step {
                    let client = format!("10.0.{net}.1");
                    effects.extend(core.arrive(n, attempt(proof, &client), now));
                    let ended = busy.iter().next().map(|(&worker, &request)| (worker, request));
                    if let Some((worker, request)) = ended && what < 3 {
                        busy.remove(&worker);
                        let report = Checked { worker, request, matches: what == 0 };
                        let again = core.computed(report, now);
                        effects.extend(again);
                        prop_assert_eq!(core.computed(report, now), []);
                    }
                }
                for effect in effects {
                    match effect {
                        Effect::Answer(request, _) => {
                            *answers.entry(request).or_default() += 1;
                            busy.retain(|_, at_work| *at_work != request);
                        }
                        Effect::Compute(request, worker) => {
                            prop_assert_eq!(busy.insert(worker, request), None);
                        }
                        Effect::WakeAt(_) => {}
                    }
                }
            }
            prop_assert_eq!(answers.len() as u64, count);
            prop_assert!(answers.values().all(|&times| times == 1));
            prop_assert!(core.present.is_empty() && core.requests.is_empty() && core.due.is_empty());
        }
    }
}
