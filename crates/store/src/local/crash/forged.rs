//! A sender who writes frames of a journal into his mail: nothing of it ever counts as one.

use bytes::{BufMut, Bytes, BytesMut};

use super::house::House;
use crate::{
    journal::{FrameHead, FrameKind},
    keys,
    port::{Accounts, Spool},
    record,
};

/// A mail whose octets are a sound frame that adds a domain, with an LSN beyond all others.
fn forged() -> Bytes {
    let key = keys::domain(&"forged.test".parse().unwrap());
    let mut ops = BytesMut::new();
    ops.put_slice(&[1, 1]);
    ops.put_u16_le(u16::try_from(key.len()).unwrap());
    ops.put_u32_le(3);
    ops.put_slice(&key);
    ops.put_slice(&record::MARK);
    let head = FrameHead {
        kind: FrameKind::Batch,
        lsn: 1 << 40,
        synced: 1 << 40,
        bodies: 0,
        ops: u32::try_from(ops.len()).unwrap(),
        ops_crc: crc32c::crc32c(&ops),
        dense: false,
        chance: 0,
    };
    // In another block than the head of the frame in which it is: that one may be lost alone.
    let mut mail = BytesMut::zeroed(4_800);
    mail.extend_from_slice(&head.write());
    mail.extend_from_slice(&ops);
    mail.resize(9_000, b'x');
    mail.freeze()
}

#[track_caller]
fn assert_nothing_of_it_counts(house: &House) {
    let name = "forged.test".parse().unwrap();
    assert!(!house.store.has_domain(&name).unwrap());
    let lsn = house.store.stats().unwrap().durable_lsn;
    assert!(lsn < 1 << 30, "{lsn}");
}

#[test]
fn a_frame_in_a_mail_is_no_frame_when_the_head_before_it_rots() {
    let mut house = House::new(90);
    let place = house.store.keeper.shared().unwrap().journal.lock().tail;
    let accepted = house.accept(&forged());
    house.turn();
    // It says that the one before is durable: what is damaged there is not a torn end.
    let after = house.accept(&Bytes::from_static(b"after"));
    house.turn();
    accepted.end().unwrap().unwrap();
    let after = after.end().unwrap().unwrap();
    let at = usize::try_from(place.offset).unwrap() + 20;
    house
        .disk
        .rot(&format!("journal/{:010}.seg", place.segment), at);
    house.cut_power().unwrap();
    assert_eq!(house.store.opened().damage.len(), 1);
    assert_nothing_of_it_counts(&house);
    assert_eq!(house.store.open(None, 9).unwrap(), [after]);
}

#[test]
fn a_frame_in_a_mail_that_the_power_cut_has_torn_is_no_frame() {
    let mut torn = 0;
    for seed in 0..60 {
        let mut house = House::new(seed);
        house.disk.light_fuse(1);
        let waiting = house.accept(&forged());
        house.turn();
        assert!(waiting.end().unwrap().is_err());
        house.cut_power().unwrap();
        torn += u64::from(house.store.opened().torn_octets > 0);
        assert_nothing_of_it_counts(&house);
        house.assert_whole(seed);
    }
    assert!(torn > 20, "{torn} of 60 were torn");
}
