//! A world for the core: one key, an actor that comes and goes as a tape of numbers says, and
//! messages that are numbered, so that none of them can be lost without being missed.

use std::{collections::VecDeque, time::Duration};

use proptest::{
    prelude::{Just, any, prop_oneof},
    strategy::Strategy as Arbitrary,
};

use super::*;
use crate::{
    family::spec::Revive,
    spec::{Backoff, Intensity, Shutdown},
};

/// An incarnation, as it would be with ractor.
#[derive(Clone, Debug)]
pub(super) struct There {
    pub(super) incarnation: u64,
    pub(super) is_up: bool,
    /// Whether it ends once its inbox is empty.
    pub(super) drains: bool,
    /// Whether it ends with the message in hand: it takes no more.
    pub(super) stops: bool,
    /// Whether it hands on what it still hears.
    hands_on: bool,
    pub(super) inbox: VecDeque<u32>,
}

/// One key's world.
#[derive(Debug)]
pub(super) struct World {
    pub(super) core: Core<u32>,
    pub(super) rules: Rules,
    pub(super) birth: bool,
    pub(super) now: Duration,
    pub(super) there: Option<There>,
    /// Whether the shard has been told to start it.
    pub(super) is_wanted: bool,
    pub(super) alarms: Vec<(Duration, Alarm)>,
    incarnations: u64,
    /// Messages that the family took, oldest first.
    pub(super) taken: Vec<u32>,
    /// Messages handled, each with its incarnation.
    pub(super) handled: Vec<(u32, u64)>,
    /// Messages that were in the inbox of somebody who crashed or was stopped.
    pub(super) lost: Vec<u32>,
    /// Messages of which it was said that nobody would hear them.
    pub(super) dropped: Vec<u32>,
    pub(super) crashes: Vec<Duration>,
    pub(super) starts: Vec<(Duration, u64)>,
    pub(super) given_up: usize,
    pub(super) forgotten: usize,
    pub(super) last_message: u32,
    /// What was left, what was taken of it, and what was let go.
    pub(super) left: Vec<u32>,
    pub(super) found: Vec<u32>,
    pub(super) let_go: Vec<u32>,
    past: Vec<Late>,
    spread: Spread,
}

/// Something that may be told once more, and late.
#[derive(Clone, Copy, Debug)]
enum Late {
    Alarm(Alarm),
    Gone(u64),
    Launch(u64),
    Passivate(u64),
    Up(u64),
}

impl World {
    pub(super) fn new((rules, birth): (Rules, bool)) -> Self {
        Self {
            core: Core::new(),
            rules,
            birth,
            now: Duration::ZERO,
            there: None,
            is_wanted: false,
            alarms: Vec::new(),
            incarnations: 0,
            taken: Vec::new(),
            handled: Vec::new(),
            lost: Vec::new(),
            dropped: Vec::new(),
            crashes: Vec::new(),
            starts: Vec::new(),
            given_up: 0,
            forgotten: 0,
            last_message: 0,
            left: Vec::new(),
            found: Vec::new(),
            let_go: Vec::new(),
            past: Vec::new(),
            spread: SPREAD,
        }
    }

    /// Plays a tape in which nobody crashes and nobody is stopped, or one in which all may happen.
    pub(super) fn play(rules: (Rules, bool), tape: &[u16], is_rough: bool) -> Self {
        let mut world = Self::new(rules);
        for &turn in tape {
            world.turn(turn, is_rough);
            world.conserves();
        }
        world
    }

    /// One turn. The first half of the kinds does no harm.
    pub(super) fn turn(&mut self, turn: u16, is_rough: bool) {
        let (what, which) = (turn % if is_rough { 20 } else { 12 }, turn / 20);
        self.now += Duration::from_millis(u64::from(which) % 3_000);
        match what {
            0..=2 => self.send(),
            3 => self.start(),
            4 | 5 => self.comes(),
            6 | 7 => self.handles(),
            8 => self.passivates(which % 2 == 0),
            9 => self.ends(),
            10 => self.late(usize::from(which)),
            11 => self.takes_what_was_left(),
            12 | 13 => self.ring(),
            14 => {
                // Some fall alone, and some with many others.
                self.spread.turn = Duration::from_millis(u64::from(which % 3));
                self.crashes();
                self.spread = SPREAD;
            }
            15 => self.tell(Event::Leave),
            16 => self.stops_by_itself(),
            17 => self.tell(Event::Orphan { spread: SPREAD }),
            18 => self
                .there
                .iter_mut()
                .for_each(|there| there.hands_on = true),
            _ => self.handles(),
        }
    }

