//! A world for the core: supervisors to be tried, and children that come and go.

use proptest::{
    collection::vec,
    prelude::{Just, any, prop_oneof},
    strategy::Strategy as Arbitrary,
};

use super::*;
use crate::spec::Backoff;

/// A supervisor to be tried.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) strategy: Strategy,
    pub(super) intensity: Intensity,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) rules: Vec<Rule>,
}

impl Plan {
    pub(super) fn core(&self) -> Core {
        let rules = self.rules.iter().copied();
        Core::new(self.strategy, self.intensity, self.auto_shutdown, rules, 7)
    }
}

pub(super) fn restarts() -> impl Arbitrary<Value = Restart> {
    prop_oneof![
        Just(Restart::Permanent),
        Just(Restart::Temporary),
        Just(Restart::Transient)
    ]
}

pub(super) fn rules(backoffs: bool) -> impl Arbitrary<Value = Rule> {
    let shutdowns = prop_oneof![
        Just(Shutdown::Kill),
        Just(Shutdown::Infinity),
        Just(Shutdown::Stop(Duration::from_secs(5))),
        Just(Shutdown::Drain(Duration::from_secs(9))),
    ];
    (restarts(), shutdowns, any::<bool>(), any::<bool>()).prop_map(
        move |(restart, shutdown, significant, slow)| Rule {
            restart,
            shutdown,
            backoff: (backoffs && slow).then(Backoff::default),
            significant: significant && restart != Restart::Permanent,
        },
    )
}

pub(super) fn plans(backoffs: bool) -> impl Arbitrary<Value = Plan> {
    let strategies = prop_oneof![
        Just(Strategy::OneForAll),
        Just(Strategy::OneForOne),
        Just(Strategy::RestForOne),
    ];
    let autos = prop_oneof![
        2 => Just(AutoShutdown::Never),
        1 => Just(AutoShutdown::AllSignificant),
        1 => Just(AutoShutdown::AnySignificant),
    ];
    (strategies, autos, 0_u32..6, vec(rules(backoffs), 0..6)).prop_map(
        |(strategy, auto_shutdown, restarts_max, rules)| Plan {
            strategy,
            auto_shutdown,
            intensity: Intensity {
                restarts_max,
                window: Duration::from_secs(10),
            },
            rules,
        },
    )
}

/// What an observer of the core has seen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    Added(usize),
    Did(Command),
    Heard(Event),
}

/// Children that take their time and come and go as a tape of numbers says.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Duration,
    /// Incarnations that are there: (child, incarnation, is up, is asked to stop).
    pub(super) there: Vec<(usize, u64, bool, bool)>,
    pub(super) alarms: Vec<(Duration, u64)>,
    pub(super) told: Vec<Event>,
    pub(super) seen: Vec<(Duration, Seen)>,
    pub(super) finish: Option<Finish>,
}

