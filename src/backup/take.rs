//! Taking a state: what the newest one has already is shared with it, the rest is copied.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use super::{BackupError, Entry, Manifest, Progress, Shelf, State, files};

/// What a state says about itself.
#[derive(Clone, Debug)]
pub struct About {
    /// When it is taken, RFC 3339 without fractions.
    pub taken: String,
    /// The name of the system, if it is running.
    pub hostname: Option<String>,
    /// Up to which batch it reaches, if the system is running.
    pub lsn: Option<u64>,
}

/// A file that belongs to the state.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name in the state.
    pub name: String,
    /// Where it is now.
    pub from: PathBuf,
    /// How much of it belongs to the state; all, for none.
    pub octets: Option<u64>,
    /// Whether nobody changes it any more: then an earlier state may have it already.
    pub sealed: bool,
    /// Where it belongs, if not in the data folder.
    pub origin: Option<PathBuf>,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The new state.
    pub state: State,
    /// Its files.
    pub files: usize,
    /// Octets of them.
    pub octets: u64,
    /// Files that it shares with the state before, or that an interrupted run had copied.
    pub shared: usize,
    /// Octets that were copied.
    pub copied_octets: u64,
}

/// Takes a state of these files.
///
/// # Errors
/// [`BackupError::Full`], [`BackupError::Disk`]. What was copied stays, and the next run goes on
/// with it.
pub fn take(
    shelf: &Shelf,
    about: About,
    mut wanted: Vec<Wanted>,
    progress: &mut dyn Progress,
) -> Result<Taken, BackupError> {
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    let folder = shelf.unfinished();
    files::make_folder(&folder)?;
    let mut run = Run::begin(shelf, folder)?;
    run.forget_others(&wanted)?;
    let mut missing = Vec::new();
    for file in wanted {
        match run.known(&file)? {
            Some(entry) => run.entries.push(entry),
            None => missing.push(file),
        }
    }
    let needed = missing.iter().map(length).sum::<Result<u64, _>>()?;
    files::need_room(&run.folder, needed)?;
    let shared = run.entries.len();
    progress.begin("copying", needed);
    for file in missing {
        run.copy(file, progress)?;
    }
    run.finish(shelf, about, (shared, needed))
}

struct Run {
    folder: PathBuf,
    /// What the newest state has, and where.
    before: BTreeMap<String, (Entry, PathBuf)>,
    /// What an interrupted run has copied.
    begun: BTreeMap<String, Entry>,
    log: File,
    entries: Vec<Entry>,
}

impl Run {
    fn begin(shelf: &Shelf, folder: PathBuf) -> Result<Self, BackupError> {
        let log = folder.join(LOG);
        let begun = read_log(&log).map_err(BackupError::disk("read", &log))?;
        let mut before = BTreeMap::new();
        // A state that cannot be read helps nobody; then everything is copied.
        if let Some(newest) = shelf.states()?.pop()
            && let Ok(manifest) = newest.manifest()
        {
            for entry in manifest.files {
                let path = newest.folder.join(&entry.name);
                before.insert(entry.name.clone(), (entry, path));
            }
        }
        Ok(Self {
            log: File::options()
                .create(true)
                .append(true)
                .open(&log)
                .map_err(BackupError::disk("open", &log))?,
            folder,
            before,
            begun,
            entries: Vec::new(),
        })
    }

    /// Removes what an interrupted run has copied and this one does not want.
    fn forget_others(&self, wanted: &[Wanted]) -> Result<(), BackupError> {
        let names: BTreeSet<&Path> = wanted.iter().map(|file| Path::new(&file.name)).collect();
        let found =
            files::walk(&self.folder).map_err(BackupError::disk("look into", &self.folder))?;
        for path in found {
            if path != Path::new(LOG) && !names.contains(&*path) {
                let path = self.folder.join(path);
                fs::remove_file(&path).map_err(BackupError::disk("remove", &path))?;
            }
        }
        Ok(())
    }

