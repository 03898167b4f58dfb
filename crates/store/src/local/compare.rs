//! Making the directory anew while the old one is still there, and comparing the two.

use std::{fs, io};

use bytes::Bytes;

use super::{
    config::Config,
    keeper::Local,
    progress::{Progress, Stage, Teller},
};
use crate::{
    StoreError,
    desk::Store,
    directory::{Engine, Engines, Partitions, SledEngines},
    journal::disk_error,
    keeper::Clock,
};

/// What came of a comparison.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Compared {
    /// Rows that are the same in both.
    pub same: u64,
    /// Rows that are not.
    pub differing: u64,
    /// The first of those, each with its partition and key.
    pub examples: Vec<String>,
    /// Partitions that could not be compared: they had to be made anew before.
    pub lost: Vec<String>,
}

impl Store<Local> {
    /// Makes the directory anew, as [`Store::rebuild`] does, and says in which rows the old one
    /// differed. The old one is first brought up to where the journal ends.
    ///
    /// # Errors
    /// As [`Store::open`]. The old directory is then still there, or is made anew at the next
    /// start.
    pub fn rebuild_and_compare(
        config: Config,
        clock: Clock,
        teller: Teller,
    ) -> Result<(Self, Compared), StoreError> {
        let config = config.bounded();
        let before = Self::open(config.clone(), clock.clone())?;
        let mut compared = Compared {
            lost: before.opened().rebuilt.clone(),
            ..Compared::default()
        };
        before.close()?;
        drop(before);
        let aside = config.folder.join(BEFORE);
        let failed = |error: io::Error| disk_error("put the old directory aside", &error);
        remove(&aside).map_err(failed)?;
        fs::rename(config.folder.join("directory"), &aside).map_err(failed)?;
        let store = Self::rebuild_telling(config.clone(), clock, teller.clone())?;
        let shared = store.keeper.shared()?;
        let names = Partitions::names(config.mail_partitions);
        let engines = SledEngines::new(&aside, config.cache_octets / names.len() as u64);
        for (partition, name) in names.iter().enumerate() {
            if compared.lost.contains(name) {
                continue;
            }
            let old = engines.open(name)?;
            let new = |from: &[u8], until: &[u8], each: &mut Each<'_>| {
                shared.partitions.scan(partition, from, until, each)
            };
            compare(name, &*old, &new, &mut compared)?;
            drop(old);
            engines.wipe(name)?;
            teller(Progress {
                stage: Stage::Compare,
                done: partition as u64 + 1,
                total: names.len() as u64,
            });
        }
        drop(shared);
        remove(&aside).map_err(|error| disk_error("remove the old directory", &error))?;
        Ok((store, compared))
    }
}

type Each<'a> = dyn FnMut(&[u8], &[u8]) -> bool + 'a;
type ScanNew<'a> = dyn Fn(&[u8], &[u8], &mut Each<'_>) -> Result<(), StoreError> + 'a;

