//! `heronry store`: the store on disk, mostly while no daemon has it open.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};

use clap::Subcommand;
use serde::Serialize;
use store::{CheckReport, Config, DiskStore, SegmentReport, StoreError};
use world::{Clock, SystemClock};

use super::{
    Failure,
    client::Client,
    exit::with_causes,
    output::{Output, counted, table},
    progress,
};
use crate::{
    admin::protocol::{CompactView, Request},
    backup::{OpenState, Shelf},
};

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Read everything and say what is damaged: exit code 4 if anything is.
    Check {
        /// Read a state of this backup instead; nothing changes in it.
        #[arg(long, value_name = "DIR")]
        backup: Option<PathBuf>,
        /// Which state, or the beginning of its name; without it the newest.
        #[arg(long, value_name = "WHEN", requires = "backup")]
        state: Option<String>,
        /// Where the backup's directory is made for the time of the check [default: where this
        /// system has its temporary files]
        #[arg(long, value_name = "DIR", requires = "backup")]
        scratch: Option<PathBuf>,
    },
    /// Agree to the newest format: from the next start on it is written, and no older Heronry opens
    /// this data folder any more.
    CommitFormat,
    /// Give back all room that deleted mail has left, at once; also while the daemon runs.
    Compact,
    /// Show which format is written, and which is the newest that could be.
    Format,
    /// Make the directory anew from the journal and its checkpoints.
    Rebuild {
        /// Say in which rows the old directory differs from the new one.
        #[arg(long)]
        compare: bool,
    },
    /// Show how much is alive in each segment of the journal.
    Stats,
}

#[derive(Serialize)]
struct Report {
    segments: usize,
    frames: u64,
    checkpoints: usize,
    rows: u64,
    domains: u64,
    accounts: u64,
    mailboxes: u64,
    messages: u64,
    spooled: u64,
    bodies: u64,
    octets: u64,
    aside: u64,
    damage: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<ComparedReport>,
}

#[derive(Serialize)]
struct FormatReport {
    written: u8,
    newest: u8,
}

#[derive(Serialize)]
struct ComparedReport {
    same: u64,
    differing: u64,
    examples: Vec<String>,
    lost: Vec<String>,
}

#[derive(Serialize)]
struct StatsReport {
    segments: Vec<SegmentLine>,
    octets: u64,
    live_octets: u64,
}

#[derive(Serialize)]
struct SegmentLine {
    segment: u32,
    octets: u64,
    live_octets: Option<u64>,
    /// Whether a checkpoint still needs it, whatever is alive in it.
    needed: bool,
}

impl Store {
    pub(super) fn run(self, config: Config, output: &Output) -> Result<(), Failure> {
        if let Self::Check {
            backup: Some(backup),
            state,
            scratch,
        } = &self
        {
            return check_backup(backup, state.as_deref(), scratch.as_deref(), output);
        }
        if !config.folder.join("journal").is_dir() {
            let folder = config.folder.display();
            let what = format!("{folder} is no data folder of Heronry; name one with --data");
            return Err(Failure::usage(what));
        }
        let clock = SystemClock::new();
        let now: store::Clock = Arc::new(move || clock.now());
        let teller = progress::teller(output);
        let mut compared = None;
        let opened = match self {
            Self::Check { .. } => DiskStore::open(config, now),
            Self::CommitFormat => return formats(config, now, output, true),
            Self::Format => return formats(config, now, output, false),
            Self::Compact => return compact(config, now, output),
            Self::Rebuild { compare: false } => {
                DiskStore::rebuild_telling(config, now, teller.clone())
            }
            Self::Rebuild { compare: true } => {
                let rebuilt = DiskStore::rebuild_and_compare(config, now, teller.clone());
                rebuilt.map(|(store, found)| {
                    compared = Some(found);
                    store
                })
            }
            Self::Stats => return stats(config, now, output),
        };
        let store = opened.map_err(failure)?;
        let mut found = store.check_telling(&teller).map_err(failure)?;
        found.add_opening(store.opened());
        store.close().map_err(failure)?;
        let compared = compared.map(|compared| ComparedReport {
            same: compared.same,
            differing: compared.differing,
            examples: compared.examples,
            lost: compared.lost,
        });
        tell(found, compared, output)
    }
}

/// Reads a state of a backup.
fn check_backup(
    backup: &Path,
    when: Option<&str>,
    scratch: Option<&Path>,
    output: &Output,
) -> Result<(), Failure> {
    let state = Shelf::open(backup)?.state(when)?;
    let open = OpenState::open(&state, scratch)?;
    let found = open.store.check_telling(&progress::teller(output));
    let mut found = found.map_err(failure)?;
    found.add_opening(open.store.opened());
    tell(found, None, output)
}

/// Says what was found; a failure if anything is damaged.
fn tell(
    found: CheckReport,
    compared: Option<ComparedReport>,
    output: &Output,
) -> Result<(), Failure> {
    let report = Report {
        segments: found.segments,
        frames: found.frames,
        checkpoints: found.checkpoints,
        rows: found.rows,
        domains: found.domains,
        accounts: found.accounts,
        mailboxes: found.mailboxes,
        messages: found.messages,
        spooled: found.spooled,
        bodies: found.bodies,
        octets: found.octets,
        aside: found.aside,
        damage: found.damage,
        compared,
    };
    output.answer(&report, text)?;
    match report.damage.len() {
        0 => Ok(()),
        number => Err(Failure::damaged(format!(
            "{} damaged",
            counted(number, "place")
        ))),
    }
}