    /// The file, if it is there already, or in the newest state and can be shared.
    fn known(&self, file: &Wanted) -> Result<Option<Entry>, BackupError> {
        let target = self.folder.join(&file.name);
        if let Some(parent) = target.parent() {
            files::make_folder(parent)?;
        }
        if !file.sealed {
            return Ok(None);
        }
        let modified =
            files::modified(&file.from).map_err(BackupError::disk("look at", &file.from))?;
        let is_same = |entry: &&Entry, path: &Path| {
            entry.modified == Some(modified)
                && file.octets.is_none_or(|octets| octets == entry.octets)
                && fs::metadata(path).is_ok_and(|found| found.len() == entry.octets)
        };
        if let Some(entry) = self.begun.get(&file.name).filter(|e| is_same(e, &target)) {
            return Ok(Some(entry.clone()));
        }
        match fs::remove_file(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::disk("remove", &target)(error));
            }
            _ => {}
        }
        if let Some((entry, path)) = self.before.get(&file.name)
            && is_same(&entry, path)
            // A file system without hard links, or a file with too many of them: it is copied.
            && fs::hard_link(path, &target).is_ok()
        {
            return Ok(Some(entry.clone()));
        }
        Ok(None)
    }

    fn copy(&mut self, file: Wanted, progress: &mut dyn Progress) -> Result<(), BackupError> {
        let modified = match file.sealed {
            true => Some(
                files::modified(&file.from).map_err(BackupError::disk("look at", &file.from))?,
            ),
            false => None,
        };
        let target = self.folder.join(&file.name);
        let copied = files::copy(&file.from, &target, file.octets, progress)?;
        let entry = Entry {
            name: file.name,
            octets: copied.octets,
            blake3: copied.blake3,
            modified,
            origin: file.origin,
        };
        let mut line = serde_json::to_vec(&entry).expect("its maps have strings for keys");
        line.push(b'\n');
        // In one piece: a line that is cut off counts for nothing.
        self.log
            .write_all(&line)
            .map_err(BackupError::disk("write", &self.folder.join(LOG)))?;
        self.entries.push(entry);
        Ok(())
    }

    fn finish(
        mut self,
        shelf: &Shelf,
        about: About,
        (shared, copied_octets): (usize, u64),
    ) -> Result<Taken, BackupError> {
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = Manifest {
            format: Manifest::FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            taken: about.taken,
            hostname: about.hostname,
            lsn: about.lsn,
            files: self.entries,
        };
        manifest.write(&self.folder)?;
        let log = self.folder.join(LOG);
        fs::remove_file(&log).map_err(BackupError::disk("remove", &log))?;
        files::sync_folders(&self.folder)?;
        let state = shelf.finish(&manifest.taken)?;
        Ok(Taken {
            state,
            files: manifest.files.len(),
            octets: manifest.octets(),
            shared,
            copied_octets,
        })
    }
}

fn length(file: &Wanted) -> Result<u64, BackupError> {
    match file.octets {
        Some(octets) => Ok(octets),
        None => fs::metadata(&file.from)
            .map(|found| found.len())
            .map_err(BackupError::disk("look at", &file.from)),
    }
}

fn read_log(path: &Path) -> io::Result<BTreeMap<String, Entry>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        opened => opened?,
    };
    let mut entries = BTreeMap::new();
    for line in BufReader::new(file).lines() {
        if let Ok(entry) = serde_json::from_str::<Entry>(&line?) {
            entries.insert(entry.name.clone(), entry);
        }
    }
    Ok(entries)
}

