//! Checkpoints that rot at rest.

use bytes::Bytes;

use super::house::House;
use crate::{directory::checkpoint, local::Scrub, port::Spool};

fn accept(house: &House, number: u8) {
    let accepted = house.accept(&Bytes::from(vec![b'0' + number; 100]));
    house.turn();
    accepted.end().unwrap().unwrap();
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let mut house = House::new(11);
    for number in 0..4 {
        accept(&house, number);
        house.checkpoint().unwrap();
    }
    let latest = checkpoint::list(&house.disk).unwrap()[0];
    house.disk.rot(&checkpoint::name(latest), 60);
    house.cut_power().unwrap();
    let opened = house.store.opened();
    assert_eq!(opened.damage.len(), 1, "{opened:?}");
    assert_eq!(house.store.open(None, 9).unwrap().len(), 4);
    // It is told until another one has taken its place: the one before stays beside that.
    assert_eq!(house.store.check().unwrap().damage, opened.damage);
    let older = checkpoint::list(&house.disk).unwrap()[1];
    accept(&house, 4);
    house.checkpoint().unwrap();
    assert_eq!(house.store.check().unwrap().damage, [""; 0]);
    let kept = checkpoint::list(&house.disk).unwrap();
    assert_eq!((kept.len(), kept[1]), (2, older));
    // So the newest may rot again, and what was given back meanwhile is not missing.
    house.drop_dead().unwrap();
    house.disk.rot(&checkpoint::name(kept[0]), 60);
    house.cut_power().unwrap();
    assert_eq!(house.store.open(None, 9).unwrap().len(), 5);
}

#[test]
fn nothing_is_given_back_for_the_sake_of_a_checkpoint_that_has_rotted() {
    let house = House::new(13);
    accept(&house, 0);
    house.checkpoint().unwrap();
    let first = checkpoint::list(&house.disk).unwrap()[0];
    house.disk.rot(&checkpoint::name(first), 60);
    accept(&house, 1);
    house.checkpoint().unwrap();
    assert_eq!(house.floor(), 0, "the only one that is whole is the newest");
    let second = checkpoint::list(&house.disk).unwrap();
    assert_eq!(second.len(), 1, "{second:?}");
    accept(&house, 2);
    house.checkpoint().unwrap();
    assert_eq!(house.floor(), second[0]);
    house.assert_whole(13);
}

/// What a round of the scrubber finds.
fn scrub(house: &House) -> Vec<String> {
    let (mut scrub, mut damage) = (Scrub::default(), Vec::new());
    loop {
        let step = house.store.scrub(&mut scrub, 1000).unwrap();
        damage.extend(step.damage);
        if step.ended {
            return damage;
        }
    }
}

/// All that is to be done for it.
fn replace(house: &House) {
    for _ in 0..3 {
        house.replace_rotten().unwrap();
        house.turn();
        house.follow().unwrap();
    }
}

#[test]
fn a_checkpoint_that_the_scrubber_finds_rotten_is_replaced() {
    for which in [0, 1] {
        let house = House::with(14, |config| config.checkpoint_octets = u64::MAX);
        for number in 0..2 {
            accept(&house, number);
            house.checkpoint().unwrap();
        }
        let before = checkpoint::list(&house.disk).unwrap();
        replace(&house);
        assert_eq!(
            checkpoint::list(&house.disk).unwrap(),
            before,
            "all is well"
        );
        house.disk.rot(&checkpoint::name(before[which]), 60);
        let expected = format!("the checkpoint {} is damaged", before[which]);
        assert_eq!(scrub(&house), [expected]);
        replace(&house);
        let after = checkpoint::list(&house.disk).unwrap();
        assert_eq!((after.len(), after[1]), (2, before[1 - which]));
        assert_eq!(scrub(&house), [""; 0]);
        replace(&house);
        assert_eq!(
            checkpoint::list(&house.disk).unwrap(),
            after,
            "once is enough"
        );
        house.assert_whole(14);
    }
}

#[test]
fn a_checkpoint_that_a_start_finds_rotten_is_replaced() {
    let mut house = House::with(15, |config| config.checkpoint_octets = u64::MAX);
    for number in 0..2 {
        accept(&house, number);
        house.checkpoint().unwrap();
    }
    let before = checkpoint::list(&house.disk).unwrap();
    house.disk.rot(&checkpoint::name(before[0]), 60);
    house.cut_power().unwrap();
    replace(&house);
    let after = checkpoint::list(&house.disk).unwrap();
    assert_eq!((after.len(), after[1]), (2, before[1]));
    assert_eq!(house.store.check().unwrap().damage, [""; 0]);
}
