//! What is asked of a large mailbox.

use std::{path::Path, time::Instant};

use heronry_store::{
    Config,
    port::{FlagChange, FlagsHow, MailStore, MessageFlags, UidRange},
};
use mail::{Flags, Uid};

use crate::{
    house::House,
    process::{again, resident},
};

/// A mailbox of so many messages, filled, and looked at by another process.
pub(crate) fn mailbox(folder: &Path, number: usize) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let house = House::open(Config::new(folder.path()));
    house.fill(number, 500);
    house.store.close().unwrap();
    drop(house);
    again("mailbox-look", folder.path(), number);
}

pub(crate) fn look(folder: &Path, number: usize) {
    let house = House::open(Config::new(folder));
    let timed = |what: &str, begun: Instant| {
        println!(
            "{what}: {:.1} ms, {} MiB resident",
            begun.elapsed().as_secs_f64() * 1e3,
            resident() >> 20
        );
    };
    let begun = Instant::now();
    let row = house.store.mailbox(house.account, house.inbox).unwrap();
    timed("counters, as STATUS reads them", begun);
    let last = row.unwrap().uid_next.get() - 1;
    for what in [
        "UIDs and flags of all, as SELECT reads them",
        "the same again",
    ] {
        let begun = Instant::now();
        let mut count = 0;
        let mut each = |_: &MessageFlags| {
            count += 1;
            true
        };
        let (account, inbox) = (house.account, house.inbox);
        let all = UidRange::ALL;
        house.store.flags(account, inbox, all, &mut each).unwrap();
        assert_eq!(count, number);
        timed(what, begun);
    }
    let begun = Instant::now();
    assert_eq!(house.rows(UidRange::ALL).len(), number);
    timed("all rows", begun);
    let begun = Instant::now();
    let end = UidRange {
        first: Uid::new(last - 99).unwrap(),
        last: Uid::new(last).unwrap(),
    };
    for body in house.rows(end) {
        let read = MailStore::read(&house.store, &body).unwrap();
        assert_eq!(read.read_at(0, 400).unwrap().len(), 400);
    }
    timed("the heads of 100 messages at the end", begun);
    let begun = Instant::now();
    let change = FlagChange {
        how: FlagsHow::Add,
        flags: Flags::SEEN,
        keywords: vec![],
    };
    let (fence, account) = (house.fence(), house.account);
    let one = vec![Uid::new(last / 2).unwrap()];
    let done = house
        .store
        .flag(fence, account, house.inbox, one, change, None);
    house.runtime.block_on(done).unwrap();
    timed("a flag on one message", begun);
}