    /// Each message that was taken has been handled, or is in the inbox, or waits, in this order;
    /// unless it was lost with a crash, or it was said that nobody would hear it.
    pub(super) fn conserves(&self) {
        let mut expected = self.taken.clone();
        let is_gone = |message: &u32| self.lost.contains(message) || self.dropped.contains(message);
        expected.retain(|message| !is_gone(message));
        let handled = self.handled.iter().map(|handled| handled.0);
        let inbox = self
            .there
            .iter()
            .flat_map(|there| there.inbox.iter().copied());
        // What was handed on comes before what is still in the inbox, and that before the rest.
        let handed_on = match &self.core.life {
            Life::Leaving(leaving) => leaving.handed,
            _ => 0,
        };
        let mut first = self.waiting();
        let rest = first.split_off(handed_on);
        let found: Vec<u32> = handled.chain(first).chain(inbox).chain(rest).collect();
        assert_eq!(found, expected, "{self:?}");
        assert!(self.core.waiting() <= self.rules.buffer_max, "{self:?}");
    }

    fn waiting(&self) -> Vec<u32> {
        match &self.core.life {
            Life::Coming(coming) => coming.waiting.to_vec(),
            Life::Leaving(leaving) => leaving.next.to_vec(),
            _ => Vec::new(),
        }
    }

    pub(super) fn send(&mut self) {
        self.last_message += 1;
        let (message, room) = (self.last_message, self.room());
        self.taken.push(message);
        self.tell(Event::Cast { message, room });
    }

    fn room(&self) -> Room {
        match (self.birth, self.core.is_down()) {
            (true, true) => Room::Kept,
            _ => Room::Never,
        }
    }

    pub(super) fn start(&mut self) {
        let room = Room::Kept;
        self.tell(Event::Start { room });
    }

    /// The shard starts it, or it comes up.
    pub(super) fn comes(&mut self) {
        if let Some(there) = self.there.as_mut().filter(|there| !there.is_up) {
            there.is_up = true;
            let incarnation = there.incarnation;
            self.past.push(Late::Up(incarnation));
            self.tell(Event::Up { incarnation });
        } else if self.is_wanted {
            self.is_wanted = false;
            self.incarnations += 1;
            let incarnation = self.incarnations;
            self.past.push(Late::Launch(incarnation));
            self.tell(Event::Launch { incarnation });
        }
    }

    /// It handles a message, or hands it on.
    pub(super) fn handles(&mut self) {
        let Some(there) = self
            .there
            .as_mut()
            .filter(|there| there.is_up && !there.stops)
        else {
            return;
        };
        let incarnation = there.incarnation;
        let Some(message) = there.inbox.pop_front() else {
            return;
        };
        if there.hands_on && there.drains {
            let refused = self.last_refused(Event::HandOn {
                incarnation,
                message,
            });
            if refused.is_some() {
                self.lost.push(message);
            }
        } else {
            self.handled.push((message, incarnation));
        }
    }

    fn last_refused(&mut self, event: Event<u32>) -> Option<u32> {
        let mut commands = Vec::new();
        self.core.step(self.now, event, &self.rules, &mut commands);
        let refused = commands.iter().find_map(|command| match command {
            Command::Refuse(_, message) => *message,
            _ => None,
        });
        commands.retain(|command| !matches!(command, Command::Refuse(..)));
        self.carry_out(commands);
        refused
    }

    pub(super) fn passivates(&mut self, leaving: bool) {
        let Some(there) = self
            .there
            .as_ref()
            .filter(|there| there.is_up && !there.stops)
        else {
            return;
        };
        let incarnation = there.incarnation;
        let left = leaving.then(|| {
            let number = self.left.len() as u32;
            self.left.push(number);
            Left(Box::new(number))
        });
        self.past.push(Late::Passivate(incarnation));
        self.tell(Event::Passivate { incarnation, left });
    }

