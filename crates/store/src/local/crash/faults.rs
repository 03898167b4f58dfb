//! Single faults, each with what must come of it.

use bytes::Bytes;
use mail::{MessageId, Time};

use super::house::{House, Waiting};
use crate::{
    StoreError,
    disk::{Disk, Faults},
    port::{
        AccountChange, Accounts, MailStore, MessageRow, NewMailbox, Quota, Settle, Spool, UidRange,
    },
};

const EVERY_SYNC: Faults = Faults {
    sync: 1000,
    write: 0,
    create: 0,
    panic: 0,
};

fn text(number: usize) -> Bytes {
    Bytes::from(format!("message {number}\r\n").repeat(100))
}

fn accept(house: &House, number: usize) -> MessageId {
    let waiting = house.accept(&text(number));
    house.turn();
    waiting.end().unwrap().unwrap()
}

fn octets(house: &House, id: MessageId) -> Result<Bytes, StoreError> {
    let spooled = house.store.get(id)?.expect("it is in the spool");
    Spool::read(&house.store, &spooled.body)?.bytes()
}

fn uids(house: &House) -> Vec<u32> {
    let mut uids = Vec::new();
    let mut each = |row: &MessageRow| {
        uids.push(row.uid.get());
        true
    };
    let inbox = house.inbox();
    house
        .store
        .messages(house.ann, inbox, UidRange::ALL, &mut each)
        .unwrap();
    uids
}

#[test]
fn there_are_as_many_syncs_as_groups() {
    let house = House::with(1, |config| config.segment_octets = 1 << 20);
    let before = house.disk.syncs();
    let mut groups = 0;
    for size in [1, 2, 10, 1, 50] {
        let waiting: Vec<_> = (0..size).map(|n| house.accept(&text(n))).collect();
        while house.turn_once() {
            groups += 1;
        }
        assert!(waiting.iter().all(|w| w.end().unwrap().is_ok()));
    }
    assert_eq!(groups, 5);
    assert_eq!(house.disk.syncs() - before, groups);
}

#[test]
fn nothing_is_seen_before_it_is_durable() {
    let house = House::new(1);
    let waiting = house.append(house.inbox(), &text(1));
    assert!(waiting.end().is_none());
    assert_eq!(uids(&house), [0; 0]);
    house.turn();
    assert!(waiting.end().unwrap().is_ok());
    assert_eq!(uids(&house), [1]);
}

#[test]
fn a_failed_sync_refuses_everybody_and_the_next_write_goes_on() {
    let mut house = House::new(3);
    let first = accept(&house, 0);
    let inbox = house.inbox();
    house.disk.set_faults(EVERY_SYNC);
    let refused = [house.accept(&text(1)), house.accept(&text(2))];
    let append = house.append(inbox, &text(3));
    let barrier = house.deliver(inbox, MessageId(77));
    house.turn();
    for waiting in refused {
        assert!(matches!(waiting.end(), Some(Err(StoreError::Disk { .. }))));
    }
    assert!(append.end().unwrap().is_err());
    assert!(barrier.end().unwrap().is_err());
    house.disk.set_faults(Faults::default());
    // Numbers that were refused are free again, because nobody was told of them.
    let append = house.append(inbox, &text(4));
    let second = accept(&house, 5);
    assert_eq!(append.end().unwrap().unwrap()[0].uid.get(), 1);
    for _ in 0..2 {
        assert_eq!(house.store.open(None, 9).unwrap(), [first, second]);
        assert_eq!(uids(&house), [1]);
        assert_eq!(octets(&house, second).unwrap(), text(5));
        house.assert_whole(0);
        house.cut_power().unwrap();
    }
}

#[test]
fn a_limit_whose_end_was_lost_holds_for_whoever_was_seen_without_it() {
    let house = House::new(12);
    let inbox = house.inbox();
    let limit = |messages| {
        let octets = None;
        let quota = Quota { octets, messages };
        let change = AccountChange::SetQuota("ann@example.test".parse().unwrap(), quota);
        Waiting::on(house.store.change(house.fence(), vec![change]))
    };
    let limited = limit(Some(1));
    let append = house.append(inbox, &text(1));
    house.turn();
    limited.end().unwrap().unwrap();
    append.end().unwrap().unwrap();
    house.disk.set_faults(EVERY_SYNC);
    let lost = limit(None);
    let append = house.append(inbox, &text(2));
    house.turn();
    assert!(lost.end().unwrap().is_err());
    assert!(matches!(append.end(), Some(Err(StoreError::Disk { .. }))));
    house.disk.set_faults(Faults::default());
    let append = house.append(inbox, &text(3));
    assert!(matches!(
        append.end(),
        Some(Err(StoreError::OverQuota { .. }))
    ));
}

