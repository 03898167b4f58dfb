//! A state opened as a store, to be read: nothing of the backup changes by it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use store::DiskStore;
use world::{Clock, Random, SystemClock, SystemRandom};

use super::{BackupError, State, files};

/// A state opened as a store.
pub struct OpenState {
    /// The store. What is written to it is gone when this is dropped.
    pub store: DiskStore,
    _scratch: Scratch,
}

impl OpenState {
    /// Opens a state. The directory that it needs is made in a folder of its own below `scratch`,
    /// or where this system has its temporary files, and removed afterwards.
    ///
    /// # Errors
    /// [`BackupError::Store`], [`BackupError::Disk`].
    pub fn open(state: &State, scratch: Option<&Path>) -> Result<Self, BackupError> {
        let scratch = Scratch::make(scratch)?;
        let clock = SystemClock::new();
        let now = Arc::new(move || clock.now());
        let store = DiskStore::open_copy(&state.data(), &scratch.0, now)?;
        Ok(Self {
            store,
            _scratch: scratch,
        })
    }
}

/// A folder that is removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn make(parent: Option<&Path>) -> Result<Self, BackupError> {
        let parent = parent.map_or_else(env::temp_dir, Path::to_owned);
        let name = format!("heronry-{:016x}", SystemRandom.bits());
        let folder = parent.join(name);
        files::make_folder(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a scratch folder is left");
        }
    }
}