/// Compares a partition, some rows at a time.
fn compare(
    name: &str,
    old: &dyn Engine,
    new: &ScanNew<'_>,
    compared: &mut Compared,
) -> Result<(), StoreError> {
    let mut from = b"A".to_vec();
    loop {
        let mut before = Vec::new();
        let mut next = None;
        old.scan(&from, b"~", &mut |key, value| {
            if before.len() == ROWS {
                next = Some(key.to_vec());
                return false;
            }
            before.push((key.to_vec(), Bytes::copy_from_slice(value)));
            true
        })?;
        let until = next.clone().unwrap_or_else(|| b"~".to_vec());
        let mut before = before.into_iter().peekable();
        new(&from, &until, &mut |key, value| {
            while let Some((gone, _)) = before.next_if(|(old, _)| &**old < key) {
                compared.differs(name, &gone, "only the old one has it");
            }
            match before.next_if(|(old, _)| &**old == key) {
                Some((_, old)) if old == value => compared.same += 1,
                Some(_) => compared.differs(name, key, "it has another value"),
                None => compared.differs(name, key, "only the new one has it"),
            }
            true
        })?;
        for (gone, _) in before {
            compared.differs(name, &gone, "only the old one has it");
        }
        match next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

impl Compared {
    fn differs(&mut self, partition: &str, key: &[u8], how: &str) {
        self.differing += 1;
        if self.examples.len() < EXAMPLES_MAX {
            let (table, rest) = key.split_at(key.len().min(1));
            let table = String::from_utf8_lossy(table);
            let rest: String = rest.iter().map(|octet| format!("{octet:02x}")).collect();
            self.examples
                .push(format!("{partition}, row {table} {rest}: {how}"));
        }
    }
}

fn remove(folder: &std::path::Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Where the old directory is meanwhile.
const BEFORE: &str = "directory.before";

/// Rows that are compared at once.
const ROWS: usize = 4096;

/// Differences that are named; all are counted.
const EXAMPLES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    };

    use mail::Time;

    use super::*;
    use crate::{
        keys,
        port::{AccountChange, Accounts, Leases, Shard},
        record,
    };

    fn clock() -> Clock {
        let ticks = AtomicU64::new(1_800_000_000_000);
        Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)))
    }

    async fn some(folder: &std::path::Path) -> Store<Local> {
        let store = Store::open(Config::new(folder), clock()).unwrap();
        let fence = store.fence(Shard::nth(0)).unwrap();
        let domains = (0..5000)
            .map(|number| AccountChange::AddDomain(format!("d{number}.test").parse().unwrap()));
        store.change(fence, domains.collect()).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_directory_that_followed_its_journal_is_the_same_as_one_made_from_it() {
        let folder = tempfile::tempdir().unwrap();
        drop(some(folder.path()).await);
        let told = Arc::new(Mutex::new(Vec::new()));
        let teller = told.clone();
        let (store, compared) = Store::rebuild_and_compare(
            Config::new(folder.path()),
            clock(),
            Arc::new(move |progress| teller.lock().unwrap().push(progress)),
        )
        .unwrap();
        assert_eq!(compared.differing, 0, "{compared:?}");
        assert_eq!(compared.same, 5000);
        assert_eq!(store.opened().rebuilt.len(), 7);
        assert!(!folder.path().join(BEFORE).exists());
        let told = told.lock().unwrap();
        for stage in [Stage::Journal, Stage::Compare] {
            let last = told.iter().rfind(|progress| progress.stage == stage);
            let last = last.unwrap();
            assert_eq!(last.done, last.total);
        }
    }

    #[tokio::test]
    async fn every_row_that_differs_is_counted_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = some(folder.path()).await;
        store.close().unwrap();
        drop(store);
        let house = SledEngines::new(&folder.path().join("directory"), 1 << 20)
            .open("house")
            .unwrap();
        let domain = |name: &str| Bytes::from(keys::domain(&name.parse().unwrap()));
        let count = Bytes::copy_from_slice(&record::write_count(7));
        let rows = vec![
            (domain("d17.test"), None),
            (domain("d18.test"), Some(count.clone())),
            (domain("d180.test.test"), Some(count)),
        ];
        house.apply(rows, None).unwrap();
        house.flush().unwrap();
        drop(house);
        let (store, compared) = Store::rebuild_and_compare(
            Config::new(folder.path()),
            clock(),
            super::super::progress::nobody(),
        )
        .unwrap();
        assert_eq!((compared.same, compared.differing), (4998, 3));
        let ends = ["only the new one", "another value", "only the old one"];
        for (example, end) in compared.examples.iter().zip(ends) {
            assert!(
                example.starts_with("house, row d 64") && example.contains(end),
                "{example}"
            );
        }
        assert!(store.has_domain(&"d17.test".parse().unwrap()).unwrap());
    }
}
