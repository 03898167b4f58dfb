//! What compaction must do, and what it must not, whatever happens in between.

use bytes::Bytes;
use mail::{Flags, Time, Uid};

use super::house::{House, Waiting};
use crate::{
    StoreError,
    codec::Compress,
    disk::{Disk, Faults},
    keeper::{Keeper, Seen},
    keys::{self, Class},
    local::compaction::Step,
    port::{BodyRef, MailStore, MessageRow, UidRange},
    record,
};

/// Different texts that compress as mail does.
fn text(number: u32, octets: usize) -> Bytes {
    let line = format!("line of message {number} {}\r\n", u64::from(number) * 7_919);
    line.bytes().cycle().take(octets).collect()
}

fn append(house: &House, octets: &Bytes) -> Uid {
    let waiting = house.append(house.inbox(), octets);
    house.turn();
    waiting.end().unwrap().unwrap()[0].uid
}

fn expunge(house: &House, uids: impl Iterator<Item = u32>) {
    let uids = uids.filter_map(Uid::new).collect();
    let (fence, ann, inbox) = (house.fence(), house.ann, house.inbox());
    let gone = Waiting::on(house.store.expunge(fence, ann, inbox, uids, false));
    house.turn();
    gone.end().unwrap().unwrap();
}

fn rows(house: &House) -> Vec<MessageRow> {
    let mut rows = Vec::new();
    let mut each = |row: &MessageRow| {
        rows.push(*row);
        true
    };
    let (ann, inbox) = (house.ann, house.inbox());
    let all = UidRange::ALL;
    house.store.messages(ann, inbox, all, &mut each).unwrap();
    rows
}

fn read(house: &House, body: &BodyRef) -> Bytes {
    MailStore::read(&house.store, body)
        .unwrap()
        .bytes()
        .unwrap()
}

/// Where a body lies.
fn place(house: &House, body: &BodyRef) -> u64 {
    let key = keys::blob(body.blob);
    let row = house.store.keeper.get(Seen::Newest, Class::Blobs, &key);
    record::read_refs(&row.unwrap().unwrap()).unwrap().at
}

/// Both checkpoints that are kept know of everything.
fn pass_checkpoints(house: &House) {
    for _ in 0..2 {
        append(house, &Bytes::from_static(b"x"));
        house.checkpoint().unwrap();
    }
    house.drop_dead().unwrap();
}

/// A house in which one message of three is left, of that many, each so long.
fn mostly_dead(seed: u64, messages: u32, octets: usize, compress: Compress) -> House {
    let house = House::with(seed, |config| config.compress = compress);
    for number in 1..=messages {
        append(&house, &text(number, octets));
    }
    expunge(&house, (1..=messages).filter(|number| number % 3 != 0));
    pass_checkpoints(&house);
    house
}

#[track_caller]
fn assert_left(house: &House, messages: u32, octets: usize) {
    let kept = rows(house);
    let left = (1..=messages).filter(|number| number % 3 == 0);
    for (row, number) in kept.iter().zip(left.clone()) {
        assert_eq!(row.uid.get(), number);
        assert!(
            read(house, &row.body) == text(number, octets),
            "UID {number}"
        );
    }
    assert!(kept.len() >= left.count());
    house.assert_whole(0);
}

#[test]
fn deleted_mail_gives_its_space_back() {
    let mut house = mostly_dead(70, 60, 10_000, Compress::Never);
    let before = house.store.stats().unwrap();
    house.compact_all();
    let moved = house.store.stats().unwrap();
    assert!(
        moved.segments > before.segments,
        "nothing goes before it is safe elsewhere"
    );
    assert_left(&house, 60, 10_000);
    pass_checkpoints(&house);
    let after = house.store.stats().unwrap();
    assert!(
        after.journal_octets < before.journal_octets / 2,
        "{before:?} {after:?}"
    );
    // 20 messages of 10,000 octets are left.
    assert!(after.journal_octets < 200_000 + 3 * 65_536, "{after:?}");
    for _ in 0..2 {
        assert_left(&house, 60, 10_000);
        house.cut_power().unwrap();
    }
    house.kill().unwrap();
    assert_left(&house, 60, 10_000);
}

#[test]
fn the_directory_is_made_anew_from_what_compaction_left_of_the_journal() {
    let mut house = mostly_dead(71, 60, 10_000, Compress::Cold);
    house.compact_all();
    pass_checkpoints(&house);
    assert!(
        !house
            .disk
            .list("journal")
            .unwrap()
            .contains(&"0000000002.seg".to_owned())
    );
    house.engines.break_all();
    house.kill().unwrap();
    assert_eq!(house.store.opened().rebuilt.len(), 5);
    assert_left(&house, 60, 10_000);
    // The older checkpoint does as well as the newer one.
    let latest = crate::directory::checkpoint::list(&house.disk).unwrap()[0];
    house.disk.rot(&format!("checkpoint/{latest:020}"), 60);
    house.cut_power().unwrap();
    let opened = house.store.opened();
    assert_eq!(opened.damage.len(), 1, "{opened:?}");
    let kept = rows(&house);
    assert!(read(&house, &kept[19].body) == text(60, 10_000));
    assert_eq!(house.store.check().unwrap().damage, opened.damage);
}

