//! A folder that is only read, under one that takes all changes: a backup is opened as a store,
//! and stays what it is.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Disk, File, Lock, RealDisk, real::RealFile};

/// What is written goes above; what is not there is read from below.
#[derive(Debug)]
pub(crate) struct LayeredDisk {
    below: PathBuf,
    above: RealDisk,
    above_folder: PathBuf,
    /// Names of below that count as removed.
    gone: Mutex<BTreeSet<String>>,
}

impl LayeredDisk {
    /// `above` is created if it is not there.
    pub(crate) fn new(below: &Path, above: &Path) -> io::Result<Self> {
        Ok(Self {
            below: below.to_owned(),
            above: RealDisk::new(above)?,
            above_folder: above.to_owned(),
            gone: Mutex::default(),
        })
    }

    /// Copies a file of below, so that it can be written.
    pub(crate) fn bring_up(&self, name: &str) -> io::Result<()> {
        let to = self.above_folder.join(name);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        // Not with its mode: a backup may have taken away the right to write.
        let (mut from, mut to) = (
            fs::File::open(self.below.join(name))?,
            fs::File::create(to)?,
        );
        io::copy(&mut from, &mut to).map(drop)
    }

    fn has_above(&self, name: &str) -> bool {
        self.above_folder.join(name).exists()
    }

    fn gone(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for LayeredDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        if self.has_above(name) {
            return self.above.open(name);
        }
        if self.gone().contains(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(RealFile::new(fs::File::open(
            self.below.join(name),
        )?)))
    }

    fn create(&self, name: &str, octets: u64) -> io::Result<Arc<dyn File>> {
        self.above.create(name, octets)
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.above.create_folder(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let (above, below) = (self.above.list(folder), self.below.join(folder));
        let mut names: BTreeSet<String> = match above {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            listed => listed?.into_iter().collect(),
        };
        match fs::read_dir(below) {
            Ok(entries) => {
                let gone = self.gone();
                for entry in entries {
                    let Ok(name) = entry?.file_name().into_string() else {
                        continue; // a name that is not UTF-8 is none of ours
                    };
                    if !gone.contains(&format!("{folder}/{name}")) {
                        names.insert(name);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(names.into_iter().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.above.rename(from, to)
    }

    fn link(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.above.remove_folder(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let is_below = self.below.join(name).exists() && self.gone().insert(name.to_owned());
        match self.above.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_below => Ok(()),
            removed => removed,
        }
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.above.sync_folder(folder)
    }

    fn free(&self) -> io::Result<u64> {
        self.above.free()
    }

    fn boot(&self) -> String {
        // Nothing of a directory is ever trusted here: there was none.
        String::new()
    }

    fn lasts(&self) -> bool {
        false
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        self.above.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;

    #[test]
    fn what_is_below_is_read_and_never_changed() {
        let (below, above) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(below.path().join("a")).unwrap();
        for name in ["a/1", "a/2", "a/3"] {
            fs::write(below.path().join(name), name).unwrap();
        }
        let disk = LayeredDisk::new(below.path(), above.path()).unwrap();
        disk.create_folder("a").unwrap();
        disk.remove("a/1").unwrap();
        assert_eq!(
            disk.open("a/1").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(disk.remove("a/1").is_err());
        let read_only = disk.open("a/2").unwrap();
        assert!(read_only.write_at(&mut [IoSlice::new(b"x")], 0).is_err());
        disk.bring_up("a/2").unwrap();
        let file = disk.open("a/2").unwrap();
        file.write_at(&mut [IoSlice::new(b"changed")], 0).unwrap();
        disk.create("a/4", 0).unwrap();
        let mut names = disk.list("a").unwrap();
        names.sort();
        assert_eq!(names, ["2", "3", "4"]);
        assert_eq!(fs::read(below.path().join("a/2")).unwrap(), b"a/2");
        assert_eq!(fs::read(below.path().join("a/1")).unwrap(), b"a/1");
    }
}
