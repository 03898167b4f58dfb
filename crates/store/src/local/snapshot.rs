//! A snapshot: second names for every file that a state of the store needs, while it goes on.
//!
//! A state is a checkpoint, the sealed segments, and the open one up to where it was durable. The
//! files get a second name in `snapshot/`, so that whoever copies them takes the time that he
//! needs: nobody waits for him, a segment may be given back meanwhile, and nothing that is in the
//! state changes any more.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use super::{
    config::Config,
    keeper::{Local, Shared},
    marks,
};
use crate::{
    StoreError,
    desk::Store,
    directory::checkpoint,
    disk::{Disk, Lock, RealDisk},
    journal::{self, Files, disk_error},
};

/// Files that make up one state of the store. Dropping it takes the second names away.
#[derive(Debug)]
pub struct Snapshot {
    disk: Arc<dyn Disk>,
    /// Where the second names are, in the data folder; `None` when they are the first ones.
    folder: Option<String>,
    /// All up to here is in it; `None` for a store that was not open.
    pub lsn: Option<u64>,
    /// The files.
    pub files: Vec<SnapshotFile>,
    _lock: Option<Held>,
}

/// A file of a snapshot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SnapshotFile {
    /// Its name in a data folder: `journal/0000000042.seg`.
    pub name: String,
    /// How many of its octets belong to the state; it may grow behind them.
    pub octets: u64,
    /// Whether nobody changes it any more.
    pub sealed: bool,
}

struct Held(#[allow(dead_code, reason = "it is kept, not looked at")] Lock);

impl Store<Local> {
    /// Takes a snapshot of all that is durable. It takes as long as one sync and the making of
    /// the names: call it from a thread that may wait. Nobody else waits for it.
    ///
    /// # Errors
    /// [`StoreError::Disk`] when the file system knows no second names; [`StoreError::Lost`] when
    /// the store has ended; [`StoreError::Busy`] when it was too busy several times in a row.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut last = StoreError::Busy;
        for _ in 0..ATTEMPTS {
            match take(&*self.keeper.shared()?) {
                Err(error @ (StoreError::Busy | StoreError::Lost)) => last = error,
                taken => return taken,
            }
        }
        Err(last)
    }
}

impl Snapshot {
    /// The files of a store that nobody has open, under their own names. Nobody can open it
    /// until the snapshot is dropped.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Disk`].
    pub fn of_closed(config: &Config) -> Result<Self, StoreError> {
        let failed = |error: io::Error| disk_error("take the data folder", &error);
        let disk = Arc::new(RealDisk::new(&config.folder).map_err(failed)?);
        let Some(lock) = disk.lock().map_err(failed)? else {
            return Err(StoreError::InUse {
                folder: config.folder.display().to_string(),
            });
        };
        let mut names = vec![marks::FORMAT_FILE.to_owned()];
        names.extend(checkpoint::list(&*disk)?.into_iter().map(checkpoint::name));
        let segments = journal::list(&*disk).map_err(failed)?;
        names.extend(segments.into_iter().map(journal::segment_name));
        let file = |name: String| {
            let octets = disk.open(&name).and_then(|file| file.length());
            octets.map(|octets| SnapshotFile {
                name,
                octets,
                sealed: true,
            })
        };
        let files = names.into_iter().map(file).collect::<io::Result<_>>();
        Ok(Self {
            files: files.map_err(|error| disk_error("look at the data folder", &error))?,
            disk,
            folder: None,
            lsn: None,
            _lock: Some(Held(lock)),
        })
    }

    /// Where the files are, in the data folder: a folder's name with a slash behind it, or nothing
    /// for the data folder itself.
    #[must_use]
    pub fn prefix(&self) -> String {
        match &self.folder {
            Some(folder) => format!("{folder}/"),
            None => String::new(),
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            forget(&*self.disk, folder);
        }
    }
}

/// Gives back what snapshots of an earlier process have left. Nobody has a snapshot of a store
/// that is just being opened.
pub(super) fn forget_all(disk: &dyn Disk) {
    for name in disk.list(FOLDER).unwrap_or_default() {
        forget(disk, &format!("{FOLDER}/{name}"));
    }
}

