//! The folder of a backup, with its states.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::FlockOperation;

use super::{BackupError, Manifest, files};

/// The folder of a backup. Nobody else writes to it while it lives.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    _lock: Option<File>,
}

/// A state of the system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// When it was taken, as its folder is named: `2026-11-29T13-33-43Z`.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
}

impl Shelf {
    /// Opens a backup to add to it; it is created if it is not there.
    ///
    /// # Errors
    /// [`BackupError::Busy`], [`BackupError::Place`], [`BackupError::Newer`], [`BackupError::Disk`].
    pub fn create(folder: &Path) -> Result<Self, BackupError> {
        files::make_folder(folder)?;
        if !folder.join(MARK).exists() {
            // What a run left that was ended just as it began.
            let beginning = files::part_of(&folder.join(MARK));
            let is_other = |entry: io::Result<fs::DirEntry>| {
                entry.is_ok_and(|entry| {
                    entry.file_name() != LOST_AND_FOUND && entry.path() != beginning
                })
            };
            let mut inside =
                fs::read_dir(folder).map_err(BackupError::disk("look into", folder))?;
            if inside.any(is_other) {
                return Err(BackupError::Place(format!(
                    "{} holds other things and is no backup; name a folder of its own, or one that \
                     is not there yet",
                    folder.display()
                )));
            }
            let text = format!("{MARK_TEXT}{}\n", Manifest::FORMAT);
            files::write(&folder.join(MARK), text.as_bytes())?;
        }
        let shelf = Self::at(folder, FlockOperation::NonBlockingLockExclusive)?;
        shelf.tidy()?;
        Ok(shelf)
    }

    /// Opens a backup to read it.
    ///
    /// # Errors
    /// [`BackupError::Busy`], [`BackupError::Place`], [`BackupError::Newer`], [`BackupError::Disk`].
    pub fn open(folder: &Path) -> Result<Self, BackupError> {
        Self::at(folder, FlockOperation::NonBlockingLockShared)
    }

    fn at(folder: &Path, how: FlockOperation) -> Result<Self, BackupError> {
        let mark = folder.join(MARK);
        let text = match fs::read_to_string(&mark) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = folder.display();
                return Err(BackupError::Place(format!(
                    "{folder} is no backup of Heronry"
                )));
            }
            read => read.map_err(BackupError::disk("read", &mark))?,
        };
        let number = text
            .strip_prefix(MARK_TEXT)
            .and_then(|n| n.trim().parse().ok());
        match number {
            Some(found) if found > Manifest::FORMAT => {
                return Err(BackupError::Newer {
                    what: folder.display().to_string(),
                    found,
                    known: Manifest::FORMAT,
                });
            }
            Some(_) => {}
            None => {
                return Err(BackupError::Damaged {
                    what: mark.display().to_string(),
                });
            }
        }
        let file = File::open(&mark).map_err(BackupError::disk("open", &mark))?;
        let lock = match rustix::fs::flock(&file, how) {
            Ok(()) => Some(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(BackupError::Busy {
                    folder: folder.display().to_string(),
                });
            }
            // A file system without locks: two at once are the operator's matter.
            Err(_) => None,
        };
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The states, the oldest first.
    ///
    /// # Errors
    /// [`BackupError::Disk`].
    pub fn states(&self) -> Result<Vec<State>, BackupError> {
        let entries = fs::read_dir(&self.folder);
        let mut states = Vec::new();
        for entry in entries.map_err(BackupError::disk("look into", &self.folder))? {
            let entry = entry.map_err(BackupError::disk("look into", &self.folder))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.starts_with(|c: char| c.is_ascii_digit()) && entry.path().is_dir() {
                let folder = entry.path();
                states.push(State { name, folder });
            }
        }
        states.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(states)
    }

    /// The state of that name, or whose name alone begins so; the newest, for none.
    ///
    /// # Errors
    /// [`BackupError::Place`] when there is none, or more than one; [`BackupError::Disk`].
    pub fn state(&self, when: Option<&str>) -> Result<State, BackupError> {
        let mut states = self.states()?;
        let folder = self.folder.display();
        let Some(when) = when else {
            let newest = states.pop();
            return newest.ok_or_else(|| BackupError::Place(format!("{folder} has no state yet")));
        };
        if let Some(at) = states.iter().position(|state| state.name == when) {
            return Ok(states.swap_remove(at));
        }
        states.retain(|state| state.name.starts_with(when));
        match states.len() {
            1 => Ok(states.swap_remove(0)),
            0 => Err(BackupError::Place(format!("{folder} has no state {when}"))),
            number => Err(BackupError::Place(format!(
                "{number} states of {folder} begin with {when}"
            ))),
        }
    }

    /// Removes all but the `keep` newest states; yields the names of those that went.
    ///
    /// # Errors
    /// [`BackupError::Disk`].
    pub fn prune(&self, keep: usize) -> Result<Vec<String>, BackupError> {
        let mut states = self.states()?;
        states.truncate(states.len().saturating_sub(keep));
        for state in &states {
            // Under another name first: what is half removed is no state.
            let going = self.folder.join(format!("{REMOVED}{}", state.name));
            fs::rename(&state.folder, &going)
                .map_err(BackupError::disk("remove", &state.folder))?;
            remove_all(&going)?;
        }
        files::sync_folder(&self.folder)?;
        Ok(states.into_iter().map(|state| state.name).collect())
    }

    /// Where a run gathers what will be a state.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.folder.join(UNFINISHED)
    }

    /// Makes a state of what a run has gathered.
    pub(super) fn finish(&self, taken: &str) -> Result<State, BackupError> {
        let mut name = taken.replace(':', "-");
        let mut number = 1;
        while self.folder.join(&name).exists() {
            number += 1;
            name = format!("{}_{number}", taken.replace(':', "-"));
        }
        let folder = self.folder.join(&name);
        let unfinished = self.unfinished();
        fs::rename(&unfinished, &folder).map_err(BackupError::disk("name", &folder))?;
        files::sync_folder(&self.folder)?;
        Ok(State { name, folder })
    }

    /// Ends what an interrupted run has begun to remove.
    fn tidy(&self) -> Result<(), BackupError> {
        let entries = fs::read_dir(&self.folder);
        for entry in entries.map_err(BackupError::disk("look into", &self.folder))? {
            let path = entry
                .map_err(BackupError::disk("look into", &self.folder))?
                .path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(REMOVED)) {
                remove_all(&path)?;
            }
        }
        Ok(())
    }
}

impl State {
    /// What it is made of.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn manifest(&self) -> Result<Manifest, BackupError> {
        Manifest::read(&self.folder)
    }

    /// What becomes a data folder again.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

fn remove_all(folder: &Path) -> Result<(), BackupError> {
    fs::remove_dir_all(folder).map_err(BackupError::disk("remove", folder))
}

/// Says what the folder is, and is locked by whoever works on it.
const MARK: &str = "heronry-backup";
const MARK_TEXT: &str = "heronry backup ";
const UNFINISHED: &str = "unfinished";
const REMOVED: &str = "removed-";

/// A file system of its own has this folder from the beginning.
const LOST_AND_FOUND: &str = "lost+found";
