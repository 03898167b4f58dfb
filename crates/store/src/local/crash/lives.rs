//! The store fails under everybody's hands, and is opened anew by whoever waits for that.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;
use mail::{MessageId, Reply, Time};

use super::house::{House, Waiting};
use crate::{
    StoreError,
    desk::Store,
    directory::{EngineFault, checkpoint},
    disk::Faults,
    local::Local,
    port::{AccountChange, Accounts, Draft, Leases, MailStore, Settle, Shard, Spool},
};

fn text(number: usize) -> Bytes {
    Bytes::from(format!("message {number}\r\n").repeat(100))
}

/// Takes what the store takes, and knows it.
fn accept(house: &House, numbers: std::ops::Range<usize>) -> Vec<(MessageId, Bytes)> {
    let some = numbers.map(|number| (house.accept(&text(number)), text(number)));
    let some: Vec<_> = some.collect();
    let ended = some.into_iter().map(|(end, text)| (end.wait(), text));
    ended
        .filter_map(|(end, text)| Some((end.ok()?, text)))
        .collect()
}

#[track_caller]
fn assert_there(house: &House, accepted: &[(MessageId, Bytes)]) {
    for (id, text) in accepted {
        let spooled = house.store.get(*id).unwrap().expect("it was accepted");
        let body = Spool::read(&house.store, &spooled.body).unwrap();
        assert!(body.bytes().unwrap() == *text, "message {id}");
    }
}

fn append(house: &House, draft: Draft) -> Waiting<Vec<crate::port::Appended>> {
    let message = (draft, mail::Flags::NONE, vec![], Time(1));
    let (fence, ann) = (house.fence(), house.ann);
    Waiting::on(house.store.append(fence, ann, house.inbox(), vec![message]))
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..30_000 {
        if is_so() {
            return;
        }
        thread::park_timeout(Duration::from_millis(2));
    }
    panic!("it never came so far: {what}");
}

/// As the house does: waits for the end and opens the store anew, until that is done.
fn keep(store: &Store<Local>) -> JoinHandle<()> {
    let (told, heard) = mpsc::channel();
    store.ended().then(move |end| told.send(end).unwrap());
    let store = store.clone();
    thread::spawn(move || {
        heard.recv().unwrap().unwrap();
        until("it is open again", || {
            catch_unwind(AssertUnwindSafe(|| store.reopen())).is_ok_and(|opened| opened.is_ok())
        });
    })
}

#[test]
fn a_panic_of_the_writer_costs_its_group_and_nothing_else() {
    let mut house = House::new(60);
    let before = house.accept(&text(0));
    house.turn();
    let before = before.wait().unwrap();
    house.disk.set_faults(Faults {
        panic: 1000,
        ..Faults::default()
    });
    let lost = [house.accept(&text(1)), house.accept(&text(2))];
    house.turn();
    for lost in lost {
        assert!(matches!(lost.wait(), Err(StoreError::Lost)));
    }
    assert!(house.store.is_running());
    house.disk.set_faults(Faults::default());
    let after = house.accept(&text(3));
    house.turn();
    let after = after.wait().unwrap();
    for _ in 0..2 {
        assert_there(&house, &[(before, text(0)), (after, text(3))]);
        assert_eq!(house.store.open(None, 9).unwrap(), [before, after]);
        house.assert_whole(0);
        house.cut_power().unwrap();
    }
}

