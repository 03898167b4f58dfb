//! The plan: who is harmed, how, and when. It repeats itself with its seed.

use std::{collections::BTreeSet, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use world::{Random, SeededRandom};

use super::places::Place;

/// What is done to an actor.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// Its next handler fails with an error.
    Error,
    /// It is killed at once, in the middle of a handler or between two.
    Kill,
    /// Its next handler panics.
    Panic,
    /// Its next handler does not return.
    Stuck,
}

/// Harm to one actor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blow {
    /// Its place in the tree.
    pub path: String,
    /// What kind of actor stands there.
    pub kind: String,
    /// In a family, which member: the remainder by their number.
    pub nth: u64,
    /// What is done.
    pub harm: Harm,
}

/// Draws blows, one after another.
#[derive(Debug)]
pub struct Plan {
    harms: Vec<Harm>,
    /// Empty: every kind whose end takes no others with it.
    kinds: BTreeSet<String>,
    per_second: f64,
    random: SeededRandom,
}

impl Plan {
    /// So many blows a second on average, to actors of these kinds; without kinds, to every actor
    /// whose end takes no others with it.
    #[must_use]
    pub fn new(seed: u64, per_second: f64, kinds: &[String], harms: &[Harm]) -> Self {
        let all = [Harm::Error, Harm::Kill, Harm::Panic, Harm::Stuck];
        Self {
            harms: if harms.is_empty() { &all } else { harms }.to_vec(),
            kinds: kinds.iter().cloned().collect(),
            per_second,
            random: SeededRandom::new(seed),
        }
    }

    /// How long after the last blow the next one is due. Failures know nothing of each other, so
    /// the pauses are those of a Poisson process, and bursts are a part of it.
    pub fn pause(&mut self) -> Duration {
        let seconds = -(1.0 - self.random.unit()).ln() / self.per_second;
        Duration::try_from_secs_f64(seconds).unwrap_or(PAUSE_MAX)
    }

    /// Draws a kind, each as likely as the others, then a place of that kind that somebody is at,
    /// then a harm: thousands of sessions do not hide the one router. None if nobody is there.
    pub fn draw(&mut self, places: &[Place]) -> Option<Blow> {
        let open: Vec<&Place> = places.iter().filter(|place| self.may(place)).collect();
        let kinds: BTreeSet<&str> = open.iter().map(|place| &*place.kind).collect();
        let kinds: Vec<&str> = kinds.into_iter().collect();
        let kind = *self.one_of(&kinds)?;
        let same: Vec<&Place> = open
            .into_iter()
            .filter(|place| place.kind == kind)
            .collect();
        let place = *self.one_of(&same)?;
        let harm = *self.one_of(&self.harms)?;
        Some(Blow {
            path: place.path.clone(),
            kind: place.kind.clone(),
            nth: self.random.bits(),
            harm,
        })
    }

    /// Kinds that were wanted, and that the tree has not.
    #[must_use]
    pub fn unknown(&self, places: &[Place]) -> Vec<String> {
        let known = |kind: &&String| places.iter().any(|place| place.kind == **kind);
        let kinds = self.kinds.iter();
        kinds.filter(|kind| !known(kind)).cloned().collect()
    }

    fn may(&self, place: &Place) -> bool {
        let is_wanted = match self.kinds.is_empty() {
            true => !place.is_pillar,
            false => self.kinds.contains(&place.kind),
        };
        is_wanted && place.members > 0
    }

    fn one_of<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        let at = self.random.below(all.len() as u64);
        all.get(usize::try_from(at).ok()?)
    }
}

impl Harm {
    /// As it is typed and told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Kill => "kill",
            Self::Panic => "panic",
            Self::Stuck => "stuck",
        }
    }
}

/// For rates that are as good as none.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: &str, members: u64, is_pillar: bool) -> Place {
        Place {
            path: format!("heronry/{kind}"),
            kind: kind.to_owned(),
            members,
            is_pillar,
        }
    }

    fn house() -> Vec<Place> {
        vec![
            place("store", 1, true),
            place("router", 1, false),
            place("mailboxes", 1000, false),
            place("queues", 0, false),
        ]
    }

    fn drawn(plan: &mut Plan, count: usize) -> Vec<Blow> {
        let draw = |_| plan.draw(&house());
        (0..count).filter_map(draw).collect()
    }

    #[test]
    fn a_plan_repeats_itself_with_its_seed_and_not_with_another() {
        let of = |seed| {
            let mut plan = Plan::new(seed, 10.0, &[], &[]);
            (drawn(&mut plan, 50), plan.pause())
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn every_kind_and_every_harm_has_its_share_and_who_is_not_there_none() {
        let mut plan = Plan::new(7, 10.0, &[], &[]);
        let blows = drawn(&mut plan, 4000);
        let count = |wanted: &dyn Fn(&Blow) -> bool| blows.iter().filter(|b| wanted(b)).count();
        assert_eq!(blows.len(), 4000);
        assert_eq!(
            count(&|blow| blow.kind == "store" || blow.kind == "queues"),
            0
        );
        assert!((1800..2200).contains(&count(&|blow| blow.kind == "router")));
        for harm in [Harm::Error, Harm::Kill, Harm::Panic, Harm::Stuck] {
            assert!((900..1100).contains(&count(&|blow| blow.harm == harm)));
        }
    }

    #[test]
    fn who_is_named_is_harmed_whatever_hangs_on_it_and_nobody_else() {
        let kinds = ["store".to_owned(), "nobody".to_owned()];
        let mut plan = Plan::new(7, 10.0, &kinds, &[Harm::Kill]);
        let blows = drawn(&mut plan, 20);
        assert_eq!(blows.len(), 20);
        assert!(
            blows
                .iter()
                .all(|b| b.kind == "store" && b.harm == Harm::Kill)
        );
        assert_eq!(plan.unknown(&house()), ["nobody"]);
        assert_eq!(plan.draw(&[place("queues", 0, false)]), None);
    }

    #[test]
    fn pauses_are_as_long_on_average_as_the_rate_says() {
        let mut plan = Plan::new(3, 10.0, &[], &[]);
        let whole: Duration = (0..1000).map(|_| plan.pause()).sum();
        assert!((90..110).contains(&whole.as_secs()), "{whole:?}");
        assert_eq!(Plan::new(3, 0.0, &[], &[]).pause(), PAUSE_MAX);
    }
}