    /// Whoever is to end ends, if its inbox lets it.
    pub(super) fn ends(&mut self) {
        let may = |there: &There| there.stops || (there.drains && there.inbox.is_empty());
        if let Some(there) = self.there.take_if(|there| may(there)) {
            self.lost.extend(&there.inbox);
            self.gone(there.incarnation, ExitCause::Normal);
        }
    }

    pub(super) fn crashes(&mut self) {
        if let Some(there) = self.there.take() {
            self.lost.extend(&there.inbox);
            self.crashes.push(self.now);
            let cause = match there.is_up {
                true => ExitCause::Killed,
                false => ExitCause::StartFailed(Box::new(ExitCause::Killed)),
            };
            self.gone(there.incarnation, cause);
        }
    }

    /// It stops without having asked: its inbox takes nothing any more.
    fn stops_by_itself(&mut self) {
        if let Some(there) = self.there.as_mut().filter(|there| there.is_up) {
            there.stops = true;
        }
    }

    fn takes_what_was_left(&mut self) {
        let Some(there) = self.there.as_ref() else {
            return;
        };
        if let Some(Left(left)) = self.core.take_left(there.incarnation) {
            self.found.extend(left.downcast_ref::<u32>());
        }
    }

    fn gone(&mut self, incarnation: u64, cause: ExitCause) {
        self.past.push(Late::Gone(incarnation));
        self.tell(Event::Gone {
            incarnation,
            cause,
            spread: self.spread,
        });
    }

    pub(super) fn ring(&mut self) {
        self.alarms.sort_unstable();
        if !self.alarms.is_empty() {
            let (at, alarm) = self.alarms.remove(0);
            self.now = self.now.max(at);
            self.past.push(Late::Alarm(alarm));
            self.tell(Event::Alarm(alarm));
        }
    }

    /// Something of the past is told once more: of an incarnation that is not there it must change
    /// nothing.
    fn late(&mut self, which: usize) {
        let Some(late) = which
            .checked_rem(self.past.len())
            .map(|which| self.past[which])
        else {
            return;
        };
        let is_there = |number| {
            self.there
                .as_ref()
                .is_some_and(|there| there.incarnation == number)
        };
        let was_launched = |number| number == self.core.incarnation();
        let event = match late {
            Late::Alarm(Alarm::Left(number)) if !is_there(number) => {
                Event::Alarm(Alarm::Left(number))
            }
            Late::Alarm(Alarm::Return(number)) if !was_launched(number) => {
                Event::Alarm(Alarm::Return(number))
            }
            Late::Gone(incarnation) if !is_there(incarnation) => Event::Gone {
                incarnation,
                cause: ExitCause::Killed,
                spread: SPREAD,
            },
            Late::Passivate(incarnation) if !is_there(incarnation) => {
                let left = None;
                Event::Passivate { incarnation, left }
            }
            Late::Up(incarnation) => Event::Up { incarnation },
            Late::Launch(incarnation) if self.there.is_some() => Event::Launch { incarnation },
            _ => return,
        };
        if let Event::Up { incarnation } = event
            && self
                .there
                .as_ref()
                .is_some_and(|there| !there.is_up && there.incarnation == incarnation)
        {
            return; // that would be news
        }
        let (before, mut commands) = (format!("{:?}", self.core), Vec::new());
        let told = format!("{event:?}");
        self.core.step(self.now, event, &self.rules, &mut commands);
        assert!(commands.is_empty(), "a stale {told} has {commands:?} done");
        assert_eq!(before, format!("{:?}", self.core), "a stale {told}");
    }

