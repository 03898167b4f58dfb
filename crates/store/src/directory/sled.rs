//! The directory's engine: sled, a folder and a tree for each partition, with rows in [`Packed`] blocks.
//!
//! What sled calls a flush does not reach stable storage, and a damaged file can make it panic.
//! Neither matters here: after a power cut a partition is made anew from the checkpoint and the
//! journal, and a panic is caught, said, and makes the partition suspect until then.
//!
//! What sled calls its cache's capacity is not what it takes. A page is counted when 64 accesses to
//! its shard of the cache have come together, and sled has 256 shards: until then a partition may hold
//! some 16,000 pages that nobody has counted, and what is quiet keeps them for ever. And each shard
//! keeps the page that it counted last, however large that is. So the engine goes over a few pages
//! again and again when much was used since it last did, and is opened anew when it was used and is
//! not any more ([`Ease`]): then it holds nothing.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustix::{fs::FlockOperation, io::Errno};

use super::{
    Engine, Engines, Row,
    ease::{Ease, Relief},
    packed::Packed,
};
use crate::{StoreError, journal::disk_error, metrics};

/// Makes partitions in a folder.
#[derive(Debug)]
pub(crate) struct SledEngines {
    folder: PathBuf,
    cache_octets: u64,
}

struct SledEngine {
    rows: Packed,
    /// How it is opened.
    config: sled::Config,
    path: PathBuf,
    name: String,
    suspect: PathBuf,
    /// How often rows were looked at, roughly.
    used: AtomicU64,
    ease: Mutex<Ease>,
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
        let tree = guarded(partition, &suspect, || open_when_free(&config))?;
        Ok(SledEngine {
            rows: Packed::new(tree, BLOCK_OCTETS),
            config,
            path,
            name: partition.to_owned(),
            suspect,
            used: AtomicU64::new(0),
            ease: Mutex::default(),
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

    fn use_up(&self, rows: usize) {
        self.used.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Looks at rows of pages that lie beside each other, so that they fall into all shards of the
    /// cache, until each shard has to count what it holds.
    fn make_it_count(&self) -> sled::Result<()> {
        self.rows.with(|tree| {
            let entries = tree.iter().keys().step_by(PAGE_ENTRIES_MAX);
            let keys: Vec<_> = entries.take(2 * SHARDS).collect::<sled::Result<_>>()?;
            for _ in 0..ACCESSES_COUNTED {
                for key in &keys {
                    tree.get(key)?;
                }
            }
            Ok(())
        })
    }

    /// Lets go of all that it holds. What has to be written is written before, so that whoever wants to
    /// read waits for as little as can be.
    fn open_anew(&self) -> Result<(), StoreError> {
        self.flush()?;
        let file = self.guarded(|| Ok(fs::File::open(self.path.join(DATA_FILE))?))?;
        if self.guarded(|| Ok(file.metadata()?.len()))? > REOPEN_OCTETS_MAX {
            return Ok(());
        }
        self.guarded(|| Ok(file.sync_data()?))?;
        drop(file);
        let begun = Instant::now();
        self.guarded(|| self.rows.reopen(|| open_when_free(&self.config)))?;
        let took = begun.elapsed();
        tracing::debug!(partition = self.name, ?took, "opened anew: nobody uses it");
        metrics::REOPEN_SECONDS.observe(took.as_secs_f64(), &[]);
        self.ease().was_opened(took);
        Ok(())
    }

    fn ease(&self) -> MutexGuard<'_, Ease> {
        self.ease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.use_up(1);
        self.guarded(|| self.rows.get(key))
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
        let mut next = Some(sled::IVec::from(from));
        while let Some(at) = next {
            self.use_up(1);
            let region = self.guarded(|| self.rows.around(&at))?;
            // A panic of the caller's is not the engine's.
            let end = region.each((from, until), each);
            next = self.guarded(|| end)?;
        }
        Ok(())
    }

    fn apply(&self, rows: Vec<Row>, applied: Option<u64>) -> Result<(), StoreError> {
        self.use_up(rows.len());
        let applied = applied.map(u64::to_be_bytes);
        let entry = applied.as_ref().map(|lsn| (APPLIED, &lsn[..]));
        self.guarded(|| self.rows.apply(rows, entry))
    }

    fn load(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        self.use_up(rows.len());
        self.guarded(|| self.rows.load(rows))
    }

    fn applied(&self) -> Result<Option<u64>, StoreError> {
        let value = self.guarded(|| self.rows.with(|tree| tree.get(APPLIED)))?;
        Ok(value.and_then(|value| Some(u64::from_be_bytes(*value.first_chunk()?))))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.guarded(|| self.rows.with(|tree| tree.flush()))
            .map(|_| ())
    }

    fn trim(&self, may_work: bool) -> Result<bool, StoreError> {
        let used = self.used.load(Ordering::Relaxed);
        let relief = self.ease().ask(used, may_work);
        match relief {
            None => Ok(false),
            Some(Relief::Count) => self.guarded(|| self.make_it_count()).map(|()| true),
            Some(Relief::Reopen) => self.open_anew().map(|()| false),
        }
    }
}

/// Opens a database. One that this process has just dropped may hold its file's lock a little
/// longer, until the last of its own threads has noticed; other processes have no business here.
fn open_when_free(config: &sled::Config) -> sled::Result<sled::Tree> {
    let begun = Instant::now();
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if may_pass(&error) && begun.elapsed() < LOCK_WAIT => {
                thread::park_timeout(Duration::from_millis(2));
            }
            opened => return opened.map(|db| sled::Tree::clone(&db)),
        }
    }
}