#[test]
fn what_was_decided_on_lost_ground_is_refused() {
    let house = House::new(4);
    let inbox = house.inbox();
    let id = accept(&house, 0);
    house.disk.set_faults(EVERY_SYNC);
    // Two groups: the second rests on the first, and goes with it.
    let first = house.deliver(inbox, id);
    let large = Bytes::from(vec![7; 200_000]);
    let more: Vec<_> = (0..3).map(|_| house.append(inbox, &large)).collect();
    house.turn_once();
    assert!(first.end().unwrap().is_err());
    assert!(more.iter().all(|waiting| waiting.end().unwrap().is_err()));
    assert!(!house.turn_once());
    house.disk.set_faults(Faults::default());
    let again = house.deliver(inbox, id);
    house.turn();
    assert!(again.end().unwrap().unwrap().is_some());
    house.assert_whole(0);
}

#[test]
fn a_large_body_whose_chunks_were_lost_is_refused() {
    let house = House::new(5);
    let large = Bytes::from(vec![9; 700_000]);
    let draft = house.draft(&large);
    house.disk.set_faults(EVERY_SYNC);
    let append = house.append(house.inbox(), &text(1));
    house.turn();
    assert!(append.end().unwrap().is_err());
    house.disk.set_faults(Faults::default());
    let message = (draft, mail::Flags::NONE, vec![], Time(1));
    let inbox = house.inbox();
    let appended = house
        .store
        .append(house.fence(), house.ann, inbox, vec![message]);
    let appended = Waiting::on(appended);
    house.turn();
    assert!(matches!(appended.end(), Some(Err(StoreError::Lost))));
    let whole = house.append(inbox, &large);
    house.turn();
    assert!(whole.end().unwrap().is_ok());
    house.assert_whole(0);
}

#[test]
fn a_rotten_bit_costs_its_body_and_nothing_else() {
    let mut house = House::new(6);
    let ids: Vec<_> = (0..5).map(|number| accept(&house, number)).collect();
    let blob = house.store.get(ids[2]).unwrap().unwrap().body.blob;
    let segment = format!("journal/{:010}.seg", blob >> 32);
    let at = (blob & 0xFFFF_FFFF) as usize + 200;
    house.disk.rot(&segment, at);
    for _ in 0..2 {
        for (number, &id) in ids.iter().enumerate() {
            let read = octets(&house, id);
            if number == 2 {
                assert!(matches!(read, Err(StoreError::Damage { .. })));
            } else {
                assert_eq!(read.unwrap(), text(number));
            }
        }
        let damage = house.store.check().unwrap().damage;
        assert_eq!(damage.len(), 2, "the frame and the body: {damage:?}");
        house.cut_power().unwrap();
    }
}

#[test]
fn a_damaged_frame_is_reported_and_what_follows_is_served() {
    let mut house = House::new(7);
    let first = accept(&house, 0);
    let place = house.store.keeper.shared().unwrap().journal.lock().tail;
    accept(&house, 1);
    let third = accept(&house, 2);
    let segment = format!("journal/{:010}.seg", place.segment);
    // In the middle of the frame's operations, then in its head.
    for behind in [1300, 20] {
        let at = usize::try_from(place.offset).unwrap() + behind;
        house.disk.rot(&segment, at);
        house.cut_power().unwrap();
        let opened = house.store.opened();
        assert_eq!(opened.damage.len(), 1, "{opened:?}");
        assert!(!opened.rebuilt.is_empty());
        assert_eq!(house.store.open(None, 9).unwrap(), [first, third]);
        assert_eq!(octets(&house, third).unwrap(), text(2));
    }
}

#[test]
fn rot_in_what_was_written_last_is_told_from_a_torn_end_once_it_was_quiet() {
    for is_quiet in [false, true] {
        let mut house = House::new(8);
        let first = accept(&house, 0);
        let place = house.store.keeper.shared().unwrap().journal.lock().tail;
        accept(&house, 1);
        if is_quiet {
            for _ in 0..3 {
                house.follow().unwrap();
                house.vouch().unwrap();
                house.turn();
            }
            house.vouch().unwrap();
            assert!(!house.turn_once(), "it is said once");
        }
        let segment = format!("journal/{:010}.seg", place.segment);
        let at = usize::try_from(place.offset).unwrap() + 20;
        house.disk.rot(&segment, at);
        house.cut_power().unwrap();
        let opened = house.store.opened();
        assert_eq!(opened.damage.len(), usize::from(is_quiet), "{opened:?}");
        assert_eq!(opened.torn_octets > 0, !is_quiet, "{opened:?}");
        assert_eq!(house.store.open(None, 9).unwrap(), [first]);
    }
}