    pub(super) fn tell(&mut self, event: Event<u32>) {
        if let Event::Orphan { .. } = event {
            // Whoever was there ended with the shard, and so did what the shard had to do.
            self.alarms.clear();
            self.is_wanted = false;
            if let Some(there) = self.there.take() {
                self.lost.extend(&there.inbox);
                self.crashes.push(self.now);
            }
        }
        let mut commands = Vec::new();
        self.core.step(self.now, event, &self.rules, &mut commands);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<Command<u32>>) {
        for command in commands {
            match command {
                Command::Abandon => {
                    let there = self.there.take().expect("who is counted out is there");
                    self.lost.extend(&there.inbox);
                }
                Command::Deliver { messages, waited } => self.deliver(messages, waited),
                Command::Drain => self.there().drains = true,
                Command::Drop(messages) => self.dropped.extend(messages),
                Command::Ended { .. } => assert!(self.there.is_none(), "{self:?}"),
                Command::Forget => {
                    self.forgotten += 1;
                    self.core = Core::new();
                }
                Command::GivenUp { waiting, .. } => {
                    self.given_up += 1;
                    self.dropped.extend(waiting);
                }
                Command::Kill | Command::ShutDown => self.there().stops = true,
                Command::LetGo(Left(left)) => self.let_go.extend(left.downcast_ref::<u32>()),
                Command::Refuse(_, message) => self.taken.retain(|taken| Some(*taken) != message),
                Command::Restarts(_) => {}
                Command::Start { incarnation } => {
                    assert!(self.there.is_none(), "two at once: {self:?}");
                    self.starts.push((self.now, incarnation));
                    self.there = Some(There {
                        incarnation,
                        is_up: false,
                        drains: false,
                        stops: false,
                        hands_on: false,
                        inbox: VecDeque::new(),
                    });
                }
                Command::Wake { after, alarm } => self.alarms.push((self.now + after, alarm)),
                Command::Want => self.is_wanted = true,
            }
        }
    }

    fn deliver(&mut self, messages: Vec<u32>, waited: bool) {
        let there = self.there();
        assert!(there.is_up);
        if there.stops {
            self.tell(Event::Undelivered { messages, waited });
        } else {
            there.inbox.extend(messages);
        }
    }

    fn there(&mut self) -> &mut There {
        self.there.as_mut().expect("it is there")
    }

    /// Lets everything come to rest: nobody crashes any more, and everybody has the time he needs.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            let is_busy = self.there.as_ref().is_some_and(|there| {
                !there.is_up || there.stops || there.drains || !there.inbox.is_empty()
            });
            if !is_busy && !self.is_wanted && self.alarms.is_empty() {
                return;
            }
            self.comes();
            self.handles();
            self.ends();
            if !self.is_wanted && self.there.is_none() {
                self.ring();
            } else if !is_busy {
                self.alarms.clear(); // of incarnations that are gone
            }
            self.conserves();
        }
        panic!("it never comes to rest: {self:?}");
    }
}

/// Of one that fell alone.
const SPREAD: Spread = Spread {
    chance: 0.5,
    turn: Duration::ZERO,
};

/// What families there are.
pub(super) fn rules() -> impl Arbitrary<Value = (Rules, bool)> {
    let restarts = prop_oneof![
        Just(Restart::Permanent),
        Just(Restart::Temporary),
        Just(Restart::Transient)
    ];
    let shutdowns = prop_oneof![
        Just(Shutdown::Kill),
        Just(Shutdown::Stop(Duration::from_secs(5))),
        Just(Shutdown::Drain(Duration::from_secs(9))),
    ];
    let revives = prop_oneof![4 => Just(Revive::AtOnce), 1 => Just(Revive::OnMessage)];
    (
        (restarts, shutdowns, revives),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        (1_usize..6, 0_u32..5),
    )
        .prop_map(
            |(
                (restart, shutdown, revive),
                (birth, sleeps, slow, cold),
                (buffer_max, restarts_max),
            )| {
                let rules = Rules {
                    restart,
                    shutdown,
                    revive,
                    intensity: Intensity {
                        restarts_max,
                        window: Duration::from_secs(10),
                    },
                    backoff: slow.then(Backoff::default),
                    has_next: birth && restart != Restart::Temporary,
                    sleeps,
                    buffer_max,
                    quarantine: Duration::from_secs(if cold { 60 } else { 0 }),
                };
                (rules, birth)
            },
        )
}
