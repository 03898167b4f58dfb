//! Starting and rebuilding with a large queue.

use std::{path::Path, time::Instant};

use heronry_store::{Config, DiskStore, port::Spool};

use crate::{
    files::{forget_all, read_all, size},
    house::{House, clock},
    process::{again, cpu, resident, written_octets},
};

/// A queue of so many messages of 4 KiB, left by a process that was killed.
pub(crate) fn queue(folder: &Path, number: usize) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    again("queue-fill", folder.path(), number);
    println!(
        "journal: {} MiB",
        size(&folder.path().join("journal")) >> 20
    );
    again("queue-open", folder.path(), number);
    again("queue-rebuild", folder.path(), number);
}

/// Makes the directory anew, beside reading the journal once: from the disk, and from memory.
pub(crate) fn rebuild(folder: &Path) {
    for from in ["disk", "memory", "disk", "memory"] {
        let prepare = || {
            if from == "disk" {
                forget_all(&folder.join("journal"));
                forget_all(&folder.join("checkpoint"));
            } else {
                read_all(&folder.join("journal"));
            }
        };
        prepare();
        let read = Instant::now();
        let octets = read_all(&folder.join("journal"));
        let read = read.elapsed().as_secs_f64();
        prepare();
        let (rebuild, cpu) = (Instant::now(), cpu());
        let wrote = written_octets();
        let store = DiskStore::rebuild(Config::new(folder), clock()).unwrap();
        let rebuild = rebuild.elapsed().as_secs_f64();
        println!(
            "from {from}: the journal read in {read:.1} s ({:.0} MiB/s), the directory made anew in \
             {rebuild:.1} s ({:.2}), {:.1} CPU s, {} frames replayed, {} MiB written, {} MiB resident",
            (octets >> 20) as f64 / read,
            rebuild / read,
            self::cpu() - cpu,
            store.opened().replayed_frames,
            (written_octets() - wrote) >> 20,
            resident() >> 20
        );
        assert_eq!(store.opened().damage, [""; 0]);
        store.close().unwrap();
    }
}

pub(crate) fn fill(folder: &Path, number: usize) {
    let house = House::open(Config::new(folder));
    let begun = Instant::now();
    house.accept_for_elsewhere(4096, number);
    println!(
        "{number} accepted in {:.0} s, {} MiB resident",
        begun.elapsed().as_secs_f64(),
        resident() >> 20
    );
    std::process::abort(); // as kill -9
}

pub(crate) fn open(folder: &Path) {
    let begun = Instant::now();
    let store = DiskStore::open(Config::new(folder), clock()).unwrap();
    let opened = begun.elapsed();
    let first = store.open(None, 1000).unwrap();
    println!(
        "opened after the kill: {:.2} s, {} frames replayed; the first {} named after {:.2} s; {} MiB \
         resident",
        opened.as_secs_f64(),
        store.opened().replayed_frames,
        first.len(),
        begun.elapsed().as_secs_f64(),
        resident() >> 20
    );
    let mut count = first.len();
    let mut last = first.last().copied();
    while let Some(after) = last {
        let some = store.open(Some(after), 10_000).unwrap();
        count += some.len();
        last = some.last().copied();
    }
    println!(
        "all {count} named after {:.2} s; {} MiB resident",
        begun.elapsed().as_secs_f64(),
        resident() >> 20
    );
    store.close().unwrap();
}