fn take(shared: &Shared) -> Result<Snapshot, StoreError> {
    // Held first: a body that somebody removes from now on still belongs to the state.
    let _hold = shared.files.hold();
    let generation = shared.journal.generation();
    let (lsn, tail) = {
        let intake = shared.journal.lock();
        (intake.lsn, intake.tail)
    };
    let (told, heard) = mpsc::channel();
    let ack = Box::new(move |durable| {
        let _ = told.send(durable); // it is waited for below
    });
    shared.journal.barrier(generation, ack);
    heard.recv().unwrap_or(Err(StoreError::Lost))?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut snapshot = Snapshot {
        disk: shared.disk.clone(),
        folder: Some(format!("{FOLDER}/{number}-{lsn}")),
        lsn: Some(lsn),
        files: Vec::new(),
        _lock: None,
    };
    let failed = |error: io::Error| disk_error("make the folder of a snapshot", &error);
    let prefix = snapshot.prefix();
    for folder in ["", journal::FOLDER, checkpoint::FOLDER] {
        let folder = format!("{prefix}{folder}");
        shared
            .disk
            .create_folder(folder.trim_end_matches('/'))
            .map_err(failed)?;
    }
    snapshot.link(marks::FORMAT_FILE.to_owned(), None)?;
    // One that is younger than the state speaks of bodies that are not in it.
    let kept = checkpoint::list(&*shared.disk)?;
    let fitting = kept.iter().filter(|&&kept| kept <= lsn);
    let mut bases = 0;
    for &lsn in fitting {
        bases += usize::from(snapshot.link(checkpoint::name(lsn), None)?);
    }
    if bases == 0 && !kept.is_empty() {
        return Err(StoreError::Busy);
    }
    snapshot.link_segments(&shared.files, (tail.segment, tail.offset))?;
    Ok(snapshot)
}

impl Snapshot {
    fn link_segments(&mut self, files: &Files, (open, end): (u32, u64)) -> Result<(), StoreError> {
        let failed = |error: io::Error| disk_error("look at the journal", &error);
        for number in journal::list(files.disk()).map_err(failed)? {
            if number <= open {
                let until = (number == open).then_some(end);
                self.link(journal::segment_name(number), until)?;
            }
        }
        Ok(())
    }

    /// Gives a file its second name; whether it was there. With `until`, it may still grow.
    fn link(&mut self, name: String, until: Option<u64>) -> Result<bool, StoreError> {
        let to = format!("{}{name}", self.prefix());
        match self.disk.link(&name, &to) {
            Ok(()) => {}
            // What is not needed any more may go at every moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                let action = format!("give {name} a second name");
                return Err(disk_error(&action, &error));
            }
        }
        let octets = match until {
            Some(octets) => octets,
            None => {
                let file = self.disk.open(&to).and_then(|file| file.length());
                file.map_err(|error| disk_error(&format!("measure {name}"), &error))?
            }
        };
        self.files.push(SnapshotFile {
            name,
            octets,
            sealed: until.is_none(),
        });
        Ok(true)
    }
}

/// What cannot be removed now is removed by the next start.
fn forget(disk: &dyn Disk, folder: &str) {
    let inner = [journal::FOLDER, checkpoint::FOLDER].map(|inner| format!("{folder}/{inner}"));
    for folder in inner.iter().map(String::as_str).chain([folder]) {
        let files = disk.list(folder).unwrap_or_default();
        for name in files.iter().filter(|name| !is_folder(name)) {
            if let Err(error) = disk.remove(&format!("{folder}/{name}")) {
                tracing::warn!(%error, folder, "a snapshot cannot be removed");
            }
        }
        if let Err(error) = disk.remove_folder(folder) {
            tracing::warn!(%error, folder, "a snapshot's folder cannot be removed");
        }
    }
}

fn is_folder(name: &str) -> bool {
    [journal::FOLDER, checkpoint::FOLDER].contains(&name)
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

/// Tells the snapshots of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Where the second names are.
const FOLDER: &str = "snapshot";

/// Each fails only when the writer has failed, or two checkpoints were finished, within it.
const ATTEMPTS: usize = 5;