#[test]
fn what_moves_is_compressed_where_that_saves_something() {
    let house = mostly_dead(72, 60, 10_000, Compress::Cold);
    house.compact_all();
    pass_checkpoints(&house);
    let after = house.store.stats().unwrap();
    // A line that repeats takes next to nothing.
    assert!(after.journal_octets < 3 * 65_536, "{after:?}");
    assert_left(&house, 60, 10_000);
}

#[test]
fn mail_that_nobody_deletes_is_compressed_once_it_is_cold() {
    let mut house = House::with(78, |config| config.cold_after_seconds = 1);
    let messages = 1..=60;
    // Digits by chance shrink to some six tenths, which is far more than what the journal says of them.
    let text = |number: u32| -> Bytes {
        let digits =
            |at: u64| format!("{:x}\r\n", (at << 32 | u64::from(number)).wrapping_mul(ODD));
        (0..500).flat_map(|at| digits(at).into_bytes()).collect()
    };
    for number in messages.clone() {
        append(&house, &text(number));
    }
    pass_checkpoints(&house);
    let before = house.store.stats().unwrap();
    house.compact_all();
    pass_checkpoints(&house);
    let after = house.store.stats().unwrap();
    assert!(
        after.journal_octets < before.journal_octets * 4 / 5,
        "{before:?} {after:?}"
    );
    for _ in 0..2 {
        for (row, number) in rows(&house).iter().zip(messages.clone()) {
            assert!(read(&house, &row.body) == text(number), "{number}");
        }
        house.assert_whole(78);
        // In another life nothing is known of it but where everything is.
        house.kill().unwrap();
        pass_checkpoints(&house);
        let places = |house: &House| -> Vec<u64> {
            let rows = rows(house);
            rows[..50]
                .iter()
                .map(|row| place(house, &row.body))
                .collect()
        };
        let before = places(&house);
        house.compact_all();
        assert_eq!(places(&house), before, "what was moved once stays");
    }
}

#[test]
fn a_large_body_moves_part_by_part() {
    for compress in [Compress::Never, Compress::Cold] {
        let mut house = House::with(73, |config| {
            config.compress = compress;
            config.segment_octets = 1 << 20;
        });
        append(&house, &text(1, 700_000));
        append(&house, &text(2, 700_000));
        append(&house, &text(3, 700_001));
        append(&house, &text(4, 10));
        append(&house, &text(5, 700_000));
        expunge(&house, [2, 5].into_iter());
        pass_checkpoints(&house);
        let body = rows(&house)[1].body;
        let from = place(&house, &body);
        let held = MailStore::read(&house.store, &body).unwrap();
        house.config.compact_below_percent = 90;
        house.compact_all();
        assert_ne!(place(&house, &body), from, "{compress:?}");
        pass_checkpoints(&house);
        assert!(read(&house, &body) == text(3, 700_001));
        let read = MailStore::read(&house.store, &body).unwrap();
        assert!(read.read_at(500_000, 100).unwrap() == text(3, 700_001).slice(500_000..500_100));
        // Whoever was reading goes on, although the segment is gone.
        assert!(held.bytes().unwrap() == text(3, 700_001));
        house.assert_whole(0);
        house.cut_power().unwrap();
        let kept = rows(&house);
        assert!(self::read(&house, &kept[0].body) == text(1, 700_000));
        assert!(self::read(&house, &kept[1].body) == text(3, 700_001));
        house.assert_whole(0);
    }
}

#[test]
fn what_is_expunged_or_copied_while_it_moves_is_so_afterwards() {
    let house = mostly_dead(74, 30, 10_000, Compress::Never);
    // The rows are found, and a batch of bodies is on its way.
    while house.compact().unwrap() != Step::Waits {}
    let (fence, ann, inbox) = (house.fence(), house.ann, house.inbox());
    let gone = house
        .store
        .expunge(fence, ann, inbox, vec![Uid::new(3).unwrap()], false);
    let gone = Waiting::on(gone);
    let some = vec![Uid::new(6).unwrap()];
    let copied = Waiting::on(house.store.copy(fence, ann, inbox, some, inbox, false));
    house.turn();
    gone.end().unwrap().unwrap();
    copied.end().unwrap().unwrap();
    house.compact_all();
    pass_checkpoints(&house);
    let kept = rows(&house);
    assert_eq!(kept[0].uid.get(), 6);
    assert!(read(&house, &kept[0].body) == text(6, 10_000));
    house.assert_whole(0);
}

#[test]
fn what_was_moved_on_lost_ground_is_moved_again() {
    let mut house = mostly_dead(75, 30, 10_000, Compress::Never);
    while house.compact().unwrap() != Step::Waits {}
    house.disk.set_faults(Faults {
        sync: 1000,
        ..Faults::default()
    });
    house.turn();
    assert!(house.compact().is_err());
    house.disk.set_faults(Faults::default());
    assert_left(&house, 30, 10_000);
    house.compact_all();
    pass_checkpoints(&house);
    assert_left(&house, 30, 10_000);
    house.cut_power().unwrap();
    assert_left(&house, 30, 10_000);
}