/// Shows the formats; with `commit`, the newest is agreed to first.
fn formats(
    config: Config,
    now: store::Clock,
    output: &Output,
    commit: bool,
) -> Result<(), Failure> {
    let store = DiskStore::open(config, now).map_err(failure)?;
    let formats = match commit {
        true => store.commit_format(),
        false => store.formats(),
    };
    store.close().map_err(failure)?;
    let formats = formats.map_err(failure)?;
    let report = FormatReport {
        written: formats.written,
        newest: formats.newest,
    };
    output.answer(&report, |report| {
        let mut text = format!("format {} is written here\n", report.written);
        if report.written < report.newest {
            text.push_str(&format!(
                "format {} could be, after heronry store commit-format; until then the Heronry \
                 before can be put back\n",
                report.newest
            ));
        }
        text
    })
}

/// Gives room back and says how much: by the daemon, if one has the folder.
fn compact(config: Config, now: store::Clock, output: &Output) -> Result<(), Failure> {
    let report = match Client::connect(&config.folder) {
        Ok(mut client) => client.ask_patiently(&Request::StoreCompact)?,
        Err(failure) if failure.is_unreachable() => compact_at_rest(config, now)?,
        Err(failure) => return Err(failure),
    };
    output.answer(&report, |report: &CompactView| {
        format!(
            "{} octets of journal, {} before\n",
            report.octets_after, report.octets_before
        )
    })
}

fn compact_at_rest(config: Config, now: store::Clock) -> Result<CompactView, Failure> {
    let store = DiskStore::open(config, now).map_err(failure)?;
    let before = store.stats().map_err(failure)?.journal_octets;
    let (told, heard) = mpsc::channel();
    store.reclaim().then(move |result| {
        let _ = told.send(result); // this thread waits for it
    });
    let reclaimed = heard.recv().unwrap_or(Err(StoreError::Lost));
    reclaimed.map_err(failure)?;
    let after = store.stats().map_err(failure)?.journal_octets;
    store.close().map_err(failure)?;
    Ok(CompactView {
        octets_before: before,
        octets_after: after,
    })
}

/// Shows the segments.
fn stats(config: Config, now: store::Clock, output: &Output) -> Result<(), Failure> {
    let store = DiskStore::open(config, now).map_err(failure)?;
    let segments = store.segments().map_err(failure)?;
    store.close().map_err(failure)?;
    let line = |segment: &SegmentReport| SegmentLine {
        segment: segment.number,
        octets: segment.octets,
        live_octets: segment.live_octets,
        needed: segment.needed,
    };
    let report = StatsReport {
        segments: segments.iter().map(line).collect(),
        octets: segments.iter().map(|segment| segment.octets).sum(),
        live_octets: segments
            .iter()
            .filter_map(|segment| segment.live_octets)
            .sum(),
    };
    output.answer(&report, |report| {
        let row = |line: &SegmentLine| {
            let live = line.live_octets;
            vec![
                line.segment.to_string(),
                line.octets.to_string(),
                live.map_or_else(|| "?".to_owned(), |live| live.to_string()),
                live.map_or_else(String::new, |live| percent(live, line.octets)),
                if line.needed { "by a checkpoint" } else { "" }.to_owned(),
            ]
        };
        let rows: Vec<_> = report.segments.iter().map(row).collect();
        let head = ["SEGMENT", "OCTETS", "ALIVE", "%", "NEEDED"];
        format!(
            "{}{} octets, {} of them alive\n",
            table(&head, &rows),
            report.octets,
            report.live_octets
        )
    })
}

fn percent(part: u64, whole: u64) -> String {
    (part.saturating_mul(100) / whole.max(1)).to_string()
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{} with {}, {}, {}, {} of {} octets\n",
        counted(report.segments, "segment"),
        counted(report.frames as usize, "frame"),
        counted(report.checkpoints, "checkpoint"),
        counted(report.rows as usize, "row"),
        counted_bodies(report.bodies),
        report.octets,
    );
    if report.aside > 0 {
        let messages = counted(report.aside as usize, "message");
        text.push_str(&format!("{messages} set aside: see heronry poison\n"));
    }
    if let Some(compared) = &report.compared {
        text.push_str(&format!(
            "{} rows as before, {} otherwise\n",
            compared.same, compared.differing
        ));
        for example in &compared.examples {
            text.push_str(&format!("differs: {example}\n"));
        }
        for lost in &compared.lost {
            text.push_str(&format!("not compared, because it was broken: {lost}\n"));
        }
    }
    for damage in &report.damage {
        text.push_str(&format!("damaged: {damage}\n"));
    }
    if report.damage.is_empty() {
        text.push_str("whole\n");
    }
    text
}

fn counted_bodies(number: u64) -> String {
    if number == 1 {
        "1 body".to_owned()
    } else {
        format!("{number} bodies")
    }
}

fn failure(error: StoreError) -> Failure {
    match error {
        StoreError::Damage { .. } => Failure::damaged(with_causes(&error)),
        StoreError::InUse { .. } => Failure::new(format!("{error}; stop the daemon first")),
        error => Failure::new(with_causes(&error)),
    }
}
