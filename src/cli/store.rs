//! `heronry store`: the store on disk, while no daemon has it open.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;
use store::{Config, DiskStore, StoreError};
use world::{Clock, SystemClock};

use super::{
    Failure,
    exit::with_causes,
    output::{Output, counted},
};

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Read everything and say what is damaged: exit code 4 if anything is.
    Check,
    /// Make the directory anew from the journal.
    Rebuild,
}

#[derive(Serialize)]
struct Report {
    segments: usize,
    frames: u64,
    rows: u64,
    bodies: u64,
    octets: u64,
    aside: u64,
    damage: Vec<String>,
}

impl Store {
    pub(super) fn run(self, config: Config, output: &Output) -> Result<(), Failure> {
        if !config.folder.join("journal").is_dir() {
            let folder = config.folder.display();
            let what = format!("{folder} is no data folder of Heronry; name one with --data");
            return Err(Failure::usage(what));
        }
        let clock = SystemClock::new();
        let now = Arc::new(move || clock.now());
        let opened = match self {
            Self::Check => DiskStore::open(config, now),
            Self::Rebuild => DiskStore::rebuild(config, now),
        };
        let store = opened.map_err(failure)?;
        let found = store.check().map_err(failure)?;
        let mut damage = store.opened().damage.clone();
        damage.extend(found.damage);
        store.close().map_err(failure)?;
        let report = Report {
            segments: found.segments,
            frames: found.frames,
            rows: found.rows,
            bodies: found.bodies,
            octets: found.octets,
            aside: found.aside,
            damage,
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
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{} with {}, {}, {} of {} octets\n",
        counted(report.segments, "segment"),
        counted(report.frames as usize, "frame"),
        counted(report.rows as usize, "row"),
        counted_bodies(report.bodies),
        report.octets,
    );
    if report.aside > 0 {
        let messages = counted(report.aside as usize, "message");
        text.push_str(&format!("{messages} set aside: see heronry poison\n"));
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
