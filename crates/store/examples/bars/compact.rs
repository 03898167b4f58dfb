//! What giving room back costs.

use std::{path::Path, time::Instant};

use heronry_store::{
    Compress, Config,
    port::{MailStore, UidRange},
};
use mail::Uid;

use crate::{
    files::size,
    house::House,
    process::{cpu, written_octets},
};

/// Nine of ten messages are deleted: how long it takes until the room is there, and what it costs.
pub(crate) fn compact(folder: &Path, number: usize) {
    for compress in [Compress::Never, Compress::Cold] {
        let folder = tempfile::tempdir_in(folder).unwrap();
        let config = Config {
            compress,
            ..Config::new(folder.path())
        };
        let house = House::open(config);
        house.fill(number, 8 * 1024);
        let journal = folder.path().join("journal");
        let before = size(&journal);
        let last = u32::try_from(number).unwrap();
        for from in (1..=last).step_by(50_000) {
            let until = last.min(from + 49_999);
            let some = (from..=until).filter(|uid| uid % 10 != 0);
            let some = some.filter_map(Uid::new).collect();
            let (fence, account) = (house.fence(), house.account);
            let gone = house
                .store
                .expunge(fence, account, house.inbox, some, false);
            house.runtime.block_on(gone).unwrap();
        }
        let (begun, cpu, wrote) = (Instant::now(), cpu(), written_octets());
        house.runtime.block_on(house.store.reclaim()).unwrap();
        println!(
            "{compress:?}: {} MiB of journal, {} after {:.1} s, {:.1} CPU s and {} MiB written",
            before >> 20,
            size(&journal) >> 20,
            begun.elapsed().as_secs_f64(),
            self::cpu() - cpu,
            (written_octets() - wrote) >> 20,
        );
        let kept = house.rows(UidRange::ALL);
        assert_eq!(kept.len(), number / 10);
        let begun = Instant::now();
        for body in &kept {
            MailStore::read(&house.store, body).unwrap();
        }
        println!(
            "  a body is read in {:.1} µs",
            begun.elapsed().as_secs_f64() * 1e6 / kept.len() as f64
        );
        assert_eq!(house.store.check().unwrap().damage, [""; 0]);
        house.store.close().unwrap();
    }
}
