//! A folder that an older Heronry has made: it is written as that one can read it, until somebody
//! agrees that it is not.

use std::{collections::BTreeSet, ops::ControlFlow};

use bytes::Bytes;
use mail::{Envelope, Flags, Recipient, Reply, Target, Time, Uid};

use super::house::{House, Waiting};
use crate::{
    batch,
    codec::Compress,
    directory::checkpoint,
    disk::Disk,
    journal::{self, FRAMES_FROM, Found, Scan},
    port::{
        AccountChange, Accounts, FlagChange, FlagsHow, MailStore, NewAccount, NewMail, NewMailbox,
        Pending, Quota, Settle, Spool,
    },
};

fn newest_segment_format(house: &House) -> u8 {
    let newest = *journal::list(&house.disk).unwrap().last().unwrap();
    let file = house.disk.open(&journal::segment_name(newest)).unwrap();
    let mut head = [0; 9];
    assert_eq!(file.read_at(&mut head, 0).unwrap(), 9);
    head[8]
}

#[test]
fn an_older_folder_is_written_in_its_own_format_until_the_newest_is_agreed_to() {
    let mut house = House::with(70, |config| config.compress = Compress::Always);
    assert_eq!(
        newest_segment_format(&house),
        2,
        "a new folder begins with the newest"
    );
    let shrinks = Bytes::from("the same line\r\n".repeat(2000));
    let room = |house: &House| {
        house
            .store
            .keeper
            .shared()
            .unwrap()
            .journal
            .lock()
            .tail
            .offset
    };
    let taken = |house: &House| {
        let before = room(house);
        let written = house.append(house.inbox(), &shrinks);
        house.turn();
        written.end().unwrap().unwrap();
        room(house) - before
    };
    assert!(taken(&house) < 10_000, "it is compressed");
    crate::disk::write_whole(&house.disk, "format", b"heronry store 1\n").unwrap();
    for _ in 0..2 {
        house.kill().unwrap();
        assert_eq!(newest_segment_format(&house), 1);
        assert!(taken(&house) > 30_000, "it is not compressed");
    }
    let formats = house.store.formats().unwrap();
    assert_eq!((formats.written, formats.newest), (1, 3));
    house.store.commit_format().unwrap();
    house.kill().unwrap();
    assert_eq!(newest_segment_format(&house), 2);
    assert!(taken(&house) < 10_000, "it is compressed again");
    house.assert_whole(70);
}

/// Calls `each` for the frames of the newest segment: whether its operations are dense, and what they
/// are.
fn each_frame(house: &House, mut each: impl FnMut(bool, &Bytes)) {
    let segment = *journal::list(&house.disk).unwrap().last().unwrap();
    let file = house.disk.open(&journal::segment_name(segment)).unwrap();
    let plan = Scan {
        segment,
        from: FRAMES_FROM,
        until: None,
        chance: None,
        deep: true,
    };
    let scanned = journal::scan(&file, plan, |found| {
        let Found::Frame {
            head, ops, whole, ..
        } = found
        else {
            panic!("{found:?}");
        };
        assert!(whole);
        each(head.dense, &ops);
        Ok(ControlFlow::Continue(()))
    });
    scanned.unwrap();
}

/// Of each frame of the newest segment whether its operations are dense.
fn dense_frames(house: &House) -> Vec<bool> {
    let mut frames = Vec::new();
    each_frame(house, |dense, _| frames.push(dense));
    frames
}

#[test]
fn operations_are_dense_only_in_a_folder_whose_format_knows_it_and_both_are_read() {
    let mut house = House::new(71);
    let accept = |house: &House, text: &str| {
        let accepted = house.accept(&Bytes::copy_from_slice(text.as_bytes()));
        house.turn();
        accepted.end().unwrap().unwrap()
    };
    let first = accept(&house, "dense");
    assert!(dense_frames(&house).contains(&true));
    crate::disk::write_whole(&house.disk, "format", b"heronry store 2\n").unwrap();
    house.kill().unwrap();
    let second = accept(&house, "as they are");
    assert_eq!(dense_frames(&house), [false]);
    house.store.commit_format().unwrap();
    house.kill().unwrap();
    let third = accept(&house, "dense again");
    assert_eq!(dense_frames(&house), [true]);
    house.cut_power().unwrap();
    let mut accepted = [first, second, third];
    accepted.sort_unstable();
    assert_eq!(house.store.open(None, 9).unwrap(), accepted);
    house.assert_whole(71);
}

/// The formats of the checkpoints that are kept, the newest first.
fn checkpoint_formats(house: &House) -> Vec<u8> {
    let kept = checkpoint::list(&house.disk).unwrap().into_iter();
    let format = kept.map(|lsn| {
        let file = house.disk.open(&checkpoint::name(lsn)).unwrap();
        let mut head = [0; 9];
        assert_eq!(file.read_at(&mut head, 0).unwrap(), 9);
        head[8]
    });
    format.collect()
}