/// What was copied so far, one entry a line.
const LOG: &str = "progress";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{put_back, settle, verify};

    struct Silent;

    impl Progress for Silent {
        fn begin(&mut self, _: &str, _: u64) {}
        fn advance(&mut self, _: u64) {}
    }

    fn about(second: u8) -> About {
        About {
            taken: format!("2026-11-29T13:33:{second:02}Z"),
            hostname: None,
            lsn: None,
        }
    }

    fn wanted(folder: &Path, name: &str, sealed: bool) -> Wanted {
        Wanted {
            name: format!("data/{name}"),
            from: folder.join(name),
            octets: None,
            sealed,
            origin: None,
        }
    }

    #[test]
    fn a_run_that_was_interrupted_goes_on_with_what_it_had() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let shelf = Shelf::create(&to.path().join("backup")).unwrap();
        for (name, octets) in [("a", 3000), ("b", 50)] {
            fs::write(from.path().join(name), vec![7; octets]).unwrap();
        }
        let files = |names: &[&str]| -> Vec<Wanted> {
            let files = names.iter().map(|name| wanted(from.path(), name, true));
            files.collect()
        };
        let mut with_gap = files(&["a", "b"]);
        with_gap[1].octets = Some(51); // more than there is: the run ends there
        let failed = take(&shelf, about(1), with_gap, &mut Silent).unwrap_err();
        assert!(matches!(failed, BackupError::Disk { .. }), "{failed}");
        assert_eq!(shelf.states().unwrap(), []);
        let taken = take(&shelf, about(2), files(&["a", "b"]), &mut Silent).unwrap();
        assert_eq!((taken.shared, taken.copied_octets), (1, 50));
        let taken = take(&shelf, about(3), files(&["a", "b"]), &mut Silent).unwrap();
        assert_eq!((taken.shared, taken.copied_octets), (2, 0));
        // The same name and length, and not the same file.
        fs::write(from.path().join("b"), vec![8; 50]).unwrap();
        let taken = take(&shelf, about(4), files(&["a", "b"]), &mut Silent).unwrap();
        assert_eq!((taken.shared, taken.copied_octets), (1, 50));
        let states = shelf.states().unwrap();
        let found = verify(&states, &mut Silent).unwrap();
        assert_eq!(found.damage, [""; 0]);
        assert_eq!((found.files, found.octets), (6, 3100));
        assert_eq!(fs::read(states[0].data().join("b")).unwrap(), vec![7; 50]);
    }

    #[test]
    fn a_restore_that_was_interrupted_goes_on_and_is_no_store_until_then() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let shelf = Shelf::create(&to.path().join("backup")).unwrap();
        for name in ["a", "b"] {
            fs::write(from.path().join(name), name).unwrap();
        }
        let files = vec![
            wanted(from.path(), "a", true),
            wanted(from.path(), "b", true),
        ];
        let state = take(&shelf, about(1), files, &mut Silent).unwrap().state;
        let new = to.path().join("new");
        let hidden = state.data().join("hidden");
        fs::rename(state.data().join("b"), &hidden).unwrap();
        put_back(&state, &new, &mut Silent).unwrap_err();
        assert!(new.join(store::RESTORING).exists());
        assert_eq!(fs::read(new.join("a")).unwrap(), b"a");
        fs::rename(&hidden, state.data().join("b")).unwrap();
        let done = put_back(&state, &new, &mut Silent).unwrap();
        assert_eq!((done.files, done.there), (2, 1));
        assert_eq!(fs::read(new.join("b")).unwrap(), b"b");
        assert!(!new.join(store::RESTORING).exists());
        // Whoever was ended before all was looked at begins there, and copies over nothing.
        fs::write(new.join("b"), b"used").unwrap();
        let again = put_back(&state, &new, &mut Silent).unwrap();
        assert_eq!((again.files, again.there), (2, 2));
        assert_eq!(fs::read(new.join("b")).unwrap(), b"used");
        settle(&new).unwrap();
        let again = put_back(&state, &new, &mut Silent);
        assert!(matches!(again, Err(BackupError::Place(_))), "{again:?}");
    }

    #[test]
    fn a_run_that_was_ended_as_it_began_is_in_nobodys_way() {
        let place = tempfile::tempdir().unwrap();
        let (folder, new) = (place.path().join("backup"), place.path().join("new"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("heronry-backup.part"), "heron").unwrap();
        let shelf = Shelf::create(&folder).unwrap();
        fs::write(place.path().join("a"), "a").unwrap();
        let files = vec![wanted(place.path(), "a", true)];
        let state = take(&shelf, about(1), files, &mut Silent).unwrap().state;
        fs::create_dir(&new).unwrap();
        fs::write(new.join(format!("{}.part", store::RESTORING)), "2026").unwrap();
        put_back(&state, &new, &mut Silent).unwrap();
    }

    #[test]
    fn a_backup_is_one_persons_at_a_time_and_no_other_folder_becomes_one() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("backup");
        let shelf = Shelf::create(&folder).unwrap();
        assert!(matches!(
            Shelf::create(&folder),
            Err(BackupError::Busy { .. })
        ));
        drop(shelf);
        Shelf::open(&folder).unwrap();
        let other = Shelf::create(place.path());
        assert!(matches!(other, Err(BackupError::Place(_))), "{other:?}");
    }
}
