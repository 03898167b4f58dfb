//! `heronry chaos`: actors of the running daemon are harmed, and it is told what users saw.

use std::{
    collections::BTreeMap,
    mem,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use supervision::Fate;
use world::{Random, SystemRandom};

use super::{Failure, client::Client, interrupt::Interrupt, output::Output};
use crate::{
    admin::protocol::{BlowView, HarmView, Request, TreeForm},
    chaos::{
        Blow, Bound, Ending, Guard, Harm, Heard, Numbers, Pace, Plan, Probe, Report, Said, Seen,
        Span, Speech, places,
    },
    config::{Config, Protocol},
};

/// Harm random actors of the running daemon, and tell what users saw of it. No mail is lost by it:
/// that is what it shows.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct Chaos {
    /// How often actors are harmed: 10/s, 30/m.
    #[arg(long, value_name = "N/s", default_value = "1/s")]
    rate: Pace,
    /// For how long: 60s, 5m. Ctrl-C ends it before, with the report of what was done.
    #[arg(long = "for", value_name = "TIME", default_value = "10s")]
    span: Span,
    /// Only these kinds of actors: mailboxes,router,smtp-sessions. Without it, every kind but those
    /// that take others with them: the store and the supervisors.
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Only these harms [default: all]
    #[arg(long, value_name = "HARM,…", value_delimiter = ',')]
    harms: Vec<Harm>,
    /// How many members of a family are harmed at once.
    #[arg(long, value_name = "N", default_value_t = 1)]
    at_once: usize,
    /// Stop when answers take longer: p99=500ms. A NOOP is said on SMTP and on IMAP ten times a
    /// second; the last ten seconds count.
    #[arg(long, value_name = "pN=TIME")]
    guard: Option<Bound>,
    /// Draw the same blows as the run that told this seed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Chaos {
    pub(super) fn run(self, folder: &Path, output: &Output) -> Result<(), Failure> {
        let seed = self.seed.unwrap_or_else(|| SystemRandom.bits() >> 32);
        let mut line = Line::to(folder)?;
        let plan = Plan::new(seed, self.rate.per_second, &self.kinds, &self.harms);
        let unknown = plan.unknown(&places(&line.tree()?));
        if !unknown.is_empty() {
            return Err(Failure::usage(format!(
                "no actors of these kinds: {}; `heronry tree` shows who there is",
                unknown.join(", ")
            )));
        }
        let before = line.numbers()?;
        let mut run = Run {
            bound: self.guard,
            guard: self.guard.map(Guard::new),
            line,
            plan,
            report: Report::new(seed),
            start: Instant::now(),
            asked: [None; 2],
            at_once: self.at_once,
            interrupt: Interrupt::listen()?,
        };
        run.go(self.span.0)?;
        let after = run.line.numbers()?;
        let mut report = run.report;
        report.settle(&before, &after);
        output.answer(&report, Report::to_text)?;
        match report.ending {
            Ending::Done | Ending::Interrupted => Ok(()),
            Ending::GuardPassed(why) | Ending::Lost(why) => Err(Failure::new(why)),
        }
    }
}

/// A run under way.
struct Run {
    bound: Option<Bound>,
    guard: Option<Guard>,
    line: Line,
    plan: Plan,
    report: Report,
    start: Instant,
    /// Since when each probe waits for an answer.
    asked: [Option<Instant>; 2],
    /// How many members of a family are harmed with one blow.
    at_once: usize,
    interrupt: Interrupt,
}

impl Run {
    fn go(&mut self, span: Duration) -> Result<(), Failure> {
        let (tell, heard) = channel();
        let probes = self.probes(&tell)?;
        let mut next = self.plan.pause();
        loop {
            self.listen(&heard, next.min(span));
            let now = self.start.elapsed();
            if let Some(why) = self.passed(now) {
                self.report.ending = Ending::GuardPassed(why);
            } else if self.interrupt.has_come() {
                self.report.ending = Ending::Interrupted;
            } else if now >= next && next < span {
                next += self.plan.pause();
                if let Err(lost) = self.strike() {
                    self.report.ending = Ending::Lost(lost.message);
                }
            }
            if now >= span || self.report.ending != Ending::Done {
                break;
            }
        }
        self.report.seconds = self.start.elapsed().as_secs_f64();
        self.line.truce(&mut self.report);
        self.recover(&heard);
        drop(probes);
        Ok(())
    }

    /// One probe at the first door of each protocol; none where there is no such door.
    fn probes(&mut self, tell: &Sender<Heard>) -> Result<Vec<Probe>, Failure> {
        let config: Config = self.line.ask(&Request::Settings)?;
        let mut probes = Vec::new();
        for (who, protocols) in [
            (Speech::Smtp, [Protocol::Smtp, Protocol::Submission]),
            (Speech::Imap, [Protocol::Imap; 2]),
        ] {
            let mut doors = config.listener.iter();
            let Some(door) = doors.find(|door| protocols.contains(&door.protocol)) else {
                continue;
            };
            let probe = Probe::send(who, door.address, tell.clone());
            probes.push(probe.map_err(|error| Failure::new(error.to_string()))?);
        }
        Ok(probes)
    }

