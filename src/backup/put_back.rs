//! Putting a whole state back: into a new data folder, verified file by file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{BackupError, Entry, Progress, State, files};

/// What was put back.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// Files.
    pub files: usize,
    /// Octets of them.
    pub octets: u64,
    /// Files that an interrupted run had put there already.
    pub there: usize,
    /// The settings: where each is now, and where it was.
    pub settings: Vec<(PathBuf, Option<PathBuf>)>,
}

/// Copies a state into the folder `to`, which must not be there, or be empty, or be what an
/// interrupted run has left. Each file is compared with the manifest while it is copied. Until all
/// are there the folder is no data folder: the store refuses to open it. From then on until
/// [`settle`] nothing is copied any more by whoever begins again: somebody may have used it.
///
/// # Errors
/// [`BackupError::Place`], [`BackupError::Damaged`], [`BackupError::Full`], [`BackupError::Disk`].
pub fn put_back(
    state: &State,
    to: &Path,
    progress: &mut dyn Progress,
) -> Result<PutBack, BackupError> {
    let manifest = state.manifest()?;
    files::make_folder(to)?;
    let is_copied = claim(to, state)?;
    let (mut there, mut missing) = (0, Vec::new());
    let mut done = PutBack {
        files: manifest.files.len(),
        octets: manifest.octets(),
        there: 0,
        settings: Vec::new(),
    };
    for entry in &manifest.files {
        let target = to.join(place(&entry.name));
        if let Some(parent) = target.parent() {
            files::make_folder(parent)?;
        }
        if !entry.name.starts_with(DATA) {
            done.settings.push((target.clone(), entry.origin.clone()));
        }
        // A file has its name only when all of it was there and was what it should be.
        match fs::metadata(&target) {
            _ if is_copied => there += 1,
            Ok(found) if found.len() == entry.octets => there += 1,
            _ => missing.push((entry, target)),
        }
    }
    done.there = there;
    if is_copied {
        return Ok(done);
    }
    let needed = missing.iter().map(|(entry, _)| entry.octets).sum();
    files::need_room(to, needed)?;
    progress.begin("restoring", needed);
    for (entry, target) in missing {
        copy(&state.folder, entry, &target, progress)?;
    }
    files::sync_folders(to)?;
    let mark = to.join(store::RESTORING);
    fs::rename(&mark, to.join(UNSETTLED)).map_err(BackupError::disk("rename", &mark))?;
    files::sync_folder(to)?;
    Ok(done)
}

/// All is there and was looked at: nobody needs to begin again.
///
/// # Errors
/// [`BackupError::Disk`].
pub fn settle(to: &Path) -> Result<(), BackupError> {
    let mark = to.join(UNSETTLED);
    fs::remove_file(&mark).map_err(BackupError::disk("remove", &mark))?;
    files::sync_folder(to)
}

fn copy(
    state: &Path,
    entry: &Entry,
    target: &Path,
    progress: &mut dyn Progress,
) -> Result<(), BackupError> {
    let from = state.join(&entry.name);
    let checked = target.with_extension("unchecked");
    let copied = files::copy(&from, &checked, None, progress)?;
    if copied.octets != entry.octets || copied.blake3 != entry.blake3 {
        fs::remove_file(&checked).map_err(BackupError::disk("remove", &checked))?;
        return Err(BackupError::Damaged {
            what: from.display().to_string(),
        });
    }
    fs::rename(&checked, target).map_err(BackupError::disk("name", target))
}

/// Takes the folder for the restore of that state, if it is empty or was begun with the same one;
/// whether that one has copied everything.
fn claim(to: &Path, state: &State) -> Result<bool, BackupError> {
    for (mark, is_copied) in [(store::RESTORING, false), (UNSETTLED, true)] {
        let mark = to.join(mark);
        match fs::read_to_string(&mark) {
            Ok(begun) if begun.trim() == state.name => return Ok(is_copied),
            Ok(begun) => {
                return Err(BackupError::Place(format!(
                    "{} is half filled with the state {}: restore that one to its end, or remove \
                     the folder",
                    to.display(),
                    begun.trim()
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BackupError::disk("read", &mark)(error)),
        }
    }
    let mark = to.join(store::RESTORING);
    let beginning = files::part_of(&mark);
    let is_other = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name() != "lost+found" && entry.path() != beginning)
    };
    let mut inside = fs::read_dir(to).map_err(BackupError::disk("look into", to))?;
    if inside.any(is_other) {
        return Err(BackupError::Place(format!(
            "{} is not empty; nothing is ever restored over something",
            to.display()
        )));
    }
    files::write(&mark, format!("{}\n", state.name).as_bytes())?;
    files::sync_folder(to)?;
    Ok(false)
}

/// Where a file of a state belongs in the new data folder.
fn place(name: &str) -> PathBuf {
    match name.strip_prefix(DATA) {
        Some(inner) => inner.into(),
        None => Path::new("restored").join(name),
    }
}

/// What files of the data folder begin with in a state.
const DATA: &str = "data/";

/// Stands for [`store::RESTORING`] from when all files are there until all was looked at.
const UNSETTLED: &str = "restored-unchecked";
