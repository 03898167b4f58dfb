//! A simulated disk with a volatile cache: what was not synced survives a power cut by chance,
//! block by block.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IoSlice},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Disk, File, Lock};

/// A disk whose faults come from a seed.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

/// What goes wrong, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// A sync fails, and what it should have made durable may be lost.
    pub(crate) sync: u32,
    /// A write fails half-way.
    pub(crate) write: u32,
    /// A file cannot be created.
    pub(crate) create: u32,
    /// Whoever writes panics half-way.
    pub(crate) panic: u32,
}

#[derive(Debug)]
struct State {
    files: BTreeMap<String, Arc<Mutex<Content>>>,
    /// Names as they are on stable storage; the others are gone after a cut.
    durable: BTreeMap<String, Arc<Mutex<Content>>>,
    folders: BTreeSet<String>,
    random: u64,
    faults: Faults,
    /// For names that begin so there is no room.
    refused: Option<&'static str>,
    free: u64,
    boots: u32,
    locked: bool,
    syncs: u64,
    /// One for each open file, and one more.
    open: Arc<()>,
    most_open: usize,
    /// After so many more operations the power is cut: everything fails until then.
    fuse: Option<u32>,
    dead: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    octets: Vec<u8>,
    /// As on stable storage.
    durable: Vec<u8>,
    /// Blocks that differ from it.
    dirty: BTreeSet<usize>,
    /// How many syncs have failed, through whichever handle.
    failures: u64,
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            durable: BTreeMap::new(),
            folders: BTreeSet::new(),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            faults: Faults::default(),
            refused: None,
            free: 1 << 40,
            boots: 0,
            locked: false,
            syncs: 0,
            open: Arc::new(()),
            most_open: 0,
            fuse: None,
            dead: false,
        })))
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.lock_state().faults = faults;
    }

    pub(crate) fn set_free(&self, octets: u64) {
        self.lock_state().free = octets;
    }

    /// From now on there is no room for files whose names begin so.
    pub(crate) fn refuse(&self, begin: &'static str) {
        self.lock_state().refused = Some(begin);
    }

    /// Cuts the power after so many more operations that change something.
    pub(crate) fn light_fuse(&self, operations: u32) {
        self.lock_state().fuse = Some(operations);
    }

    /// How many syncs of files there were.
    pub(crate) fn syncs(&self) -> u64 {
        self.lock_state().syncs
    }

    /// How many files were open at once, at most, since this was asked the last time.
    pub(crate) fn most_open(&self) -> usize {
        std::mem::take(&mut self.lock_state().most_open)
    }

    /// A number below `limit`, from the seed.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.lock_state().random() % limit
    }

    /// The power fails and comes back: of what was not synced, each block is there or not.
    pub(crate) fn cut_power(&self) {
        let mut state = self.lock_state();
        let state = &mut *state;
        state.boots += 1;
        state.fuse = None;
        state.dead = false;
        state.locked = false;
        // A name that was not synced is there or not, too.
        let names: Vec<String> = state.files.keys().cloned().collect();
        for name in names {
            if !state.durable.contains_key(&name) && state.random().is_multiple_of(2) {
                state.files.remove(&name);
            }
        }
        for (name, content) in &state.durable.clone() {
            state
                .files
                .entry(name.clone())
                .or_insert_with(|| content.clone());
        }
        for content in state.files.clone().values() {
            let mut content = lock(content);
            let dirty = std::mem::take(&mut content.dirty);
            let mut after = content.durable.clone();
            for block in dirty {
                if state.random().is_multiple_of(2) {
                    continue;
                }
                // Now and then half a block: a torn sector.
                let whole = if state.random().is_multiple_of(8) {
                    BLOCK / 2
                } else {
                    BLOCK
                };
                let from = block * BLOCK;
                let until = (from + whole).min(content.octets.len());
                if until > from {
                    after.resize(after.len().max(until), 0);
                    after[from..until].copy_from_slice(&content.octets[from..until]);
                }
            }
            content.octets.clone_from(&after);
            content.durable = after;
        }
        state.durable = state.files.clone();
    }

    /// The process dies and the machine lives on: nothing is lost.
    pub(crate) fn kill_process(&self) {
        self.end_trouble();
        self.lock_state().locked = false;
    }

    /// Whatever was in the way is gone.
    pub(crate) fn end_trouble(&self) {
        let mut state = self.lock_state();
        state.dead = false;
        state.fuse = None;
        state.faults = Faults::default();
    }

    /// Turns over a bit at rest.
    pub(crate) fn rot(&self, name: &str, at: usize) {
        let state = self.lock_state();
        let mut content = lock(&state.files[name]);
        content.octets[at] ^= 0x10;
        if let Some(octet) = content.durable.get_mut(at) {
            *octet ^= 0x10;
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    fn count_open(&mut self) -> Arc<()> {
        let open = self.open.clone();
        self.most_open = self.most_open.max(Arc::strong_count(&open) - 1);
        open
    }

    /// xorshift64*: the same seed gives the same faults.
    fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn chance(&mut self, thousandths: u32) -> bool {
        self.random() % 1000 < u64::from(thousandths)
    }

    /// Burns the fuse down by one operation.
    fn step(&mut self) -> io::Result<()> {
        if let Some(fuse) = &mut self.fuse {
            if *fuse == 0 {
                self.dead = true;
            } else {
                *fuse -= 1;
            }
        }
        if self.dead {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock_state();
        let content = state.files.get(name).cloned();
        let content = content.ok_or(io::ErrorKind::NotFound)?;
        let told = AtomicU64::new(lock(&content).failures);
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            content,
            told,
            _open: state.count_open(),
        }))
    }

    fn create(&self, name: &str, octets: u64) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock_state();
        state.step()?;
        let faults = state.faults;
        let refused = state.refused.is_some_and(|begin| name.starts_with(begin));
        if refused || octets > state.free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if state.chance(faults.create) {
            return Err(io::Error::other("a simulated fault of create"));
        }
        let content = Arc::new(Mutex::new(Content {
            octets: vec![0; usize::try_from(octets).map_err(io::Error::other)?],
            durable: vec![0; usize::try_from(octets).map_err(io::Error::other)?],
            ..Content::default()
        }));
        state.files.insert(name.to_owned(), content.clone());
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            content,
            told: AtomicU64::new(0),
            _open: state.count_open(),
        }))
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.lock_state().folders.insert(name.to_owned());
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let prefix = format!("{folder}/");
        let state = self.lock_state();
        let names = state.files.keys().filter_map(|name| {
            let rest = name.strip_prefix(&prefix)?;
            (!rest.contains('/')).then(|| rest.to_owned())
        });
        Ok(names.collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        state.step()?;
        let content = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        state.step()?;
        let content = state.files.get(from).cloned();
        let content = content.ok_or(io::ErrorKind::NotFound)?;
        if state.files.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.lock_state().folders.remove(name);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        state.step()?;
        state.files.remove(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        state.step()?;
        let within = |name: &str| name.rsplit_once('/').map_or("", |(f, _)| f) == folder;
        state.durable.retain(|name, _| !within(name));
        let now: Vec<_> = state
            .files
            .iter()
            .filter(|(name, _)| within(name))
            .map(|(name, content)| (name.clone(), content.clone()))
            .collect();
        state.durable.extend(now);
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(self.lock_state().free)
    }

    fn boot(&self) -> String {
        self.lock_state().boots.to_string()
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        let mut state = self.lock_state();
        if state.locked {
            return Ok(None);
        }
        state.locked = true;
        Ok(Some(Box::new(Unlock(self.clone(), state.boots))))
    }
}

