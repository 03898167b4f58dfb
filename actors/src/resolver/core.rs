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
mod tests;
