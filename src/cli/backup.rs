//! `heronry backup`: states of the whole system, taken while it runs.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;
use store::Snapshot;
use world::{Clock, SystemClock};

use super::{
    Failure,
    args::Reach,
    client::Client,
    meter::Meter,
    output::{Output, counted, table},
};
use crate::{
    admin::protocol::{Request, SnapshotView},
    backup::{self, About, BackupError, Last, Paced, Shelf, State, Wanted},
};

/// Take a state of the whole system: mail, queue, accounts, configuration, certificates and keys.
///
/// Each state is complete. What has not changed since the one before is not copied again but shared
/// with it. A run that was interrupted is run again and goes on where it was.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[group(skip)]
pub(super) struct Backup {
    #[command(subcommand)]
    command: Option<Command>,
    /// The backup's folder. It is created if it is not there.
    #[arg(value_name = "DIR", required = true)]
    folder: Option<PathBuf>,
    /// Keep so many states, the new one included, and remove the older ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Read no more than so many octets in a second; 0: as fast as it goes.
    #[arg(long, value_name = "N", default_value_t = OCTETS_PER_SECOND)]
    octets_per_second: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The states of a backup.
    List {
        /// The backup's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Read every file of a state and compare it with its digest: exit code 4 if anything is
    /// damaged.
    Verify {
        /// The backup's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The state, or the beginning of its name; without it the newest.
        #[arg(long, value_name = "WHEN", conflicts_with = "all")]
        state: Option<String>,
        /// All states; what they share is read once.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Serialize)]
struct Report {
    state: String,
    files: usize,
    octets: u64,
    shared: usize,
    copied_octets: u64,
    removed: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    state: String,
    lsn: Option<u64>,
    files: usize,
    octets: u64,
    hostname: Option<String>,
    version: String,
    damage: Option<String>,
}

#[derive(Serialize)]
struct Verified {
    states: Vec<String>,
    files: usize,
    octets: u64,
    damage: Vec<String>,
}

impl Backup {
    pub(super) fn run(self, reach: &Reach, output: &Output) -> Result<(), Failure> {
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        match (self.command, self.folder) {
            (Some(Command::List { folder }), _) => list(&folder, output),
            (Some(Command::Verify { folder, state, all }), _) => {
                verify(&folder, state.as_deref(), all, output)
            }
            (None, Some(folder)) => {
                let how = (self.keep, self.octets_per_second);
                take(&folder, how, reach, output)
            }
            (None, None) => Err(Failure::usage("name the backup's folder")),
        }
    }
}

/// What makes up a state, and whoever keeps it as it is.
struct Source {
    about: About,
    wanted: Vec<Wanted>,
    keeper: Keeper,
}

/// Kept until everything is copied.
enum Keeper {
    Daemon(Client),
    Folder {
        #[allow(dead_code, reason = "it is kept, not looked at")]
        snapshot: Snapshot,
    },
}

impl Keeper {
    /// Has the daemon tell those who watch it, now or when it starts.
    fn tell(&mut self, last: &Last, data: &Path) -> Result<(), Failure> {
        match self {
            Self::Daemon(client) => client.ask(&Request::BackupDone(last.clone())),
            Self::Folder { .. } => Ok(last.write(data)?),
        }
    }
}

fn take(
    folder: &Path,
    (keep, octets_per_second): (Option<u32>, u64),
    reach: &Reach,
    output: &Output,
) -> Result<(), Failure> {
    let data = reach.folder()?;
    let shelf = Shelf::create(folder)?;
    let begun = SystemClock::new().now();
    let mut source = match Client::connect(&data) {
        Ok(client) => Source::running(client, &data)?,
        Err(failure) if failure.is_unreachable() => Source::at_rest(reach, failure)?,
        Err(failure) => return Err(failure),
    };
    let mut meter = Meter::new(output);
    let mut paced = Paced::new(&mut meter, octets_per_second);
    let taken = backup::take(&shelf, source.about, source.wanted, &mut paced)?;
    let last = Last {
        state: taken.state.name.clone(),
        taken: begun.0,
        octets: taken.octets,
    };
    if let Err(failure) = source.keeper.tell(&last, &data) {
        // It is there all the same.
        let _ = writeln!(io::stderr(), "nobody who watches sees it: {failure}");
    }
    drop((meter, source.keeper));
    let removed = match keep {
        Some(keep) => shelf.prune(keep as usize)?,
        None => Vec::new(),
    };
    let report = Report {
        state: taken.state.name,
        files: taken.files,
        octets: taken.octets,
        shared: taken.shared,
        copied_octets: taken.copied_octets,
        removed,
    };
    output.answer(&report, |report| {
        let mut text = format!(
            "{}: {} of {} octets; {} octets copied, {} shared with what was there\n",
            report.state,
            counted(report.files, "file"),
            report.octets,
            report.copied_octets,
            counted(report.shared, "file"),
        );
        for state in &report.removed {
            text.push_str(&format!("{state} removed\n"));
        }
        text
    })
}

impl Source {
    /// A system that runs: the daemon keeps the state while it is copied.
    fn running(mut client: Client, data: &Path) -> Result<Self, Failure> {
        let view: SnapshotView = client.ask(&Request::SnapshotTake)?;
        let mut wanted: Vec<Wanted> = view
            .files
            .iter()
            .map(|file| Wanted {
                name: format!("data/{}", file.name),
                from: data.join(format!("{}{}", view.prefix, file.name)),
                octets: Some(file.octets),
                sealed: file.sealed,
                origin: None,
            })
            .collect();
        wanted.extend(certificates(data)?);
        wanted.extend(settings(&view.settings));
        Ok(Self {
            about: About {
                taken: now(),
                hostname: Some(view.hostname),
                lsn: Some(view.lsn),
            },
            wanted,
            keeper: Keeper::Daemon(client),
        })
    }

    /// A system that does not run: nobody can start it while it is copied.
    fn at_rest(reach: &Reach, unreachable: Failure) -> Result<Self, Failure> {
        let config = reach.store()?;
        if !config.folder.join("journal").is_dir() {
            return Err(unreachable);
        }
        let snapshot = Snapshot::of_closed(&config).map_err(BackupError::from)?;
        let mut wanted: Vec<Wanted> = snapshot
            .files
            .iter()
            .map(|file| Wanted {
                name: format!("data/{}", file.name),
                from: config.folder.join(&file.name),
                octets: Some(file.octets),
                sealed: file.sealed,
                origin: None,
            })
            .collect();
        wanted.extend(certificates(&config.folder)?);
        wanted.extend(settings(&reach.settings()?));
        Ok(Self {
            about: About {
                taken: now(),
                hostname: None,
                lsn: None,
            },
            wanted,
            keeper: Keeper::Folder { snapshot },
        })
    }
}

/// The certificate that the daemon has made for itself, and its key.
fn certificates(data: &Path) -> Result<Vec<Wanted>, Failure> {
    let folder = data.join("tls");
    let mut wanted = Vec::new();
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(wanted),
        entries => entries,
    };
    let failed = |error| Failure::new(format!("cannot look into {}: {error}", folder.display()));
    for entry in entries.map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            wanted.push(Wanted {
                name: format!("data/tls/{name}"),
                from: entry.path(),
                octets: None,
                sealed: false,
                origin: None,
            });
        }
    }
    Ok(wanted)
}