struct Unlock(SimulatedDisk, u32);

impl Drop for Unlock {
    fn drop(&mut self) {
        let mut state = self.0.lock_state();
        if state.boots == self.1 {
            state.locked = false;
        }
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    content: Arc<Mutex<Content>>,
    /// Of how many failures of its syncs this handle was told.
    told: AtomicU64,
    _open: Arc<()>,
}

impl File for SimulatedFile {
    fn write_at(&self, pieces: &mut [IoSlice<'_>], at: u64) -> io::Result<()> {
        let mut state = self.disk.lock_state();
        state.step()?;
        let faults = state.faults;
        let octets: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        let panics = state.chance(faults.panic);
        let failed = state.chance(faults.write);
        let written = if failed || panics {
            usize::try_from(state.random()).unwrap_or(0) % (octets.len() + 1)
        } else {
            octets.len()
        };
        let mut content = lock(&self.content);
        let from = usize::try_from(at).map_err(io::Error::other)?;
        let until = from + written;
        let grown = content.octets.len().max(until);
        content.octets.resize(grown, 0);
        content.octets[from..until].copy_from_slice(&octets[..written]);
        content.dirty.extend(from / BLOCK..until.div_ceil(BLOCK));
        strike(panics);
        if failed {
            return Err(io::Error::other("a simulated fault of write"));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock_state();
        state.step()?;
        let faults = state.faults;
        let failed = state.chance(faults.sync);
        state.syncs += 1;
        let mut content = lock(&self.content);
        let content = &mut *content;
        for block in std::mem::take(&mut content.dirty) {
            // As Linux does after a failure: the pages count as clean, and are lost.
            if failed && state.random().is_multiple_of(2) {
                continue;
            }
            let from = block * BLOCK;
            let until = (from + BLOCK).min(content.octets.len());
            if content.durable.len() < until {
                content.durable.resize(until, 0);
            }
            content.durable[from..until].copy_from_slice(&content.octets[from..until]);
        }
        content.failures += u64::from(failed);
        // Linux tells every handle, and each of them once.
        if self.told.swap(content.failures, Ordering::Relaxed) != content.failures {
            return Err(io::Error::other("a simulated fault of sync"));
        }
        Ok(())
    }

    fn gains_by_zeros(&self) -> bool {
        true
    }

    fn read_at(&self, octets: &mut [u8], at: u64) -> io::Result<usize> {
        let content = lock(&self.content);
        let from = usize::try_from(at).map_err(io::Error::other)?;
        let from = from.min(content.octets.len());
        let until = (from + octets.len()).min(content.octets.len());
        octets[..until - from].copy_from_slice(&content.octets[from..until]);
        Ok(until - from)
    }

    fn modified(&self) -> io::Result<u64> {
        Ok(0) // before anything that a simulated clock tells
    }

    fn length(&self) -> io::Result<u64> {
        Ok(lock(&self.content).octets.len() as u64)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock_state();
        state.step()?;
        let mut content = lock(&self.content);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        content.octets.truncate(length);
        content.dirty.retain(|block| block * BLOCK < length);
        content.durable.truncate(length);
        Ok(())
    }
}

fn strike(panics: bool) {
    assert!(!panics, "this panic is expected");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const BLOCK: usize = 4096;
