//! What was done, what became of it, and what users saw.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use supervision::Fate;

use super::{
    guard::percentile,
    numbers::{Histogram, Numbers},
    plan::Harm,
    probe::{Said, Speech},
};

/// What is told after a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// With it the same plan is drawn again.
    pub seed: u64,
    /// How long the run took, in seconds.
    pub seconds: f64,
    /// Why it ended.
    pub ending: Ending,
    /// How many actors were harmed, by kind of actor and by harm.
    pub harmed: BTreeMap<String, BTreeMap<Harm, u64>>,
    /// How many blows never struck, likewise: who was meant heard no message before the run or the
    /// incarnation ended, or nobody is left to say what became of it.
    pub lapsed: BTreeMap<String, BTreeMap<Harm, u64>>,
    /// How many blows hit nobody: who was meant had just gone.
    pub missed: u64,
    /// How long it took after the run until everybody was there again, in seconds; none: not in
    /// time.
    pub whole_after_seconds: Option<f64>,
    /// How many actors were started again, by how the one before ended.
    pub restarts: BTreeMap<String, u64>,
    /// How many members of families were given up, sessions among them, by family.
    pub given_up: BTreeMap<String, u64>,
    /// Sessions that went on after a crash, by protocol: their client was answered `451`,
    /// `NO [SERVERBUG]` or `-ERR` at worst.
    pub resumed: BTreeMap<&'static str, u64>,
    /// Client connections that ended during the run, by cause.
    pub closed: BTreeMap<String, u64>,
    /// What the probes saw.
    pub probes: BTreeMap<&'static str, Probed>,
    /// From the end of a message to its being on stable storage, before the run.
    pub accept_before: Histogram,
    /// The same during the run.
    pub accept: Histogram,
    /// From an IMAP command that needs the store to its answer, before the run.
    pub imap_before: Histogram,
    /// The same during the run.
    pub imap: Histogram,
}

/// Why a run ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The time was over.
    Done,
    /// The guard was passed: what may be, and what was, in words.
    GuardPassed(String),
    /// The operator has ended it.
    Interrupted,
    /// The daemon did not answer any more.
    Lost(String),
}

/// What a probe saw.
#[derive(Debug, Default, Serialize)]
pub struct Probed {
    /// Questions answered well.
    pub fine: u64,
    /// Questions answered with `451` or `NO`.
    pub failed: u64,
    /// Connections closed with `421` or `BYE`.
    pub sent_away: u64,
    /// Connections closed without a word.
    pub cut_off: u64,
    /// Times that nobody let it in.
    pub unreachable: u64,
    /// Half of the answers took no longer, in seconds.
    pub p50_seconds: Option<f64>,
    /// 99 of 100 answers took no longer, in seconds.
    pub p99_seconds: Option<f64>,
    /// The longest, in seconds.
    pub longest_seconds: Option<f64>,
    #[serde(skip)]
    times: Vec<Duration>,
}

impl Probed {
    /// A probe has been answered, or sent away.
    pub fn heard(&mut self, said: Said, took: Duration) {
        match said {
            Said::Asked => return,
            Said::Closed { with_word: true } => self.sent_away += 1,
            Said::Closed { with_word: false } => self.cut_off += 1,
            Said::Failed => self.failed += 1,
            Said::Fine => self.fine += 1,
            Said::Unreachable => self.unreachable += 1,
        }
        self.times.push(took);
    }

    fn settle(&mut self) {
        self.times.sort_unstable();
        let at = |percent| percentile(&self.times, percent).map(|time| time.as_secs_f64());
        self.p50_seconds = at(50.0);
        self.p99_seconds = at(99.0);
        self.longest_seconds = at(100.0);
    }
}