    /// Hears what the probes tell, until something else is due or the guard should look.
    fn listen(&mut self, heard: &Receiver<Heard>, until: Duration) {
        let rest = until.saturating_sub(self.start.elapsed());
        if let Ok(heard) = heard.recv_timeout(rest.min(LOOK)) {
            self.note(heard);
        }
    }

    fn note(&mut self, Heard { who, at, said }: Heard) {
        let since_start = at.saturating_duration_since(self.start);
        let asked = &mut self.asked[who as usize];
        if said == Said::Asked {
            *asked = Some(at);
            if let Some(guard) = &mut self.guard {
                guard.asked(who.name(), since_start);
            }
            return;
        }
        let took = asked
            .take()
            .map(|asked| at.saturating_duration_since(asked));
        if let (Some(probed), Some(took)) = (self.report.probes.get_mut(who.name()), took) {
            probed.heard(said, took);
        }
        if let Some(guard) = &mut self.guard {
            guard.answered(who.name(), since_start);
        }
    }

    fn passed(&mut self, now: Duration) -> Option<String> {
        let (bound, guard) = (self.bound?, self.guard.as_mut()?);
        let time = guard.passed(now)?;
        Some(format!(
            "the guard {bound} was passed: answers took {} ms",
            time.as_millis()
        ))
    }

    /// Harms the next one.
    fn strike(&mut self) -> Result<(), Failure> {
        let tree = self.line.tree()?;
        match self.plan.draw(&places(&tree)) {
            Some(blow) => self.line.strike(blow, self.at_once, &mut self.report),
            None => self.report.missed += 1,
        }
        Ok(())
    }

    /// Waits until everybody is there again.
    fn recover(&mut self, heard: &Receiver<Heard>) {
        let end = Instant::now();
        while end.elapsed() < RECOVERY {
            if self.line.tree().is_ok_and(|tree| tree.is_whole()) {
                self.report.whole_after_seconds = Some(end.elapsed().as_secs_f64());
                return;
            }
            self.listen(heard, Duration::MAX);
        }
    }
}

/// The line to the operators, who are actors like others and are harmed like others.
struct Line {
    folder: PathBuf,
    client: Option<Client>,
    /// Blows on this line whose fate is not known, by their numbers.
    blows: BTreeMap<u64, (String, Harm)>,
    /// Those of lines that were lost. The daemon took them back, unless they had struck just then.
    lost: Vec<(String, Harm)>,
}

impl Line {
    fn to(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            client: Some(Client::connect(folder)?),
            folder: folder.to_owned(),
            blows: BTreeMap::new(),
            lost: Vec::new(),
        })
    }

    fn tree(&mut self) -> Result<Seen, Failure> {
        self.ask(&Request::Tree {
            form: TreeForm::Json,
        })
    }

    fn numbers(&mut self) -> Result<Numbers, Failure> {
        let text: String = self.ask(&Request::Metrics)?;
        Ok(Numbers::read(&text))
    }

    /// Harms an actor, and hears what has become of others.
    fn strike(&mut self, blow: Blow, at_once: usize, report: &mut Report) {
        let request = Request::Harm {
            path: blow.path,
            nth: blow.nth,
            count: at_once,
            harm: blow.harm,
        };
        match self.once::<HarmView>(&request) {
            Ok(harmed) => {
                let whom = harmed.aimed.into_iter();
                let blows = whom.map(|aimed| (aimed.blow, (blow.kind.clone(), blow.harm)));
                self.blows.extend(blows);
                self.hear(&harmed.fates, report);
            }
            Err(_) => report.missed += 1, // it had just gone, or the operators were hit
        }
        self.mourn(report);
    }

    /// Takes back what has not struck.
    fn truce(&mut self, report: &mut Report) {
        if let Ok(fates) = self.once::<Vec<BlowView>>(&Request::Truce) {
            self.hear(&fates, report);
        }
        self.mourn(report);
    }

    fn hear(&mut self, fates: &[BlowView], report: &mut Report) {
        for BlowView { blow, fate } in fates {
            if let Some((kind, harm)) = self.blows.remove(blow) {
                report.ended(&kind, harm, *fate);
            }
        }
    }

    fn mourn(&mut self, report: &mut Report) {
        for (kind, harm) in self.lost.drain(..) {
            report.ended(&kind, harm, Fate::Lapsed);
        }
    }

    /// Asks, again and again if the line is lost: only what does no harm twice.
    fn ask<T: serde::de::DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        let start = Instant::now();
        loop {
            match self.once(request) {
                Err(_) if self.client.is_none() && start.elapsed() < RECOVERY => {
                    thread::park_timeout(LOOK);
                }
                outcome => return outcome,
            }
        }
    }

    /// Asks once. Without an answer the line is lost.
    fn once<T: serde::de::DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        let client = match &mut self.client {
            Some(client) => client,
            None => self.client.insert(Client::connect(&self.folder)?),
        };
        let outcome = client.ask(request);
        if outcome.as_ref().is_err_and(Failure::is_unreachable) {
            self.client = None;
            self.lost.extend(mem::take(&mut self.blows).into_values());
        }
        outcome
    }
}

/// How often the guard looks.
const LOOK: Duration = Duration::from_millis(50);

/// How long actors may take to be there again, the operators among them.
const RECOVERY: Duration = Duration::from_secs(30);
