//! What must not happen although something else happens in between.

use std::sync::mpsc;

use bytes::Bytes;
use mail::Time;

use super::house::{House, Waiting, open};
use crate::{
    StoreError,
    disk::{Disk, Faults},
    local::threads::Workers,
    port::{Draft, MailStore, MessageRow, NewMailbox, UidRange},
};

fn append(house: &House, draft: Draft) -> Waiting<Vec<crate::port::Appended>> {
    let message = (draft, mail::Flags::NONE, vec![], Time(1));
    let (fence, ann, inbox) = (house.fence(), house.ann, house.inbox());
    Waiting::on(house.store.append(fence, ann, inbox, vec![message]))
}

#[test]
fn a_mailbox_whose_removal_is_lost_is_not_purged() {
    let house = House::with(30, |config| config.mail_partitions = 1);
    let new = NewMailbox {
        name: "kept".to_owned(),
        special_use: None,
        subscribe: false,
    };
    let made = Waiting::on(house.store.create(house.fence(), house.ann, new));
    house.turn();
    let kept = made.end().unwrap().unwrap().id;
    let waiting = house.append(kept, &Bytes::from_static(b"text"));
    house.turn();
    waiting.end().unwrap().unwrap();
    let removed = Waiting::on(house.store.delete(house.fence(), house.ann, kept));
    // While the mark is being read, the sync that should have made it durable fails.
    let (store, disk) = (house.store.clone(), house.disk.clone());
    house.engines.at_next_scan(move || {
        disk.set_faults(Faults {
            sync: 1000,
            ..Faults::default()
        });
        if let Workers::AtHand(writer, _) = &mut *store.workers() {
            while writer.turn() {}
        }
        disk.set_faults(Faults::default());
    });
    let purged = house.store.purge_some().unwrap().map(Waiting::on);
    house.turn();
    assert!(removed.end().unwrap().is_err());
    assert!(matches!(
        purged.and_then(|purged| purged.end()),
        Some(Err(StoreError::Lost))
    ));
    let mut count = 0;
    let mut each = |_: &MessageRow| {
        count += 1;
        true
    };
    let all = UidRange::ALL;
    let (store, ann) = (&house.store, house.ann);
    store.messages(ann, kept, all, &mut each).unwrap();
    assert_eq!(count, 1);
    house.assert_whole(0);
}

#[test]
fn a_segment_stays_while_the_batch_that_refers_to_it_is_on_its_way() {
    let house = House::new(31);
    let large: Bytes = (0..700_000_u32).map(|n| (n / 7) as u8).collect();
    let draft = house.draft(&large);
    house.turn();
    // The sender is slow: both checkpoints that are kept are past the chunks by now.
    for _ in 0..3 {
        let waiting = house.append(house.inbox(), &Bytes::from_static(b"x"));
        house.turn();
        waiting.end().unwrap().unwrap();
        house.checkpoint().unwrap();
        house.drop_dead().unwrap();
    }
    let waiting = append(&house, draft);
    house.drop_dead().unwrap();
    house.turn();
    waiting.end().unwrap().unwrap();
    let mut last = None;
    let mut each = |row: &MessageRow| {
        last = Some(*row);
        true
    };
    let all = UidRange::ALL;
    let (store, ann, inbox) = (&house.store, house.ann, house.inbox());
    store.messages(ann, inbox, all, &mut each).unwrap();
    let body = MailStore::read(store, &last.unwrap().body).unwrap();
    assert!(body.bytes().unwrap() == large);
    house.assert_whole(0);
}

#[test]
fn a_segment_is_begun_where_the_first_frame_waits() {
    let mut house = House::new(32);
    house.disk.set_faults(Faults {
        sync: 1000,
        create: 1000,
        ..Faults::default()
    });
    let refused = house.append(house.inbox(), &Bytes::from_static(b"x"));
    house.turn();
    assert!(refused.end().unwrap().is_err());
    house.disk.set_faults(Faults::default());
    // They need several segments, and come before the writer has begun anew.
    let waiting: Vec<_> = (0..5_u8)
        .map(|n| house.append(house.inbox(), &Bytes::from(vec![n; 40_000])))
        .collect();
    if let Workers::AtHand(writer, _) = &mut *house.store.workers() {
        writer.begin().unwrap();
    }
    house.turn();
    for waiting in waiting {
        waiting.end().unwrap().unwrap();
    }
    house.cut_power().unwrap();
    let row = house.store.mailbox(house.ann, house.inbox()).unwrap();
    assert_eq!(row.unwrap().messages, 5);
    house.assert_whole(0);
}

#[test]
fn an_unfinished_checkpoint_takes_no_room() {
    let house = House::new(33);
    house.disk.set_faults(Faults {
        write: 1000,
        ..Faults::default()
    });
    assert!(house.checkpoint().is_err());
    assert_eq!(house.disk.list("checkpoint").unwrap(), [""; 0]);
    house.disk.set_faults(Faults::default());
    house.checkpoint().unwrap();
    assert_eq!(house.disk.list("checkpoint").unwrap().len(), 1);
}

#[test]
fn the_folder_is_taken_until_the_writer_has_ended() {
    let house = House::new(34);
    let draft = house.draft(&Bytes::from_static(b"text"));
    let message = (draft, mail::Flags::NONE, vec![], Time(1));
    let (fence, ann, inbox) = (house.fence(), house.ann, house.inbox());
    let pending = house.store.append(fence, ann, inbox, vec![message]);
    let (go, gone) = mpsc::channel();
    let (told, heard) = mpsc::channel();
    let House {
        disk,
        engines,
        store,
        config,
        ticks,
        ..
    } = house;
    let last = store.clone();
    pending.then(move |_| {
        gone.recv().unwrap();
        drop(last);
        // This is the writer's thread: there may be more for it to write.
        let other = open(&disk, &engines, &config, &ticks);
        told.send(other.err()).unwrap();
    });
    store.start().unwrap();
    drop(store);
    go.send(()).unwrap();
    let other = heard.recv().unwrap();
    assert!(matches!(other, Some(StoreError::InUse { .. })), "{other:?}");
}