impl Report {
    /// An empty report of a run with that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let speeches = [Speech::Imap, Speech::Smtp];
        Self {
            seed,
            seconds: 0.0,
            ending: Ending::Done,
            harmed: BTreeMap::new(),
            lapsed: BTreeMap::new(),
            missed: 0,
            whole_after_seconds: None,
            restarts: BTreeMap::new(),
            given_up: BTreeMap::new(),
            resumed: BTreeMap::new(),
            closed: BTreeMap::new(),
            probes: speeches.map(|who| (who.name(), Probed::default())).into(),
            accept_before: Histogram::default(),
            accept: Histogram::default(),
            imap_before: Histogram::default(),
            imap: Histogram::default(),
        }
    }

    /// A blow to an actor of that kind has come to its end.
    pub fn ended(&mut self, kind: &str, harm: Harm, fate: Fate) {
        let blows = match fate {
            Fate::Lapsed => &mut self.lapsed,
            Fate::Struck => &mut self.harmed,
        };
        let harms = blows.entry(kind.to_owned()).or_default();
        *harms.entry(harm).or_default() += 1;
    }

    /// The daemon's own numbers before and after; nothing is heard any more.
    pub fn settle(&mut self, before: &Numbers, after: &Numbers) {
        let during = after.since(before);
        self.restarts = during.by("heronry_supervision_restarts_total", "cause");
        self.given_up = during.by("heronry_supervision_given_up_total", "kind");
        self.closed = during.by("heronry_world_connections_closed_total", "why");
        self.resumed = [
            ("imap", "heronry_imap_sessions_resumed_total"),
            ("pop3", "heronry_pop3_sessions_resumed_total"),
            ("smtp", "heronry_smtp_sessions_resumed_total"),
        ]
        .map(|(who, name)| (who, during.sum(name)))
        .into();
        (self.accept_before, self.accept) = both(before, &during, "heronry_smtp_accept_seconds");
        (self.imap_before, self.imap) = both(before, &during, "heronry_imap_command_seconds");
        self.probes.values_mut().for_each(Probed::settle);
    }

    /// The report for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} actors harmed in {:.1} s, {} blows hit nobody, {} never struck (seed {})\n",
            count(&self.harmed),
            self.seconds,
            self.missed,
            count(&self.lapsed),
            self.seed
        );
        match &self.ending {
            Ending::Done => {}
            Ending::Interrupted => text.push_str("stopped: by Ctrl-C\n"),
            Ending::GuardPassed(why) | Ending::Lost(why) => {
                text.push_str(&format!("stopped: {why}\n"));
            }
        }
        for (kind, harms) in &self.harmed {
            text.push_str(&format!("  {kind:<20} {}\n", listed(named(harms))));
        }
        for (kind, harms) in &self.lapsed {
            let harms = listed(named(harms));
            text.push_str(&format!("  {kind:<20} never struck: {harms}\n"));
        }
        text.push_str(&format!("started again: {}\n", listed(&self.restarts)));
        text.push_str(&format!("given up: {}\n", listed(&self.given_up)));
        text.push_str(&match self.whole_after_seconds {
            Some(seconds) => format!("everybody was there again after {seconds:.1} s\n"),
            None => "not everybody was there again in time\n".to_owned(),
        });
        text.push_str("what users saw:\n");
        text.push_str(&format!(
            "  sessions that went on, a command answered with 451 or NO at worst: {}\n",
            listed(&self.resumed)
        ));
        text.push_str(&format!("  connections ended: {}\n", listed(&self.closed)));
        for (who, probed) in &self.probes {
            text.push_str(&format!("  {who} NOOP: {probed}\n"));
        }
        let lines = [
            ("message accepted", &self.accept_before, &self.accept),
            ("imap command", &self.imap_before, &self.imap),
        ];
        for (what, before, during) in lines {
            text.push_str(&format!("  {what}: {during}; before: {before}\n"));
        }
        text
    }
}

fn both(before: &Numbers, during: &Numbers, name: &str) -> (Histogram, Histogram) {
    (before.histogram(name), during.histogram(name))
}

/// How many blows that is.
fn count(blows: &BTreeMap<String, BTreeMap<Harm, u64>>) -> u64 {
    blows.values().flat_map(BTreeMap::values).sum()
}

fn named(harms: &BTreeMap<Harm, u64>) -> impl Iterator<Item = (&'static str, &u64)> {
    harms.iter().map(|(harm, count)| (harm.name(), count))
}

fn listed<K: ToString, V: ToString>(counts: impl IntoIterator<Item = (K, V)>) -> String {
    let one = |(what, count): (K, V)| format!("{} {}", what.to_string(), count.to_string());
    let all: Vec<String> = counts.into_iter().map(one).collect();
    match all.is_empty() {
        true => "none".to_owned(),
        false => all.join(", "),
    }
}

fn written(seconds: Option<f64>, beyond: &str) -> String {
    seconds.map_or_else(
        || beyond.to_owned(),
        |seconds| format!("{:.1} ms", seconds * 1e3),
    )
}

impl std::fmt::Display for Probed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} fine, {} failed, {} sent away, {} cut off, {} times nobody there; \
             p50 {}, p99 {}, longest {}",
            self.fine,
            self.failed,
            self.sent_away,
            self.cut_off,
            self.unreachable,
            written(self.p50_seconds, "-"),
            written(self.p99_seconds, "-"),
            written(self.longest_seconds, "-")
        )
    }
}

impl std::fmt::Display for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.count {
            0 => f.write_str("none"),
            count => {
                let p50 = written(self.p50_seconds, "beyond measure");
                let p99 = written(self.p99_seconds, "beyond measure");
                write!(f, "{count}, p50 up to {p50}, p99 up to {p99}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_done_and_what_users_saw() {
        let mut report = Report::new(7);
        report.ended("router", Harm::Panic, Fate::Struck);
        report.ended("router", Harm::Panic, Fate::Struck);
        report.ended("mailboxes", Harm::Kill, Fate::Struck);
        report.ended("login", Harm::Stuck, Fate::Lapsed);
        report.ending = Ending::GuardPassed("p99=5ms: 9 ms".to_owned());
        let smtp = report.probes.get_mut("smtp").unwrap();
        smtp.heard(Said::Fine, Duration::from_millis(3));
        smtp.heard(Said::Failed, Duration::from_millis(8));
        let before = Numbers::read("heronry_smtp_sessions_resumed_total 1\n");
        let after = Numbers::read(
            "heronry_smtp_sessions_resumed_total 4\n\
             heronry_supervision_restarts_total{kind=\"router\",cause=\"panic\"} 2\n",
        );
        report.settle(&before, &after);
        let text = report.to_text();
        for line in [
            "3 actors harmed in 0.0 s, 0 blows hit nobody, 1 never struck (seed 7)",
            "stopped: p99=5ms: 9 ms",
            "  router               panic 2",
            "  login                never struck: stuck 1",
            "started again: panic 2",
            "imap 0, pop3 0, smtp 3",
            "smtp NOOP: 1 fine, 1 failed, 0 sent away, 0 cut off, 0 times nobody there; \
             p50 3.0 ms, p99 8.0 ms",
            "message accepted: none; before: none",
        ] {
            assert!(text.contains(line), "{line}\n---\n{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["harmed"]["router"]["panic"], 2);
        assert_eq!(json["probes"]["smtp"]["failed"], 1);
    }
}