#[test]
fn checkpoints_are_packed_only_in_a_folder_whose_format_knows_it_and_both_are_read() {
    let mut house = House::with(76, |config| config.checkpoint_octets = u64::MAX);
    let kept_after = |house: &House| {
        let accepted = house.accept(&Bytes::from_static(b"text"));
        house.turn();
        accepted.end().unwrap().unwrap();
        house.checkpoint().unwrap();
        checkpoint_formats(house)
    };
    assert_eq!(
        kept_after(&house),
        [2],
        "a new folder begins with the newest"
    );
    crate::disk::write_whole(&house.disk, "format", b"heronry store 2\n").unwrap();
    house.kill().unwrap();
    assert_eq!(kept_after(&house), [1, 2]);
    // The directory is made anew from each of them, and goes on from each of them.
    house.cut_power().unwrap();
    assert_eq!(house.store.open(None, 9).unwrap().len(), 2);
    let latest = checkpoint::list(&house.disk).unwrap()[0];
    house.disk.rot(&checkpoint::name(latest), 60);
    house.disk.cut_power();
    house.engines.cut_power();
    house.reopen().unwrap();
    assert_eq!(
        house.store.opened().damage,
        [format!("the checkpoint {latest}")]
    );
    assert_eq!(house.store.open(None, 9).unwrap().len(), 2);
    house.store.commit_format().unwrap();
    house.kill().unwrap();
    // The one of format 1 has rotted: the one before it stays.
    assert_eq!(kept_after(&house), [2, 2]);
    house.cut_power().unwrap();
    assert_eq!(house.store.open(None, 9).unwrap().len(), 3);
    house.assert_whole(76);
}

#[test]
fn what_is_written_in_a_folder_of_the_first_format_its_readers_know() {
    let mut house = House::with(73, |config| config.segment_octets = 8 << 20);
    crate::disk::write_whole(&house.disk, "format", b"heronry store 1\n").unwrap();
    house.kill().unwrap();
    do_everything(&house);
    let mut written = BTreeSet::new();
    each_frame(&house, |dense, ops| {
        assert!(!dense);
        let read = batch::read(ops, |op| {
            if let Some(value) = op.value {
                assert_eq!(value[0], 0xB1);
                written.insert((value[1], value[2]));
            }
        });
        read.unwrap();
    });
    // Kinds and versions of records. What was released with the first format reads these and no
    // others, for ever: another one is written from a newer format on (ADR 0018).
    let known = (1..=18).map(|kind| (kind, 1)).chain([(7, 2)]);
    let known: BTreeSet<(u8, u8)> = known.collect();
    let newer: Vec<_> = written.difference(&known).collect();
    assert!(newer.is_empty(), "{newer:?}");
    assert!(written.len() >= 14, "little was done: {written:?}");
    assert!(written.contains(&(7, 2)), "flags are on sheets");
    assert_eq!(newest_segment_format(&house), 1);
    house.checkpoint().unwrap();
    assert_eq!(checkpoint_formats(&house)[0], 1);
    house.kill().unwrap();
    house.assert_whole(73);
}

/// Writes records of every kind.
fn do_everything(house: &House) {
    fn done<T: Send + 'static>(house: &House, pending: Pending<T>) -> T {
        let waiting = Waiting::on(pending);
        house.turn();
        waiting.end().unwrap().unwrap()
    }
    let (store, fence, ann) = (&house.store, house.fence(), house.ann);
    let text = Bytes::from("text\r\n".repeat(100_000));
    let new = NewMailbox {
        name: "Work".to_owned(),
        special_use: None,
        subscribe: true,
    };
    let work = done(house, store.create(fence, ann, new)).id;
    for (address, quota) in [("ben@example.test", Some(9)), ("cas@example.test", None)] {
        let account = NewAccount {
            address: address.parse().unwrap(),
            password: None,
            quota: Quota {
                octets: quota,
                messages: None,
            },
        };
        done(
            house,
            store.change(fence, vec![AccountChange::AddAccount(account)]),
        );
    }
    let limited = AccountChange::SetDomainQuota(
        "example.test".parse().unwrap(),
        Quota {
            octets: Some(1 << 30),
            messages: None,
        },
    );
    done(house, store.change(fence, vec![limited]));
    let accept = |target| {
        let to = Recipient::new("far@far.test".parse().unwrap(), target);
        let mail = NewMail {
            envelope: Envelope {
                recipients: vec![to],
                ..Envelope::default()
            },
            draft: house.draft(&text),
            arrived: Time(1_800_000_000_000),
            answers: None,
            origin: String::new(),
        };
        done(house, store.accept(fence, mail))
    };
    let local = Target::Local {
        account: ann,
        detail: None,
    };
    let far = accept(Target::Remote("far.test".parse().unwrap()));
    let later = Settle::Again {
        due: Time(1_900_000_000_000),
        reply: Reply::new(451, None, "later"),
    };
    done(house, store.settle(fence, far, vec![(0, later)]));
    done(house, store.set_aside(fence, far, "it crashed".to_owned()));
    let near = accept(local);
    let waiting = house.deliver(house.inbox(), near);
    house.turn();
    waiting.end().unwrap().unwrap();
    let change = FlagChange {
        how: FlagsHow::Add,
        flags: Flags::SEEN,
        keywords: vec!["Todo".parse().unwrap()],
    };
    let all = vec![Uid::FIRST];
    done(
        house,
        store.flag(fence, ann, house.inbox(), all.clone(), change, None),
    );
    done(
        house,
        store.copy(fence, ann, house.inbox(), all.clone(), work, false),
    );
    done(house, store.expunge(fence, ann, house.inbox(), all, false));
}
