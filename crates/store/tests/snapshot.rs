//! Snapshots of a store under load: each is a store of its own, whole, with all that was
//! acknowledged before it.
#![allow(clippy::unwrap_used, reason = "a test says by panicking")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "whoever writes meanwhile is no actor"
)]

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use heronry_store::{
    Config, DiskStore, Scrub, Snapshot, StoreError,
    port::{AccountChange, Accounts, Entry, Leases, MailStore, NewAccount, Quota, Shard, UidRange},
};
use mail::{AccountId, Flags, MailboxId, Time, Uid};

fn clock() -> heronry_store::Clock {
    let ticks = AtomicU64::new(1_800_000_000_000);
    Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)))
}

fn config(folder: &Path) -> Config {
    Config {
        segment_octets: 256 * 1024,
        checkpoint_octets: 32 * 1024,
        overlay_octets: 16 * 1024,
        reserve_octets: 0,
        mail_partitions: 2,
        cache_octets: 8 << 20,
        ..Config::new(folder)
    }
}

async fn with_ann(store: &DiskStore) -> (AccountId, MailboxId) {
    let changes = vec![
        AccountChange::AddDomain("example.test".parse().unwrap()),
        AccountChange::AddAccount(NewAccount {
            address: "ann@example.test".parse().unwrap(),
            password: None,
            quota: Quota::default(),
        }),
    ];
    let fence = store.fence(Shard::nth(0)).unwrap();
    store.change(fence, changes).await.unwrap();
    ann(store)
}

fn ann(store: &DiskStore) -> (AccountId, MailboxId) {
    let domain = "example.test".parse().unwrap();
    let Some(Entry::Account(id)) = store.entry("ann", &domain).unwrap() else {
        panic!("no ann");
    };
    let inbox = store.mailbox_named(id, "INBOX").unwrap().unwrap();
    (id, inbox.id)
}

fn uids(store: &DiskStore) -> Vec<u32> {
    let (ann, inbox) = ann(store);
    let mut uids = Vec::new();
    let each = &mut |row: &heronry_store::port::MessageRow| {
        uids.push(row.uid.get());
        true
    };
    store.messages(ann, inbox, UidRange::ALL, each).unwrap();
    uids
}

async fn append(store: &DiskStore, number: u64) -> u32 {
    let (ann, inbox) = ann(store);
    let octets = if number.is_multiple_of(16) {
        600_000
    } else {
        3_000
    };
    let line = format!("message {number}\r\n");
    let text: Bytes = line.bytes().cycle().take(octets).collect();
    let mut writer = MailStore::draft(store);
    if let Some(pending) = writer.write(text) {
        pending.await.unwrap();
    }
    let fence = store.fence(Shard::of_account(ann)).unwrap();
    let messages = vec![(writer.finish(), Flags::NONE, vec![], Time(1))];
    let appended = store.append(fence, ann, inbox, messages).await.unwrap();
    appended[0].uid.get()
}

async fn expunge(store: &DiskStore, uid: u32) {
    let (ann, inbox) = ann(store);
    let fence = store.fence(Shard::of_account(ann)).unwrap();
    let uids = vec![Uid::new(uid).unwrap()];
    let gone = store.expunge(fence, ann, inbox, uids, false).await;
    gone.unwrap();
}