#[test]
fn a_writer_that_only_panics_ends_and_the_next_one_goes_on() {
    let house = House::new(61);
    house.store.start().unwrap();
    let kept = accept(&house, 0..20);
    assert_eq!(kept.len(), 20);
    let fence = house.fence();
    let large: Bytes = (0..700_000_u32).map(|n| (n / 7) as u8).collect();
    let (large, small) = (house.draft(&large), house.draft(&text(50)));
    let keeper = keep(&house.store);
    house.disk.set_faults(Faults {
        panic: 1000,
        ..Faults::default()
    });
    until("it has ended", || {
        accept(&house, 20..21).is_empty() && !house.store.is_running()
    });
    assert!(matches!(
        house.accept(&text(21)).wait(),
        Err(StoreError::Lost)
    ));
    let running = Waiting::on(house.store.running());
    house.disk.set_faults(Faults::default());
    keeper.join().unwrap();
    running.wait().expect("whoever waited for it is told");
    assert!(house.store.is_running());
    Waiting::on(house.store.running()).wait().unwrap();
    assert_there(&house, &kept);
    // Whoever held something of the old life learns that it is gone.
    assert!(house.fence().epoch > fence.epoch);
    let settled = house.store.settle(fence, kept[0].0, vec![]);
    assert!(matches!(
        Waiting::on(settled).wait(),
        Err(StoreError::Fenced)
    ));
    assert!(matches!(
        append(&house, large).wait(),
        Err(StoreError::Lost)
    ));
    append(&house, small).wait().unwrap();
    assert_eq!(accept(&house, 22..32).len(), 10);
    house.assert_whole(0);
}

#[test]
fn whoever_waits_until_what_was_written_is_settled_sees_all_of_it_or_none() {
    let house = House::new(67);
    let accepted = house.accept(&text(0));
    house.turn();
    let id = accepted.wait().unwrap();
    let close = || {
        let what = vec![(0, Settle::Close(Reply::new(250, None, "taken")))];
        Waiting::on(house.store.settle(house.fence(), id, what))
    };
    let open = || house.store.open(None, 9).unwrap();
    let settled = || Waiting::on(house.store.settled());
    let sick = |sync| Faults {
        sync,
        ..Faults::default()
    };
    house.disk.set_faults(sick(1000));
    let (lost, waits) = (close(), settled());
    assert!(waits.end().is_none(), "it is on its way to the disk");
    house.turn();
    assert!(matches!(waits.end(), Some(Err(_))));
    assert!(lost.wait().is_err());
    assert_eq!(open(), [id], "and never will be seen");
    house.disk.set_faults(sick(0));
    let (closed, waits) = (close(), settled());
    assert_eq!(open(), [id], "who does not wait takes it for open");
    assert!(waits.end().is_none());
    house.turn();
    assert!(matches!(waits.end(), Some(Ok(()))));
    assert!(open().is_empty());
    closed.wait().unwrap();
    assert!(matches!(settled().end(), Some(Ok(()))), "nothing waits");
}

#[test]
fn a_panic_of_the_follower_is_survived() {
    let house = House::new(62);
    house
        .engines
        .at_next_apply(|| panic!("this panic is expected"));
    house.store.start().unwrap();
    let kept = accept(&house, 0..5);
    until("the directory follows", || {
        let stats = house.store.stats().unwrap();
        stats.applied_lsn == stats.durable_lsn && stats.overlay_octets == 0
    });
    assert!(house.store.is_running());
    assert_there(&house, &kept);
    house.assert_whole(0);
}

#[test]
fn a_store_whose_directory_does_not_follow_any_more_says_so() {
    let house = House::new(63);
    house.engines.set_fault(EngineFault::Panics);
    house.store.start().unwrap();
    let kept = accept(&house, 0..1);
    assert_eq!(kept.len(), 1);
    Waiting::on(house.store.ended()).wait().unwrap();
    assert!(!house.store.is_running());
    assert!(matches!(
        house.accept(&text(1)).wait(),
        Err(StoreError::Lost)
    ));
    house.engines.set_fault(EngineFault::None);
    house.store.reopen().unwrap();
    assert_there(&house, &kept);
    assert_eq!(accept(&house, 1..2).len(), 1);
    house.assert_whole(0);
}

