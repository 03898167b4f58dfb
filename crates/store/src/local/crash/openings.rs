//! What opening makes of a data folder in which something is missing or half done.

use bytes::Bytes;

use super::house::{House, Waiting};
use crate::{
    StoreError,
    directory::{EngineFault, checkpoint},
    disk::{Disk, Faults},
    port::{AccountChange, Accounts, MailStore, Spool},
};

fn append(house: &House, octets: usize) {
    let waiting = house.append(house.inbox(), &Bytes::from(vec![b'x'; octets]));
    house.turn();
    waiting.end().unwrap().unwrap();
}

fn messages(house: &House) -> u32 {
    let row = house.store.mailbox(house.ann, house.inbox()).unwrap();
    row.unwrap().messages
}

/// A house whose journal has a hole, because what was there is in the checkpoints.
fn with_a_hole(seed: u64) -> House {
    let house = House::new(seed);
    for _ in 0..12 {
        append(&house, 40_000);
    }
    let middle = (4..11).filter_map(mail::Uid::new).collect();
    let (fence, ann, inbox) = (house.fence(), house.ann, house.inbox());
    let gone = Waiting::on(house.store.expunge(fence, ann, inbox, middle, false));
    house.turn();
    gone.end().unwrap().unwrap();
    let before = house.disk.list("journal").unwrap().len();
    for _ in 0..3 {
        append(&house, 10);
        house.checkpoint().unwrap();
        house.drop_dead().unwrap();
    }
    let after = house.disk.list("journal").unwrap();
    assert!(after.len() < before, "{after:?}");
    assert!(after.contains(&"0000000001.seg".to_owned()), "{after:?}");
    house
}