/// Configuration, certificates and keys from elsewhere. Two of the same name are told apart by a
/// number.
fn settings(files: &[PathBuf]) -> impl Iterator<Item = Wanted> {
    (1..).zip(files).map(|(number, path)| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Wanted {
            name: format!("settings/{number}-{name}"),
            from: path.clone(),
            octets: None,
            sealed: false,
            origin: Some(path.clone()),
        }
    })
}

fn list(folder: &Path, output: &Output) -> Result<(), Failure> {
    let shelf = Shelf::open(folder)?;
    let mut rows = Vec::new();
    for state in shelf.states()? {
        rows.push(row(state)?);
    }
    output.answer(&rows, |rows| {
        let lines: Vec<_> = rows.iter().map(Row::cells).collect();
        table(
            &["STATE", "FILES", "OCTETS", "SYSTEM", "VERSION", "DAMAGE"],
            &lines,
        )
    })
}

fn row(state: State) -> Result<Row, Failure> {
    let mut row = Row {
        state: state.name.clone(),
        lsn: None,
        files: 0,
        octets: 0,
        hostname: None,
        version: String::new(),
        damage: None,
    };
    match state.manifest() {
        Ok(manifest) => {
            row.lsn = manifest.lsn;
            row.files = manifest.files.len();
            row.octets = manifest.octets();
            row.hostname = manifest.hostname;
            row.version = manifest.version;
        }
        Err(error @ BackupError::Newer { .. }) => return Err(error.into()),
        Err(error) => row.damage = Some(error.to_string()),
    }
    Ok(row)
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            self.state.clone(),
            self.files.to_string(),
            self.octets.to_string(),
            or_none(&self.hostname),
            self.version.clone(),
            or_none(&self.damage),
        ]
    }
}

fn verify(folder: &Path, when: Option<&str>, all: bool, output: &Output) -> Result<(), Failure> {
    let shelf = Shelf::open(folder)?;
    let states = match all {
        true => shelf.states()?,
        false => vec![shelf.state(when)?],
    };
    let mut meter = Meter::new(output);
    let found = backup::verify(&states, &mut meter)?;
    drop(meter);
    let verified = Verified {
        states: states.into_iter().map(|state| state.name).collect(),
        files: found.files,
        octets: found.octets,
        damage: found.damage,
    };
    output.answer(&verified, |verified| {
        let mut text = format!(
            "{} with {} of {} octets\n",
            verified.states.join(", "),
            counted(verified.files, "file"),
            verified.octets
        );
        for damage in &verified.damage {
            text.push_str(&format!("damaged: {damage}\n"));
        }
        if verified.damage.is_empty() {
            text.push_str("whole\n");
        }
        text
    })?;
    match verified.damage.len() {
        0 => Ok(()),
        number => Err(Failure::damaged(format!(
            "{} damaged",
            counted(number, "place")
        ))),
    }
}

/// RFC 3339 without fractions of a second: it becomes the name of a folder.
fn now() -> String {
    let text = SystemClock::new().now().to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// Leaves most of an ordinary disk to those who send meanwhile.
const OCTETS_PER_SECOND: u64 = 64 * 1024 * 1024;