#[test]
fn a_full_disk_that_broke_the_directory_heals_when_there_is_room() {
    let house = House::with(64, |config| config.segment_octets = 1 << 20);
    house.store.start().unwrap();
    let mut kept = accept(&house, 0..10);
    let keeper = keep(&house.store);
    // The journal still has room in its segment, the directory has none.
    house.disk.set_free(0);
    house.engines.set_fault(EngineFault::Fails);
    let fence = house.fence();
    let shut = AccountChange::AddDomain("other.test".parse().unwrap());
    Waiting::on(house.store.change(fence, vec![shut]))
        .wait()
        .unwrap();
    kept.extend(accept(&house, 10..20));
    until("it is broken", || {
        let shared = house.store.keeper.shared();
        shared.is_ok_and(|shared| shared.partitions.is_broken())
    });
    assert!(
        house.store.is_running(),
        "there is no room for anything better"
    );
    house.engines.set_fault(EngineFault::None);
    house.disk.set_free(1 << 40);
    keeper.join().unwrap();
    assert_there(&house, &kept);
    assert_eq!(accept(&house, 20..30).len(), 10);
    house.assert_whole(0);
}

#[test]
fn a_reader_that_finds_the_directory_broken_has_it_made_anew() {
    let house = House::new(65);
    house.store.start().unwrap();
    let kept = accept(&house, 0..10);
    until("the directory follows", || {
        house.store.stats().unwrap().overlay_octets == 0
    });
    let keeper = keep(&house.store);
    house.engines.break_all();
    assert!(house.store.get(kept[0].0).is_err());
    keeper.join().unwrap();
    assert_there(&house, &kept);
    house.assert_whole(0);
}

#[test]
fn a_store_that_cannot_be_opened_anew_yet_is_later() {
    let house = House::new(66);
    house.store.start().unwrap();
    let kept = accept(&house, 0..10);
    house.disk.set_faults(Faults {
        create: 1000,
        ..Faults::default()
    });
    for _ in 0..3 {
        assert!(house.store.reopen().is_err());
        assert!(!house.store.is_running());
        // Whoever asks now is told to try again at once.
        Waiting::on(house.store.ended()).wait().unwrap();
        assert!(matches!(house.store.get(kept[0].0), Err(StoreError::Lost)));
        assert!(matches!(
            house.store.fence(Shard::nth(0)).map(|fence| fence.epoch),
            Ok(1)
        ));
    }
    house.disk.set_faults(Faults::default());
    house.store.reopen().unwrap();
    assert_there(&house, &kept);
    house.assert_whole(0);
}

#[test]
fn nobody_waits_for_a_checkpoint() {
    let house = House::new(67);
    let inbox = house.inbox();
    let (begun, checkpoint_begins) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    house.engines.at_next_flush(move || {
        begun.send(()).unwrap();
        let _ = gone.recv();
    });
    house.store.start().unwrap();
    until("a checkpoint is due", || {
        house.append(inbox, &text(0)).wait().unwrap();
        checkpoint_begins.try_recv().is_ok()
    });
    // It is being written, for as long as we like.
    for number in 0..20 {
        house.append(inbox, &text(number)).wait().unwrap();
    }
    drop(go);
    until("it is there", || {
        !checkpoint::list(&house.disk).unwrap().is_empty()
    });
    let row = house.store.mailbox(house.ann, inbox).unwrap();
    assert!(row.unwrap().messages > 20);
}

#[test]
fn a_checkpoint_that_is_overtaken_by_writes_is_as_good_as_any() {
    let house = House::with(70, |config| config.overlay_octets = 4 * 1024);
    let inbox = house.inbox();
    let (begun, checkpoint_begins) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    house.engines.at_next_flush(move || {
        begun.send(()).unwrap();
        let _ = gone.recv();
    });
    house.store.start().unwrap();
    let mut before = 0;
    until("a checkpoint is due", || {
        house.append(inbox, &text(0)).wait().unwrap();
        before += 1;
        checkpoint_begins.try_recv().is_ok()
    });
    // So much that it goes into the directory while the checkpoint is being written.
    for number in 0..12 {
        house.append(inbox, &text(number)).wait().unwrap();
    }
    drop(go);
    let kept = || checkpoint::list(&house.disk).unwrap();
    until("it is there", || !kept().is_empty());
    let mut in_it = 0;
    checkpoint::read(&house.disk, kept()[0], &mut |class, key, _| {
        in_it += u32::from(class == crate::keys::Class::Mail && key[0] == b'u');
        Ok(())
    })
    .unwrap();
    assert!(in_it > before, "{in_it} of {before} and more");
    house.engines.break_all();
    let opened = house.store.reopen().unwrap();
    assert_eq!(opened.rebuilt.len(), 5);
    let row = house.store.mailbox(house.ann, inbox).unwrap().unwrap();
    assert_eq!(row.messages, before + 12);
    house.assert_whole(0);
}