#[test]
fn zeros_that_come_before_frames_are_never_seen_whatever_becomes_of_them() {
    for seed in 0..40 {
        let mut house = House::with(seed, |config| config.segment_octets = 4 << 20);
        let large = Bytes::from(vec![b'x'; 20_000]);
        let mut ids = Vec::new();
        let mut pieces = 0;
        for _ in 0..12 {
            let waiting = house.accept(&large);
            house.turn();
            ids.push(waiting.end().unwrap().unwrap());
            if seed % 4 == 3 && ids.len() == 8 {
                // Half of a piece, and nothing of it is durable.
                house.disk.set_faults(Faults {
                    write: 1000,
                    ..Faults::default()
                });
            }
            if house.disk.below(3) == 0 {
                pieces += usize::from(house.turn_ground());
            }
            house.disk.set_faults(Faults::default());
        }
        for _ in 0..2 {
            match seed % 2 {
                0 => house.cut_power().unwrap(),
                _ => house.kill().unwrap(),
            }
            house.assert_whole(seed);
            assert_eq!(house.store.opened().torn_octets, 0, "seed {seed}");
            assert_eq!(house.store.open(None, 99).unwrap(), ids, "seed {seed}");
            for &id in &ids {
                assert!(octets(&house, id).unwrap() == large, "seed {seed}");
            }
        }
        assert!(pieces > 0, "seed {seed}");
    }
}

#[test]
fn a_torn_tail_is_cut_and_kept_aside() {
    let mut torn = 0;
    for seed in 0..40 {
        let mut house = House::new(seed);
        let first = accept(&house, 0);
        // The write goes through, the sync does not come any more.
        house.disk.light_fuse(1);
        let waiting = house.accept(&Bytes::from(vec![b'x'; 20_000]));
        house.turn();
        assert!(waiting.end().unwrap().is_err());
        house.cut_power().unwrap();
        let opened = house.store.opened();
        torn += u64::from(opened.torn_octets > 0);
        assert_eq!(opened.damage, [""; 0]);
        let open = house.store.open(None, 9).unwrap();
        assert_eq!(open[0], first);
        house.assert_whole(seed);
    }
    assert!(torn > 20, "{torn} of 40 were torn");
}

#[test]
fn for_a_torn_tail_that_cannot_be_kept_no_start_fails() {
    let mut torn = 0;
    for seed in 0..40 {
        let mut house = House::new(seed);
        let first = accept(&house, 0);
        house.disk.light_fuse(1);
        let waiting = house.accept(&Bytes::from(vec![b'x'; 20_000]));
        house.turn();
        assert!(waiting.end().unwrap().is_err());
        house.disk.refuse("aside/");
        house.cut_power().unwrap();
        torn += u64::from(house.store.opened().torn_octets > 0);
        assert_eq!(house.disk.list("aside").unwrap(), [""; 0]);
        assert_eq!(house.store.open(None, 9).unwrap()[0], first);
        house.assert_whole(seed);
    }
    assert!(torn > 20, "{torn} of 40 were torn");
}

#[test]
fn only_the_latest_torn_tails_are_kept() {
    let mut house = House::new(7);
    let mut torn = 0;
    for _ in 0..60 {
        accept(&house, 0);
        house.disk.light_fuse(1);
        let waiting = house.accept(&Bytes::from(vec![b'x'; 20_000]));
        house.turn();
        assert!(waiting.end().unwrap().is_err());
        house.cut_power().unwrap();
        torn += u64::from(house.store.opened().torn_octets > 0);
    }
    let kept = house.disk.list("aside").unwrap();
    assert!(torn > 20, "{torn} of 60 were torn");
    assert_eq!(kept.len(), 8, "{kept:?}");
}

#[test]
fn a_full_disk_refuses_mail_and_nothing_else_until_there_is_room() {
    let house = House::new(8);
    let id = accept(&house, 0);
    house.disk.set_free(1000);
    house.store.keeper.shared().unwrap().look_at_free();
    let refused = house.accept(&text(1));
    assert!(matches!(refused.end(), Some(Err(StoreError::Full { .. }))));
    let refused = house.append(house.inbox(), &text(1));
    assert!(matches!(refused.end(), Some(Err(StoreError::Full { .. }))));
    let reply = mail::Reply::new(250, None, "dropped");
    let what = vec![(0, Settle::Close(reply))];
    let settled = Waiting::on(house.store.settle(house.fence(), id, what));
    house.turn();
    assert!(settled.end().unwrap().is_ok());
    house.disk.set_free(1 << 40);
    accept(&house, 2);
    house.assert_whole(0);
}