impl World {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            core: plan.core(),
            now: Duration::ZERO,
            there: Vec::new(),
            alarms: Vec::new(),
            told: Vec::new(),
            seen: Vec::new(),
            finish: None,
        }
    }

    /// Plays a whole tape, then asks it to stop and lets everybody go.
    pub(super) fn play(plan: &Plan, tape: &[u16]) -> Self {
        let mut world = Self::new(plan);
        world.tell(Event::Begin);
        for &turn in tape {
            world.turn(turn);
        }
        world.tell(Event::Stop);
        let mut rounds = 0;
        while world.finish.is_none() {
            match world.there.last().copied() {
                Some((child, incarnation, ..)) => world.go(child, incarnation, false),
                None => world.ring(),
            }
            rounds += 1;
            assert!(rounds < 1_000, "it never ends: {world:?}");
        }
        world
    }

    pub(super) fn turn(&mut self, turn: u16) {
        let (what, which) = (turn % 10, usize::from(turn / 10));
        let picked = self.there.get(which % self.there.len().max(1)).copied();
        self.now += Duration::from_millis(u64::from(turn) % 3_000);
        match (what, picked) {
            (0..=2, Some((child, incarnation, false, _))) => {
                self.there
                    .iter_mut()
                    .for_each(|there| there.2 |= there.1 == incarnation);
                self.tell(Event::Up { child, incarnation });
            }
            (0..=2, Some((child, incarnation, true, true))) => self.go(child, incarnation, false),
            (3..=4, Some((child, incarnation, ..))) => self.go(child, incarnation, true),
            (5, Some((child, incarnation, ..))) => self.go(child, incarnation, which % 2 == 0),
            (6, _) => self.ring(),
            (7, _) if !self.told.is_empty() => {
                // An event of the past arrives once more, and late.
                let late = self.told[which % self.told.len()];
                let is_stale = match late {
                    Event::Gone { incarnation, .. } => {
                        self.there.iter().all(|there| there.1 != incarnation)
                    }
                    Event::Up { incarnation, .. } => self
                        .there
                        .iter()
                        .all(|there| there.1 != incarnation || there.2),
                    Event::Alarm(_) | Event::Begin | Event::Remove { .. } => true,
                    Event::Stop => false,
                };
                if is_stale {
                    let before = format!("{:?}", self.core);
                    let mut commands = Vec::new();
                    self.core.step(self.now, late, &mut commands);
                    assert_eq!(commands, [], "a stale {late:?} changed something");
                    assert_eq!(before, format!("{:?}", self.core), "a stale {late:?}");
                }
            }
            (8, _) => self.add(Rule {
                restart: RESTARTS[which % RESTARTS.len()],
                shutdown: Shutdown::Stop(Duration::from_secs(5)),
                backoff: None,
                significant: false,
            }),
            (9, Some((child, ..))) => self.tell(Event::Remove { child }),
            _ => {}
        }
    }

    pub(super) fn add(&mut self, rule: Rule) {
        let mut commands = Vec::new();
        if let Some(child) = self.core.add(rule, &mut commands) {
            self.seen.push((self.now, Seen::Added(child)));
        }
        self.carry_out(commands);
    }

    pub(super) fn go(&mut self, child: usize, incarnation: u64, abnormal: bool) {
        self.there.retain(|there| there.1 != incarnation);
        self.tell(Event::Gone {
            child,
            incarnation,
            abnormal,
        });
    }

    pub(super) fn ring(&mut self) {
        self.alarms.sort_unstable();
        if !self.alarms.is_empty() {
            let (at, alarm) = self.alarms.remove(0);
            self.now = self.now.max(at);
            self.tell(Event::Alarm(alarm));
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.told.push(event);
        self.seen.push((self.now, Seen::Heard(event)));
        let mut commands = Vec::new();
        self.core.step(self.now, event, &mut commands);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            self.seen.push((self.now, Seen::Did(command)));
            assert_eq!(self.finish, None, "nothing is done after the end");
            match command {
                Command::Abandon { incarnation, .. } => {
                    self.there.retain(|there| there.1 != incarnation);
                }
                Command::Finish(finish) => self.finish = Some(finish),
                Command::Kill { incarnation, .. } | Command::Stop { incarnation, .. } => {
                    self.there
                        .iter_mut()
                        .for_each(|there| there.3 |= there.1 == incarnation);
                }
                Command::Start {
                    child, incarnation, ..
                } => {
                    self.there.push((child, incarnation, false, false));
                }
                Command::Forget { .. } | Command::Up => {}
                Command::Wake { alarm, after } => self.alarms.push((self.now + after, alarm)),
            }
        }
    }

    pub(super) fn starts(&self) -> impl Iterator<Item = (Duration, usize)> {
        self.seen.iter().filter_map(|(at, seen)| match seen {
            Seen::Did(Command::Start { child, .. }) => Some((*at, *child)),
            _ => None,
        })
    }

    /// For every moment: what was seen then, and who was there just before it.
    pub(super) fn moments(&self) -> Vec<(Seen, Vec<(usize, u64)>)> {
        let mut there: Vec<(usize, u64)> = Vec::new();
        let mut moments = Vec::new();
        for (_, seen) in &self.seen {
            moments.push((*seen, there.clone()));
            match *seen {
                Seen::Did(Command::Start {
                    child, incarnation, ..
                }) => {
                    there.push((child, incarnation));
                }
                Seen::Did(Command::Abandon { incarnation, .. })
                | Seen::Heard(Event::Gone { incarnation, .. }) => {
                    there.retain(|there| there.1 != incarnation);
                }
                _ => {}
            }
        }
        moments
    }
}

const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Temporary, Restart::Transient];

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for seen in &self.seen {
            writeln!(f, "{seen:?}")?;
        }
        write!(f, "{:?}", self.core)
    }
}
