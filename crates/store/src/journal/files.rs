//! The open files of the segments.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::segment;
use crate::{
    StoreError,
    disk::{Disk, File},
};

/// Opens segments for reading, and keeps some of them open.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    /// The format in which segments are begun.
    format: u8,
    open: Mutex<BTreeMap<u32, Arc<dyn File>>>,
    /// How many want every segment to stay for a moment.
    holds: AtomicUsize,
}

/// While it lives, no segment is removed.
#[derive(Debug)]
pub(crate) struct Hold<'a>(&'a Files);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Files {
    /// `format`: the newest in which anything may be written.
    pub(crate) fn new(disk: Arc<dyn Disk>, format: u8) -> Self {
        Self {
            disk,
            format,
            open: Mutex::default(),
            holds: AtomicUsize::new(0),
        }
    }

    pub(crate) const fn format(&self) -> u8 {
        self.format
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// A segment; `None` when it is not there (any more).
    pub(crate) fn segment(&self, number: u32) -> Result<Option<Arc<dyn File>>, StoreError> {
        if let Some(file) = self.lock().get(&number) {
            return Ok(Some(file.clone()));
        }
        let name = segment::name(number);
        match self.disk.open(&name) {
            Ok(file) => {
                self.keep(number, file.clone());
                Ok(Some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk_error(&format!("open {name}"), &error)),
        }
    }

    /// Keeps a file that was just made.
    pub(crate) fn keep(&self, number: u32, file: Arc<dyn File>) {
        let mut open = self.lock();
        if open.len() >= OPEN_MAX {
            // The oldest: what is read is mostly young.
            open.pop_first();
        }
        open.insert(number, file);
    }

    /// Lets no segment be removed until the hold is dropped: for moments, not for minutes.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.holds.fetch_add(1, Ordering::AcqRel);
        Hold(self)
    }

    /// Removes a segment for good; whether it did: while somebody holds the segments, it stays,
    /// and whoever wants it gone finds it again the next time. Whoever has it open may go on
    /// reading.
    pub(crate) fn remove(&self, number: u32) -> Result<bool, StoreError> {
        if self.holds.load(Ordering::Acquire) > 0 {
            return Ok(false);
        }
        let name = segment::name(number);
        let removed = self.disk.remove(&name);
        // After that: a reader may have opened it just before, and would keep its room.
        self.lock().remove(&number);
        removed
            .and_then(|()| self.disk.sync_folder(segment::FOLDER))
            .map(|()| true)
            .map_err(|error| disk_error(&format!("remove {name}"), &error))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<dyn File>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the system said about something that was tried.
pub(crate) fn disk_error(action: &str, error: &io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::StorageFull {
        // Somebody else has taken what was free since the last look.
        return StoreError::Full { reserve_octets: 1 };
    }
    StoreError::Disk {
        action: action.to_owned(),
        cause: error.to_string(),
    }
}

/// 16 GiB of mail in segments of 64 MiB, without an `open` per read.
const OPEN_MAX: usize = 256;
