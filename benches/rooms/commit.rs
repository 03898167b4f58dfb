//! What a commit costs on a real disk: the store's accept, beside a bare write with `fdatasync`.
//!
//!     HERONRY_BENCH_FOLDER=DIR cargo bench --manifest-path benches/rooms/Cargo.toml --bench commit
//!
//! One client that waits for each answer, 4 KiB. `bare`: the same octets at the end of a file that is
//! as long from its beginning as a segment of the journal. `spool`: a message for another system.
//! `home`: one for a mailbox of this house, which is in it then. Without DIR the disk is that of the
//! system's temporary folder. Whoever else writes to it is in the figures: only their ratio counts.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench that cannot run has failed; criterion's macros document nothing"
)]

use std::{
    env,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mail::{Envelope, Recipient, Target, Time};
use rustix::fs::{FallocateFlags, fallocate};
use store::{
    Config, DiskStore,
    port::{
        AccountChange, Accounts, Entry, Leases, NewAccount, NewMail, Quota, Shard, Spool,
    },
};
use tokio::runtime::{Builder, Runtime};

const OCTETS: usize = 4096;
const SEGMENT: u64 = 64 * 1024 * 1024;
const NOW: Time = Time::from_seconds(1_800_000_000);

/// A house with one account, and the thread that asks it.
struct House {
    store: DiskStore,
    runtime: Runtime,
    body: Bytes,
}

impl House {
    fn open(folder: &Path) -> Self {
        let store = DiskStore::open(Config::new(folder), Arc::new(|| NOW)).unwrap();
        let house = Self {
            store,
            runtime: Builder::new_current_thread().build().unwrap(),
            body: Bytes::from(vec![b'x'; OCTETS]),
        };
        let new = NewAccount {
            address: "ann@house.test".parse().unwrap(),
            password: None,
            quota: Quota::default(),
        };
        let changes = vec![
            AccountChange::AddDomain("house.test".parse().unwrap()),
            AccountChange::AddAccount(new),
        ];
        let fence = house.store.fence(Shard::nth(0)).unwrap();
        let changed = house.store.change(fence, changes);
        house.runtime.block_on(changed).unwrap();
        house
    }

    fn mail(&self, address: &str, target: Target) -> NewMail {
        let mut writer = Spool::draft(&self.store);
        if let Some(spilled) = writer.write(self.body.clone()) {
            self.runtime.block_on(spilled).unwrap();
        }
        NewMail {
            envelope: Envelope {
                recipients: vec![Recipient::new(address.parse().unwrap(), target)],
                ..Envelope::default()
            },
            draft: writer.finish(),
            arrived: NOW,
            answers: None,
            origin: String::new(),
        }
    }

    /// For another system.
    fn spool(&self) {
        let target = Target::Remote("away.test".parse().unwrap());
        let fence = self.store.fence(Shard::nth(0)).unwrap();
        let accepted = self.store.accept(fence, self.mail("bob@away.test", target));
        self.runtime.block_on(accepted).unwrap();
    }

    /// For the account.
    fn home(&self) {
        let domain = "house.test".parse().unwrap();
        let Some(Entry::Account(account)) = self.store.entry("ann", &domain).unwrap() else {
            panic!("the account is there");
        };
        let target = Target::Local {
            account,
            detail: None,
        };
        let fence = self.store.fence(Shard::of_account(account)).unwrap();
        let mail = self.mail("ann@house.test", target);
        let accepted = self.store.accept_home(fence, &[fence], mail);
        let accepted = self.runtime.block_on(accepted).unwrap();
        assert_eq!(accepted.delivered.len(), 1);
    }
}

fn commit(criterion: &mut Criterion) {
    let folder = env::var_os("HERONRY_BENCH_FOLDER").map_or_else(env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(1));
    let file = File::create(folder.path().join("bare")).unwrap();
    fallocate(&file, FallocateFlags::empty(), 0, SEGMENT).unwrap();
    let (octets, mut at) = (vec![7; OCTETS], 0);
    group.bench_function("bare", |bencher| {
        bencher.iter(|| {
            file.write_all_at(&octets, at).unwrap();
            file.sync_data().unwrap();
            at = (at + OCTETS as u64) % SEGMENT;
        });
    });
    let house = House::open(&folder.path().join("house"));
    group.bench_function("spool", |bencher| bencher.iter(|| house.spool()));
    group.bench_function("home", |bencher| bencher.iter(|| house.home()));
    group.finish();
}

criterion_group!(benches, commit);
criterion_main!(benches);
