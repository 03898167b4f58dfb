//! The scrubber, as an actor: it reads everything that is at rest again, and says what has rotted.
//!
//! # Owns
//! How far the present round has come, and what it and the one before have found.
//!
//! # Hears
//! [`ScrubberMsg`]: `Step` from its clock, `Inspect` from operators.
//!
//! # Says
//! Nothing: what it finds goes to the log, to the metrics and into its report.
//!
//! # Supervised by
//! The trunk, `Permanent`.
//!
//! # When it crashes
//! The round begins anew, and what was found is found again. Nobody else notices.
//!
//! # Metrics
//! `heronry_scrubber_damage`, `heronry_scrubber_octets_total`, `heronry_scrubber_rounds_total`.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use store::{Scrub, Scrubbed, StoreError};
use supervision::blocking;

use super::metrics::{DAMAGE, OCTETS, ROUNDS};
use crate::contract::{ScrubberMsg, ScrubberReport};

/// The scrubber.
#[derive(Debug)]
pub struct Scrubber;

/// Reads about so many octets from where the last step ended.
pub type ScrubStep = dyn Fn(&mut Scrub, u64) -> Result<Scrubbed, StoreError> + Send + Sync;

/// What the scrubber needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct ScrubberArgs {
    /// Octets that it may read in a second; zero: it never reads.
    pub octets_per_second: u64,
    /// The store.
    pub step: Arc<ScrubStep>,
}

/// What the scrubber has in memory: nothing that its successor would not find again.
pub struct ScrubberState {
    args: ScrubberArgs,
    scrub: Scrub,
    octets: u64,
    rounds: u64,
    /// What this round has found.
    found: BTreeSet<String>,
    /// What the round before has found.
    before: BTreeSet<String>,
}

impl Actor for Scrubber {
    type Msg = ScrubberMsg;
    type State = ScrubberState;
    type Arguments = ScrubberArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ScrubberMsg>,
        args: ScrubberArgs,
    ) -> Result<ScrubberState, ActorProcessingErr> {
        if args.octets_per_second > 0 {
            drop(myself.send_after(FIRST_PAUSE, || ScrubberMsg::Step));
        }
        DAMAGE.set(0.0, &[]);
        Ok(ScrubberState {
            args,
            scrub: Scrub::default(),
            octets: 0,
            rounds: 0,
            found: BTreeSet::new(),
            before: BTreeSet::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ScrubberMsg>,
        msg: ScrubberMsg,
        state: &mut ScrubberState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            ScrubberMsg::Inspect(reply) => {
                let _ = reply.send(state.report()); // whoever asked may have left
            }
            ScrubberMsg::Step => {
                let pause = state.step().await?;
                drop(myself.send_after(pause, || ScrubberMsg::Step));
            }
        }
        Ok(())
    }
}

impl ScrubberState {
    /// Reads a little; yields how long to rest after it. The reading waits for the disk, off the
    /// threads on which the others run.
    async fn step(&mut self) -> Result<Duration, ActorProcessingErr> {
        let (step, mut scrub) = (self.args.step.clone(), self.scrub);
        let wanted = STEP_OCTETS.min(self.args.octets_per_second);
        let read = blocking(move || step(&mut scrub, wanted).map(|done| (done, scrub)));
        let done = match read.await? {
            Ok((done, scrub)) => {
                self.scrub = scrub;
                done
            }
            Err(error) => {
                // The store is being opened anew, or the disk does not answer: others say so, too.
                tracing::warn!(%error, "the store cannot be read again at the moment");
                return Ok(TROUBLE_PAUSE);
            }
        };
        self.octets += done.octets;
        OCTETS.add(done.octets, &[]);
        for what in done.damage {
            self.note(what);
        }
        if done.ended {
            self.rounds += 1;
            ROUNDS.count(&[]);
            self.before = std::mem::take(&mut self.found);
            DAMAGE.set(self.before.len() as f64, &[]);
            return Ok(ROUND_PAUSE);
        }
        let seconds = done.octets.max(1) as f64 / self.args.octets_per_second as f64;
        Ok(Duration::from_secs_f64(seconds.min(LONGEST_PAUSE)))
    }

    fn note(&mut self, what: String) {
        if self.found.len() >= DAMAGE_MAX {
            return;
        }
        if !self.before.contains(&what) && !self.found.contains(&what) {
            tracing::error!(what, "damage was found; everything else is served");
        }
        self.found.insert(what);
        let known = self.before.union(&self.found).count();
        DAMAGE.set(known as f64, &[]);
    }

    fn report(&self) -> ScrubberReport {
        ScrubberReport {
            octets: self.octets,
            rounds: self.rounds,
            damage: self.before.union(&self.found).cloned().collect(),
        }
    }
}

impl fmt::Debug for ScrubberArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScrubberArgs")
            .field("octets_per_second", &self.octets_per_second)
            .finish_non_exhaustive()
    }
}

/// Read at once: short enough that nobody waits behind it for long.
const STEP_OCTETS: u64 = 1024 * 1024;

/// A start has enough to read.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// A small store need not be read all day.
const ROUND_PAUSE: Duration = Duration::from_secs(3600);

const TROUBLE_PAUSE: Duration = Duration::from_secs(60);

/// However small the budget is and however large a frame, in seconds.
const LONGEST_PAUSE: f64 = 3600.0;

/// Places that are named; a disk that has lost more than that needs no list.
const DAMAGE_MAX: usize = 1000;