#[test]
fn a_journal_with_a_hole_does_not_stand_in_for_its_checkpoints() {
    let mut house = with_a_hole(40);
    house.cut_power().unwrap();
    assert_eq!(messages(&house), 8);
    for lsn in checkpoint::list(&house.disk).unwrap() {
        house.disk.rot(&format!("checkpoint/{lsn:020}"), 60);
    }
    let opened = house.cut_power();
    assert!(
        matches!(opened, Err(StoreError::Damage { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_store_that_never_lives_long_comes_to_its_checkpoints_all_the_same() {
    let mut house = House::with(47, |config| config.checkpoint_octets = 16 * 1024);
    for life in 0..200 {
        append(&house, 10);
        house.follow().unwrap();
        if checkpoint::list(&house.disk).unwrap().len() == 2 {
            assert!(life > 4, "they are not written at every start either");
            assert_eq!(messages(&house), life + 1);
            return;
        }
        house.kill().unwrap();
    }
    panic!("no life was long enough for a checkpoint");
}

#[test]
fn a_head_that_was_found_and_not_durable_is_so_before_the_next_one_names_it() {
    for seed in 0..40 {
        let mut house = House::new(seed);
        append(&house, 100);
        house.disk.set_faults(Faults {
            sync: 1000,
            ..Faults::default()
        });
        let refused = house.append(house.inbox(), &Bytes::from_static(b"x"));
        house.turn();
        assert!(refused.end().unwrap().is_err());
        // What was written of the next segment is still in the system's memory.
        house.kill().unwrap();
        append(&house, 100);
        house.cut_power().unwrap();
        house.assert_whole(seed);
        assert!(messages(&house) >= 2);
    }
}

#[test]
fn a_directory_without_its_journal_is_refused() {
    let mut house = House::new(41);
    append(&house, 100);
    house.store.close().unwrap();
    for folder in ["journal", "checkpoint"] {
        for name in house.disk.list(folder).unwrap() {
            house.disk.remove(&format!("{folder}/{name}")).unwrap();
        }
    }
    let opened = house.kill();
    assert!(
        matches!(opened, Err(StoreError::Damage { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_segment_in_which_all_is_damaged_is_not_taken_for_one_that_was_never_begun() {
    let mut house = House::new(42);
    append(&house, 60_000);
    let place = house.store.keeper.shared().unwrap().journal.lock().tail;
    append(&house, 60_000);
    let after = house.store.keeper.shared().unwrap().journal.lock().tail;
    assert_ne!(place.segment, after.segment);
    let name = format!("journal/{:010}.seg", after.segment);
    house.disk.rot(&name, 20);
    house.disk.rot(&name, 4096 + 20);
    house.cut_power().unwrap();
    let opened = house.store.opened();
    assert!(!opened.damage.is_empty(), "{opened:?}");
    assert!(opened.torn_octets > 60_000, "{opened:?}");
    assert_eq!(messages(&house), 1);
}

#[test]
fn a_change_of_partitions_that_was_interrupted_is_begun_anew() {
    for steps in 0..40 {
        let mut house = House::with(43, |config| config.mail_partitions = 1);
        let id = house.accept(&Bytes::from_static(b"text"));
        house.turn();
        let id = id.end().unwrap().unwrap();
        append(&house, 100);
        house.checkpoint().unwrap();
        house.config.mail_partitions = 2;
        house.disk.kill_process();
        house.disk.light_fuse(steps);
        let _ = house.reopen(); // mostly the disk ends first
        house.config.mail_partitions = 1;
        house.kill().unwrap();
        assert_eq!(messages(&house), 1, "after {steps} steps");
        assert!(house.store.get(id).unwrap().is_some());
        house.assert_whole(0);
    }
}

#[test]
fn few_files_are_open_however_many_segments_there_are() {
    let mut house = House::new(44);
    for _ in 0..300 {
        append(&house, 60_000);
    }
    assert!(house.store.stats().unwrap().segments >= 300);
    house.cut_power().unwrap();
    house.disk.most_open();
    house.cut_power().unwrap();
    let most = house.disk.most_open();
    // Those of the house before, which is dropped only then, and those of this one.
    assert!(most < 2 * 256 + 20, "{most} files were open at once");
    assert_eq!(messages(&house), 300);
}

/// A house with a domain whose operation is in the checkpoints and not in the journal any more.
/// What the engines held before the domain came is told to `before`.
fn with_a_domain_gone_from_the_journal(seed: u64, before: impl FnOnce(&House)) -> House {
    let house = House::new(seed);
    append(&house, 60_000);
    house.follow().unwrap();
    before(&house);
    let name = "late.test".parse().unwrap();
    let change = vec![AccountChange::AddDomain(name)];
    let added = Waiting::on(house.store.change(house.fence(), change));
    house.turn();
    added.end().unwrap().unwrap();
    let segment = house
        .store
        .keeper
        .shared()
        .unwrap()
        .journal
        .lock()
        .tail
        .segment;
    for _ in 0..3 {
        append(&house, 60_000);
        house.checkpoint().unwrap();
    }
    let all = (1..4).filter_map(mail::Uid::new).collect();
    let (fence, ann, inbox) = (house.fence(), house.ann, house.inbox());
    let gone = Waiting::on(house.store.expunge(fence, ann, inbox, all, false));
    house.turn();
    gone.end().unwrap().unwrap();
    house.follow().unwrap();
    house.drop_dead().unwrap();
    let name = format!("{segment:010}.seg");
    assert!(!house.disk.list("journal").unwrap().contains(&name));
    house
}

fn assert_domain_is_there(house: &House) {
    let name = "late.test".parse().unwrap();
    assert!(house.store.has_domain(&name).unwrap());
    assert_eq!(messages(house), 1);
    house.assert_whole(0);
}

#[test]
fn what_the_engine_was_slow_to_write_outlives_the_segment_that_had_it() {
    let mut house = with_a_domain_gone_from_the_journal(45, |house| {
        house
            .store
            .keeper
            .shared()
            .unwrap()
            .partitions
            .flush()
            .unwrap();
    });
    house.disk.kill_process();
    house.engines.kill_process(|| false);
    house.reopen().unwrap();
    assert_eq!(house.store.opened().rebuilt, [""; 0]);
    assert_domain_is_there(&house);
}

#[test]
fn a_partition_that_lacks_what_the_journal_has_no_more_is_made_anew() {
    let mut held = None;
    let mut house = with_a_domain_gone_from_the_journal(46, |house| {
        held = Some(house.engines.hold());
    });
    house.disk.kill_process();
    house.engines.put_back(held.unwrap());
    house.reopen().unwrap();
    assert_eq!(house.store.opened().rebuilt.len(), 5);
    assert_domain_is_there(&house);
}

#[test]
fn much_that_the_directory_lacks_is_put_into_all_partitions_at_the_same_time() {
    let mut house = House::with(44, |config| config.checkpoint_octets = u64::MAX);
    // More rows than are put into the partitions without threads.
    let accepted: Vec<_> = (0..3000)
        .map(|number| house.accept(&Bytes::from(format!("number {number}"))))
        .collect();
    house.turn();
    let mut ids: Vec<_> = accepted
        .iter()
        .map(|accepted| accepted.end().unwrap().unwrap())
        .collect();
    ids.sort_unstable();
    // What goes wrong there is said as what it was, and not as the end of a thread.
    house.engines.set_fault(EngineFault::Fails);
    let refused = house.kill();
    assert!(
        matches!(refused, Err(StoreError::Damage { .. })),
        "{refused:?}"
    );
    house.engines.set_fault(EngineFault::None);
    house.kill().unwrap();
    assert!(house.store.opened().replayed_frames >= 3000);
    assert_eq!(house.store.open(None, 9999).unwrap(), ids);
    house.assert_whole(44);
}