/// Whether it is a lock that somebody holds, or that there are too many open files just now.
fn may_pass(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    let too_many = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    too_many.contains(&number) || error.to_string().contains("acquire lock")
}

/// The same for a database that is to be removed: nothing may write into its folder afterwards.
fn wait_until_free(folder: &Path) {
    let Ok(file) = fs::File::open(folder.join(DATA_FILE)) else {
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

/// Before every key of ours: they begin with a letter. Its name changes with the layout of the
/// entries: a directory that lacks it is made anew.
const APPLIED: &[u8] = b"\0dense";

/// Larger ones make fewer entries; smaller ones are cheaper to read a row from, and to change.
const BLOCK_OCTETS: usize = 4096;

/// Long enough for a thread to end on a busy machine.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// sled's `N_SHARDS`, and its `MAX_QUEUE_ITEMS` with the one that ends a block.
const SHARDS: usize = 256;
const ACCESSES_COUNTED: usize = 65;

/// A page with more entries is split.
const PAGE_ENTRIES_MAX: usize = 16;

/// sled reads what it has written since it was opened the last time, which is this at most. A larger
/// file would take seconds, and what it holds in memory is a small part of it.
const REOPEN_OCTETS_MAX: u64 = 512 * 1024 * 1024;

/// Where sled keeps everything but its snapshots.
const DATA_FILE: &str = "db";

const CACHE_OCTETS_MIN: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: u64) -> Vec<Row> {
        let row = |number: u64| {
            let key = Bytes::copy_from_slice(format!("k{number:08}").as_bytes());
            (key, Some(Bytes::from(vec![7; 100])))
        };
        (0..count).map(row).collect()
    }

    fn filled(engines: &SledEngines, count: u64) -> SledEngine {
        let engine = engines.try_open("house").unwrap();
        for some in rows(count).chunks(4096) {
            engine.apply(some.to_vec(), Some(1)).unwrap();
        }
        engine
    }

    /// sled writes another one when it is opened and more was written since it last was.
    fn snapshots(engine: &SledEngine) -> Vec<PathBuf> {
        let files = fs::read_dir(&engine.path).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let is_one = |path: &PathBuf| path.to_string_lossy().contains("/snap.");
        files.filter(is_one).collect()
    }

    fn found(engine: &SledEngine) -> u64 {
        let mut found = 0;
        let mut each = |_: &[u8], value: &[u8]| {
            found += u64::from(value == [7; 100]);
            true
        };
        engine.scan(b"k", b"l", &mut each).unwrap();
        found
    }

    #[test]
    fn an_engine_that_was_used_gives_its_memory_back_and_has_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let engines = SledEngines::new(folder.path(), CACHE_OCTETS_MIN);
        let engine = filled(&engines, 10_000);
        let works = (0..2).map(|_| engine.trim(true).unwrap());
        assert_eq!(works.collect::<Vec<_>>(), [false, true], "it counts once");
        let before = snapshots(&engine);
        (0..10).for_each(|_| assert!(!engine.trim(true).unwrap()));
        assert_eq!(snapshots(&engine), before);
        (0..5).for_each(|_| assert!(!engine.trim(true).unwrap()));
        assert_ne!(snapshots(&engine), before, "it was opened anew");
        assert_eq!(found(&engine), 10_000);
        assert_eq!(engine.applied().unwrap(), Some(1));
        engine.apply(rows(1), Some(2)).unwrap();
        drop(engine);
        let engine = engines.try_open("house").unwrap();
        assert_eq!(engine.applied().unwrap(), Some(2));
        assert!(!engines.is_suspect("house"));
    }

    #[test]
    fn whoever_reads_while_an_engine_is_opened_anew_waits_and_finds_all_rows() {
        let folder = tempfile::tempdir().unwrap();
        let engines = SledEngines::new(folder.path(), CACHE_OCTETS_MIN);
        let engine = filled(&engines, 2_000);
        let (row, key) = (Some(Bytes::from(vec![7; 100])), b"k00000999");
        thread::scope(|scope| {
            let opens = scope.spawn(|| {
                (0..20).for_each(|_| engine.open_anew().unwrap());
            });
            while !opens.is_finished() {
                assert_eq!(engine.get(key).unwrap(), row);
                assert_eq!(found(&engine), 2_000);
            }
        });
    }

    #[test]
    fn an_engine_that_cannot_be_opened_anew_is_broken_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let engines = SledEngines::new(folder.path(), CACHE_OCTETS_MIN);
        let engine = filled(&engines, 300);
        fs::write(engine.path.join("conf"), b"not by sled").unwrap();
        assert!(engine.open_anew().is_err());
        assert!(engines.is_suspect("house"));
        assert!(engine.get(b"k00000000").is_err() && engine.applied().is_err());
        drop(engine);
        engines.wipe("house").unwrap();
        assert_eq!(engines.try_open("house").unwrap().applied().unwrap(), None);
    }

    #[test]
    fn a_directory_with_a_row_to_an_entry_has_nothing_and_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let before = sled::open(folder.path().join("queue")).unwrap();
        before.insert(b"\0applied", &7_u64.to_be_bytes()).unwrap();
        before.insert(b"Skey", b"value").unwrap();
        before.flush().unwrap();
        drop(before);
        let engines = SledEngines::new(folder.path(), CACHE_OCTETS_MIN);
        assert_eq!(engines.open("queue").unwrap().applied().unwrap(), None);
        engines.wipe("queue").unwrap();
        let after = engines.open("queue").unwrap();
        assert_eq!(after.get(b"Skey").unwrap(), None);
        after.apply(Vec::new(), Some(9)).unwrap();
        assert_eq!(after.applied().unwrap(), Some(9));
    }
}