#[test]
fn no_checkpoint_is_begun_where_there_is_no_room_for_it() {
    let house = House::with(69, |config| config.segment_octets = 1 << 20);
    house.checkpoint().unwrap();
    let before = checkpoint::list(&house.disk).unwrap();
    // Two lives: how long the latest is, is known in both.
    house.renew().unwrap();
    house.disk.set_free(100);
    let fence = house.fence();
    for number in 0..1000 {
        let domain = format!("d{number}.test").parse().unwrap();
        let added = house
            .store
            .change(fence, vec![AccountChange::AddDomain(domain)]);
        let added = Waiting::on(added);
        house.turn();
        added.wait().unwrap();
        house.follow().unwrap();
    }
    let kept = checkpoint::list(&house.disk).unwrap();
    assert_eq!(kept, before);
    house.disk.set_free(1 << 40);
    let last = Waiting::on(house.store.change(
        fence,
        vec![AccountChange::AddDomain("last.test".parse().unwrap())],
    ));
    house.turn();
    last.wait().unwrap();
    house.follow().unwrap();
    let kept = checkpoint::list(&house.disk).unwrap();
    assert_eq!(kept.len(), 2);
}

/// Adds a hundred domains, and puts them into the directory.
fn add_domains(house: &House, from: usize) {
    let domain = |number| format!("domain{number:05}.example.test").parse().unwrap();
    let domains = (from..from + 100).map(|number| AccountChange::AddDomain(domain(number)));
    let added = house.store.change(house.fence(), domains.collect());
    let added = Waiting::on(added);
    house.turn();
    added.wait().unwrap();
    house.follow().unwrap();
}

#[test]
fn a_checkpoint_is_due_by_its_rows_and_not_by_what_they_are_packed_into() {
    for another_life in [false, true] {
        let house = House::with(75, |config| config.checkpoint_octets = 1);
        for from in (0..2000).step_by(100) {
            add_domains(&house, from);
        }
        house.checkpoint().unwrap();
        if another_life {
            house.renew().unwrap();
        }
        let latest = || checkpoint::list(&house.disk).unwrap()[0];
        let before = latest();
        let size = checkpoint::size(&house.disk, before).unwrap();
        assert!(size.file * 4 < size.rows, "{size:?}");
        let mut added = 0;
        while latest() == before {
            add_domains(&house, 2000 + added);
            added += 100;
        }
        // About as many as there were, not a fourth of them.
        assert!((1400..=2100).contains(&added), "{added}, {size:?}");
    }
}

#[test]
fn a_sync_that_failed_at_the_close_is_not_tried_again() {
    let mut house = House::new(68);
    let kept = house.accept(&text(0));
    let large: Bytes = (0..600_000_u32).map(|n| (n / 7) as u8).collect();
    house.turn();
    let kept = kept.wait().unwrap();
    // Chunks wait for the frame that accepts them, and are not synced before.
    let draft = house.draft(&large);
    house.turn();
    house.disk.set_faults(Faults {
        sync: 1000,
        ..Faults::default()
    });
    assert!(house.store.close().is_err());
    house.disk.set_faults(Faults::default());
    let before = house.disk.syncs();
    house.store.close().unwrap();
    drop(draft);
    assert!(house.disk.syncs() > before, "the marks are made durable");
    house.disk.kill_process();
    house.reopen().unwrap();
    assert!(house.store.opened().clean);
    assert_there(&house, &[(kept, text(0))]);
    house.assert_whole(0);
}