/// What somebody who copies a snapshot has afterwards.
fn copy(data: &Path, snapshot: &Snapshot, to: &Path) {
    for file in &snapshot.files {
        let from = data.join(format!("{}{}", snapshot.prefix(), file.name));
        let to = to.join(&file.name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let octets = fs::read(from).unwrap();
        let wanted = usize::try_from(file.octets).unwrap();
        assert!(octets.len() >= wanted, "{}", file.name);
        fs::write(to, &octets[..wanted]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_under_load_has_all_that_was_acknowledged_and_nothing_is_missing_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(config(folder.path()), clock()).unwrap();
    with_ann(&store).await;
    let (stop, held) = (AtomicBool::new(false), Mutex::new((0_u32, 0_u32)));
    let (stop, held) = (Arc::new(stop), Arc::new(held));
    let writer = {
        let (store, stop, held) = (store.clone(), stop.clone(), held.clone());
        tokio::spawn(async move {
            // A window of messages that moves on: segments die and are given back all the time.
            for number in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let newest = append(&store, number).await;
                held.lock().unwrap().1 = newest;
                if newest > WINDOW {
                    held.lock().unwrap().0 = newest - WINDOW;
                    expunge(&store, newest - WINDOW).await;
                }
            }
        })
    };
    let mut lowest = 0;
    for round in 0..ROUNDS {
        while held.lock().unwrap().1 < lowest + WINDOW / 2 {
            tokio::task::yield_now().await;
        }
        // Acknowledged before; whatever is expunged meanwhile may be there or not.
        let newest = held.lock().unwrap().1;
        let taken = {
            let store = store.clone();
            tokio::task::spawn_blocking(move || store.snapshot().unwrap())
        };
        let taken = taken.await.unwrap();
        let begun = held.lock().unwrap().0;
        // Time goes by before anybody copies anything.
        while held.lock().unwrap().1 < newest + 40 {
            tokio::task::yield_now().await;
        }
        let state = tempfile::tempdir().unwrap();
        copy(folder.path(), &taken, state.path());
        drop(taken);
        let scratch = tempfile::tempdir().unwrap();
        let opened = DiskStore::open_copy(state.path(), scratch.path(), clock()).unwrap();
        assert_eq!(opened.opened().damage, [""; 0], "round {round}");
        let there = uids(&opened);
        for uid in begun + 1..=newest {
            assert!(there.contains(&uid), "round {round}: {uid} is missing");
        }
        let found = opened.check().unwrap();
        assert_eq!(found.damage, [""; 0], "round {round}");
        lowest = newest;
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let left = fs::read_dir(folder.path().join("snapshot")).unwrap();
    assert_eq!(left.count(), 0, "second names are left");
    assert_eq!(store.check().unwrap().damage, [""; 0]);
}

#[tokio::test]
async fn reading_a_copy_changes_nothing_in_it_and_a_closed_store_can_be_copied_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(config(folder.path()), clock()).unwrap();
    with_ann(&store).await;
    for number in 0..40 {
        append(&store, number).await;
    }
    let in_use = Snapshot::of_closed(&config(folder.path()));
    assert!(matches!(in_use, Err(StoreError::InUse { .. })));
    let before = uids(&store);
    drop(store); // as after a crash: the last segment has an open end
    let snapshot = Snapshot::of_closed(&config(folder.path())).unwrap();
    let state = tempfile::tempdir().unwrap();
    copy(folder.path(), &snapshot, state.path());
    drop(snapshot);
    let digests = || -> Vec<_> {
        let mut files: Vec<_> = ["journal", "checkpoint"]
            .iter()
            .filter_map(|inner| fs::read_dir(state.path().join(inner)).ok())
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let digest = |path: &std::path::PathBuf| blake3::hash(&fs::read(path).unwrap());
        files.iter().map(digest).collect()
    };
    let as_copied = digests();
    for _ in 0..2 {
        let scratch = tempfile::tempdir().unwrap();
        let copy = DiskStore::open_copy(state.path(), scratch.path(), clock()).unwrap();
        assert_eq!(uids(&copy), before);
        append(&copy, 41).await;
        assert_eq!(copy.check().unwrap().damage, [""; 0]);
        drop(copy);
        assert_eq!(digests(), as_copied);
    }
}

#[tokio::test]
async fn a_scrub_finds_what_has_rotted_in_a_store_that_is_in_use_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(config(folder.path()), clock()).unwrap();
    with_ann(&store).await;
    for number in 1..200 {
        append(&store, number).await;
    }
    let round = || {
        let (mut scrub, mut octets, mut damage) = (Scrub::default(), 0, Vec::new());
        for _ in 0..10_000 {
            let step = store.scrub(&mut scrub, 64 * 1024).unwrap();
            octets += step.octets;
            damage.extend(step.damage);
            if step.ended {
                return (octets, damage);
            }
        }
        panic!("a round never ends");
    };
    let (octets, damage) = round();
    assert_eq!(damage, [""; 0]);
    assert!(
        octets > 2 * 199 * 3_000,
        "frames and bodies are read: {octets}"
    );
    let segment = folder.path().join("journal/0000000002.seg");
    let mut rotten = fs::read(&segment).unwrap();
    rotten[100_000] ^= 1;
    fs::write(&segment, rotten).unwrap();
    let (_, damage) = round();
    assert_eq!(damage.len(), 2, "the frame, and the body in it: {damage:?}");
    assert!(damage[0].contains("of journal segment 2: "), "{damage:?}");
    let (_, copy) = damage[0].split_once("a copy is ").unwrap();
    let copy = fs::read(folder.path().join(copy)).unwrap();
    let rotten = fs::read(&segment).unwrap();
    assert!(
        rotten.windows(copy.len()).any(|octets| octets == copy),
        "it is copied as it is"
    );
    assert_eq!(round().1, damage, "and once");
    let kept = fs::read_dir(folder.path().join("damaged")).unwrap();
    assert_eq!(kept.count(), 2, "a copy, and what is said of it");
    assert!(damage[1].starts_with("body "), "{damage:?}");
    let (ann, inbox) = ann(&store);
    let mut unreadable = 0;
    let mut rows = Vec::new();
    let each = &mut |row: &heronry_store::port::MessageRow| {
        rows.push(*row);
        true
    };
    store.messages(ann, inbox, UidRange::ALL, each).unwrap();
    for row in rows {
        let read = MailStore::read(&store, &row.body).and_then(|body| body.bytes());
        unreadable += u32::from(read.is_err());
    }
    assert_eq!(unreadable, 1, "everything else is served");
}

#[tokio::test]
async fn a_checkpoint_that_has_rotted_is_found_before_somebody_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(config(folder.path()), clock()).unwrap();
    with_ann(&store).await;
    let kept = || {
        let names = fs::read_dir(folder.path().join("checkpoint")).unwrap();
        let mut names: Vec<_> = names.map(|name| name.unwrap().path()).collect();
        names.retain(|name| !name.ends_with("new"));
        names.sort();
        names
    };
    for number in 1..20_000 {
        append(&store, number).await;
        if kept().len() >= 2 {
            break;
        }
    }
    store.close().unwrap();
    drop(store);
    let older = kept().remove(0);
    let mut rotten = fs::read(&older).unwrap();
    let middle = rotten.len() / 2;
    rotten[middle] ^= 1;
    fs::write(&older, rotten).unwrap();
    let config = Config {
        checkpoint_octets: u64::MAX,
        ..config(folder.path())
    };
    let store = DiskStore::open(config, clock()).unwrap();
    let name = older.file_name().unwrap().to_str().unwrap();
    let expected = format!("the checkpoint {}", name.trim_start_matches('0'));
    let checked = store.check().unwrap();
    assert_eq!(
        (checked.checkpoints, checked.damage),
        (1, vec![expected.clone()])
    );
    let (mut scrub, mut damage) = (Scrub::default(), Vec::new());
    for _ in 0..10_000 {
        let step = store.scrub(&mut scrub, 1000).unwrap();
        damage.extend(step.damage);
        if step.ended {
            break;
        }
    }
    assert_eq!(damage, [format!("{expected} is damaged")]);
    // Another one takes its place.
    for _ in 0..1000 {
        store.reclaim().await.unwrap();
        if store.check().unwrap().damage.is_empty() {
            return;
        }
    }
    panic!("it is still there");
}

#[test]
fn a_folder_that_a_restore_has_not_filled_yet_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(heronry_store::RESTORING), "").unwrap();
    let opened = DiskStore::open(config(folder.path()), clock());
    assert!(matches!(opened, Err(StoreError::Unfinished { .. })));
}

/// Messages that are there at a time.
const WINDOW: u32 = 60;
const ROUNDS: u32 = 6;