#[test]
fn a_disk_without_room_for_a_segment_refuses_and_recovers() {
    let mut house = House::new(9);
    house.disk.set_free(2 << 20);
    let big = Bytes::from(vec![1; 50_000]);
    for _ in 0..3 {
        let waiting = house.append(house.inbox(), &big);
        house.turn();
        assert!(waiting.end().unwrap().is_ok());
    }
    house.disk.set_free(0);
    let waiting = house.append(house.inbox(), &big);
    house.turn();
    assert!(waiting.end().unwrap().is_err());
    house.disk.set_free(1 << 40);
    let waiting = house.append(house.inbox(), &big);
    house.turn();
    assert_eq!(waiting.end().unwrap().unwrap()[0].uid.get(), 4);
    house.cut_power().unwrap();
    assert_eq!(uids(&house), [1, 2, 3, 4]);
    house.assert_whole(0);
}

#[test]
fn dead_segments_are_given_back_and_live_ones_are_not() {
    let mut house = House::new(10);
    let inbox = house.inbox();
    let big = Bytes::from(vec![1; 20_000]);
    for _ in 0..30 {
        let waiting = house.append(inbox, &big);
        house.turn();
        waiting.end().unwrap().unwrap();
    }
    let full = house.store.stats().unwrap();
    assert!(full.segments > 9);
    let all = (1..30).filter_map(mail::Uid::new).collect();
    let gone = house
        .store
        .expunge(house.fence(), house.ann, inbox, all, false);
    let gone = Waiting::on(gone);
    house.turn();
    assert_eq!(gone.end().unwrap().unwrap().len(), 29);
    // Only when both checkpoints that are kept are past it is a segment not needed any more.
    for _ in 0..3 {
        let reply = house.append(inbox, &Bytes::from_static(b"x"));
        house.turn();
        reply.end().unwrap().unwrap();
        house.checkpoint().unwrap();
        house.drop_dead().unwrap();
    }
    let left = house.store.stats().unwrap();
    assert!(left.segments < 5, "{left:?}");
    house.assert_whole(0);
    house.cut_power().unwrap();
    assert_eq!(uids(&house), [30, 31, 32, 33]);
    house.assert_whole(0);
}

#[test]
fn a_removed_mailbox_is_purged_a_few_messages_at_a_time() {
    let mut house = House::new(12);
    let new = NewMailbox {
        name: "big".to_owned(),
        special_use: None,
        subscribe: false,
    };
    let made = Waiting::on(house.store.create(house.fence(), house.ann, new));
    house.turn();
    let mailbox = made.end().unwrap().unwrap().id;
    for _ in 0..3 {
        let messages = (0..500).map(|n| {
            let draft = house.draft(&text(n).slice(..20));
            (draft, mail::Flags::NONE, vec![], Time(1))
        });
        let messages = messages.collect();
        let done = Waiting::on(
            house
                .store
                .append(house.fence(), house.ann, mailbox, messages),
        );
        house.turn();
        done.end().unwrap().unwrap();
    }
    let gone = Waiting::on(house.store.delete(house.fence(), house.ann, mailbox));
    house.turn();
    gone.end().unwrap().unwrap();
    let mut rounds = 0;
    while let Some(pending) = house.store.purge_some().unwrap() {
        let pending = Waiting::on(pending);
        house.turn();
        pending.end().unwrap().unwrap();
        rounds += 1;
        if rounds == 2 {
            house.cut_power().unwrap();
            house.assert_whole(0);
        }
    }
    assert_eq!(rounds, 3);
    house.assert_whole(0);
    assert_eq!(house.store.check().unwrap().bodies, 0);
}

#[test]
fn a_folder_of_a_newer_version_or_of_another_process_is_refused() {
    let mut house = House::new(13);
    assert!(matches!(house.reopen(), Err(StoreError::InUse { .. })));
    house.disk.kill_process();
    let text = b"heronry store 9\n";
    crate::disk::write_whole(&house.disk, "format", text).unwrap();
    let newer = house.reopen();
    assert!(
        matches!(newer, Err(StoreError::Newer { found: 9, .. })),
        "{newer:?}"
    );
}

#[test]
fn an_epoch_is_never_used_twice() {
    let mut house = House::new(14);
    let mut latest = house.fence().epoch;
    for round in 0..4 {
        if round % 2 == 0 {
            house.store.close().unwrap();
            house.kill().unwrap();
        } else {
            house.cut_power().unwrap();
        }
        assert!(house.fence().epoch > latest);
        latest = house.fence().epoch;
    }
}

#[test]
fn a_panic_in_what_follows_a_write_does_not_end_the_journal() {
    let house = House::new(15);
    let message = (house.draft(&text(1)), mail::Flags::NONE, vec![], Time(1));
    let inbox = house.inbox();
    house
        .store
        .append(house.fence(), house.ann, inbox, vec![message])
        .then(|_| panic!("this is expected"));
    let after = house.append(inbox, &text(2));
    house.turn();
    assert!(after.end().unwrap().is_ok());
    assert!(house.store.is_running());
    house.store.close().unwrap();
    assert!(!house.store.is_running());
    let late = house.append(inbox, &text(3));
    assert!(matches!(late.end(), Some(Err(StoreError::Lost))));
}
