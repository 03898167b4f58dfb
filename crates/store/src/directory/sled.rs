//! The directory's engine: sled, a folder and a tree for each partition.
//!
//! What sled calls a flush does not reach stable storage, and a damaged file can make it panic.
//! Neither matters here: after a power cut a partition is made anew from the checkpoint and the
//! journal, and a panic is caught, said, and makes the partition suspect until then.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustix::fs::FlockOperation;

use super::{Engine, Engines, Row};
use crate::{StoreError, journal::disk_error, metrics};

/// Makes partitions in a folder.
#[derive(Debug)]
pub(crate) struct SledEngines {
    folder: PathBuf,
    cache_octets: u64,
}

struct SledEngine {
    tree: sled::Tree,
    db: sled::Db,
    name: String,
    suspect: PathBuf,
}

impl SledEngines {
    /// Each partition gets a cache of that size.
    pub(crate) fn new(folder: &Path, cache_octets: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            cache_octets,
        }
    }

    fn path(&self, partition: &str) -> PathBuf {
        self.folder.join(partition)
    }

    fn suspect(&self, partition: &str) -> PathBuf {
        self.folder.join(format!("{partition}.suspect"))
    }

    fn try_open(&self, partition: &str) -> Result<SledEngine, StoreError> {
        let path = self.path(partition);
        fs::create_dir_all(&path).map_err(|error| disk_error("create a folder", &error))?;
        remove_half_written(&path).map_err(|error| disk_error("tidy a folder", &error))?;
        let suspect = self.suspect(partition);
        let config = sled::Config::new()
            .path(&path)
            .cache_capacity(self.cache_octets.max(CACHE_OCTETS_MIN))
            // It writes when it is told to: the journal is what has to be safe.
            .flush_every_ms(None);
        let db = guarded(partition, &suspect, || open_when_free(&config))?;
        let tree = sled::Tree::clone(&db);
        Ok(SledEngine {
            tree,
            db,
            name: partition.to_owned(),
            suspect,
        })
    }
}

impl Engines for SledEngines {
    fn open(&self, partition: &str) -> Result<Box<dyn Engine>, StoreError> {
        Ok(Box::new(self.try_open(partition)?))
    }

    fn wipe(&self, partition: &str) -> Result<(), StoreError> {
        wait_until_free(&self.path(partition));
        for path in [self.path(partition), self.suspect(partition)] {
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(disk_error(&format!("remove {}", path.display()), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn persist(&self) -> Result<(), StoreError> {
        sync_all(&self.folder).map_err(|error| disk_error("sync the directory", &error))
    }

    fn is_suspect(&self, partition: &str) -> bool {
        self.suspect(partition).exists()
    }
}

impl SledEngine {
    fn guarded<T>(&self, action: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        guarded(&self.name, &self.suspect, action)
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.guarded(|| self.tree.get(key))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        if from >= until {
            return Ok(());
        }
        let mut rows = self.tree.range(from..until);
        while let Some((key, value)) = self.guarded(|| rows.next().transpose())? {
            if key != APPLIED && !each(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, rows: Vec<Row>, applied: Option<u64>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in rows {
            match value {
                Some(value) => batch.insert(&*key, &*value),
                None => batch.remove(&*key),
            }
        }
        if let Some(lsn) = applied {
            batch.insert(APPLIED, &lsn.to_be_bytes());
        }
        self.guarded(|| self.tree.apply_batch(batch))
    }

    fn applied(&self) -> Result<Option<u64>, StoreError> {
        let value = self.guarded(|| self.tree.get(APPLIED))?;
        Ok(value.and_then(|value| Some(u64::from_be_bytes(*value.first_chunk()?))))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.guarded(|| self.db.flush()).map(|_| ())
    }
}

/// Opens a database. One that this process has just dropped may hold its file's lock a little
/// longer, until the last of its own threads has noticed; other processes have no business here.
fn open_when_free(config: &sled::Config) -> sled::Result<sled::Db> {
    let begun = Instant::now();
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().contains("acquire lock") && begun.elapsed() < LOCK_WAIT =>
            {
                thread::park_timeout(Duration::from_millis(2));
            }
            opened => return opened,
        }
    }
}

/// The same for a database that is to be removed: nothing may write into its folder afterwards.
fn wait_until_free(folder: &Path) {
    let Ok(file) = fs::File::open(folder.join("db")) else {
        return;
    };
    let begun = Instant::now();
    while rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
        && begun.elapsed() < LOCK_WAIT
    {
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Runs what may fail or panic. Either makes the partition suspect.
fn guarded<T>(
    partition: &str,
    suspect: &Path,
    action: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreError> {
    let cause = match catch_unwind(AssertUnwindSafe(action)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => match panic.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "it panicked".to_owned(),
        },
    };
    tracing::error!(partition, cause, "a partition of the directory is broken");
    metrics::DAMAGED.count(&["directory"]);
    // If even this cannot be written, the next start will find out by itself.
    let _ = fs::write(suspect, &cause);
    Err(StoreError::Damage {
        what: format!("the directory's partition {partition} ({cause})"),
    })
}

/// A snapshot that was being written when the process died is read as the newest, and then fails.
fn remove_half_written(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            fs::File::open(&path)?.sync_all()?;
        }
    }
    fs::File::open(folder)?.sync_all()
}

/// Before every key of ours: they begin with a letter.
const APPLIED: &[u8] = b"\0applied";

/// Long enough for a thread to end on a busy machine.
const LOCK_WAIT: Duration = Duration::from_secs(10);

const CACHE_OCTETS_MIN: u64 = 1024 * 1024;