#[test]
fn a_damaged_body_stays_where_it_is_and_all_others_move() {
    let house = mostly_dead(76, 30, 10_000, Compress::Cold);
    let kept = rows(&house);
    let rotten = kept[2].body;
    let from = place(&house, &rotten);
    let segment = format!("journal/{:010}.seg", from >> 32);
    let at = usize::try_from(from & 0xFFFF_FFFF).unwrap();
    house.disk.rot(&segment, at + 500);
    house.compact_all();
    pass_checkpoints(&house);
    assert_eq!(place(&house, &rotten), from);
    assert!(matches!(
        MailStore::read(&house.store, &rotten),
        Err(StoreError::Damage { .. })
    ));
    assert_ne!(place(&house, &kept[1].body), kept[1].body.blob);
    for (row, number) in kept.iter().zip((3..=30).step_by(3)) {
        if row.body != rotten {
            assert!(read(&house, &row.body) == text(number, 10_000));
        }
    }
    assert_eq!(house.compact().unwrap(), Step::Idle);
}

#[test]
fn a_body_that_two_messages_share_moves_once() {
    let house = House::with(77, |config| config.compress = Compress::Never);
    for number in 1..=12 {
        append(&house, &text(number, 10_000));
    }
    let (fence, ann, inbox) = (house.fence(), house.ann, house.inbox());
    let some = vec![Uid::new(3).unwrap()];
    let copied = Waiting::on(house.store.copy(fence, ann, inbox, some, inbox, false));
    house.turn();
    copied.end().unwrap().unwrap();
    expunge(&house, (1..=12).filter(|&number| number != 3));
    pass_checkpoints(&house);
    house.compact_all();
    pass_checkpoints(&house);
    let kept = rows(&house);
    assert_eq!(kept[0].body, kept[1].body);
    assert!(read(&house, &kept[0].body) == text(3, 10_000));
    assert!(house.store.stats().unwrap().journal_octets < 2 * 65_536 + 20_000);
    house.assert_whole(0);
}

#[test]
fn mail_that_is_compressed_as_it_comes_is_read_as_it_came() {
    let mut house = House::with(78, |config| {
        config.compress = Compress::Always;
        config.segment_octets = 1 << 20;
    });
    let texts = [
        text(1, 10),
        text(2, 5_000),
        text(3, 900_000),
        text(4, 300_000),
    ];
    for text in &texts {
        append(&house, text);
    }
    assert!(house.store.stats().unwrap().segments == 1);
    for _ in 0..2 {
        for (row, text) in rows(&house).iter().zip(&texts) {
            assert!(read(&house, &row.body) == *text);
        }
        house.assert_whole(0);
        house.cut_power().unwrap();
    }
}

#[test]
fn nothing_is_moved_when_it_is_off_or_not_worth_it() {
    let house = House::new(79);
    for number in 1..=12 {
        append(&house, &text(number, 10_000));
    }
    expunge(&house, [1, 7].into_iter());
    pass_checkpoints(&house);
    assert_eq!(house.compact().unwrap(), Step::Idle);
    let mut house = mostly_dead(79, 30, 10_000, Compress::Cold);
    house.config.compact_below_percent = 0;
    assert_eq!(house.compact().unwrap(), Step::Idle);
}

#[test]
fn a_full_disk_stops_mail_and_not_what_gives_room_back() {
    let house = mostly_dead(80, 60, 10_000, Compress::Never);
    house.disk.set_free(200_000);
    house.store.keeper.shared().unwrap().look_at_free();
    let refused = house.append(house.inbox(), &text(1, 10));
    assert!(matches!(refused.end(), Some(Err(StoreError::Full { .. }))));
    house.compact_all();
    house.disk.set_free(1 << 40);
    pass_checkpoints(&house);
    assert_left(&house, 60, 10_000);
}

#[test]
fn the_threads_give_room_back_by_themselves() {
    let house = House::with(81, |config| config.reclaim_seconds = 0);
    house.store.start().unwrap();
    for number in 1..=60 {
        let waiting = house.append(house.inbox(), &text(number, 10_000));
        waiting.wait().unwrap();
    }
    let before = house.store.stats().unwrap();
    let uids = (1..60).filter_map(Uid::new).collect();
    let (fence, ann, inbox) = (house.fence(), house.ann, house.inbox());
    let gone = Waiting::on(house.store.expunge(fence, ann, inbox, uids, false));
    gone.wait().unwrap();
    Waiting::on(house.store.reclaim()).wait().unwrap();
    let after = house.store.stats().unwrap();
    assert!(after.segments <= 4, "{before:?} {after:?}");
    let message = (house.draft(&text(61, 10)), Flags::NONE, vec![], Time(1));
    let appended = house.store.append(fence, ann, inbox, vec![message]);
    Waiting::on(appended).wait().unwrap();
    assert!(read(&house, &rows(&house)[0].body) == text(60, 10_000));
    house.assert_whole(0);
}

/// Spreads a number over all its bits.
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
