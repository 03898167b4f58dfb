//! A folder that an older Heronry has made: it is written as that one can read it, until somebody
//! agrees that it is not.

use bytes::Bytes;

use super::house::House;
use crate::{codec::Compress, disk::Disk, journal};

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
    assert_eq!((formats.written, formats.newest), (1, 2));
    house.store.commit_format().unwrap();
    house.kill().unwrap();
    assert_eq!(newest_segment_format(&house), 2);
    assert!(taken(&house) < 10_000, "it is compressed again");
    house.assert_whole(70);
}
