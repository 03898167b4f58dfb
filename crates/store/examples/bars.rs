//! Measures what the store promises: what is written for a message, starting and rebuilding with a
//! large queue, a large mailbox, checkpoints, what compression saves, and what giving room back costs.
//!
//! `cargo run --release -p heronry-store --example bars WHAT FOLDER [NUMBER]`, where WHAT is
//! `written`, `queue`, `mailbox`, `checkpoint`, `compact`, or `compress` (FOLDER is then one of
//! messages). The figures count only as ratios of one run on one machine.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a tool for people who measure"
)]

#[path = "bars/checkpoint.rs"]
mod checkpoint;
#[path = "bars/compress.rs"]
mod compress;
#[path = "bars/process.rs"]
mod process;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use heronry_store::{
    Compress, Config, DiskStore,
    port::{
        AccountChange, Accounts, Arrival, Entry, FlagChange, FlagsHow, Leases, MailStore,
        MessageFlags, NewAccount, NewMail, Quota, Shard, Spool, UidRange,
    },
};
use mail::{AccountId, Address, Envelope, Flags, MailboxId, Recipient, Target, Time, Uid};

use process::{cpu, resident, written_octets};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(&args[1]);
    let number = args.get(2).map_or(1_000_000, |text| text.parse().unwrap());
    match &*args[0] {
        "written" => written(&folder, args.get(2).map(|text| text.parse().unwrap())),
        "queue" => queue(&folder, number),
        "queue-fill" => queue_fill(&folder, number),
        "queue-open" => queue_open(&folder),
        "queue-rebuild" => queue_rebuild(&folder),
        "mailbox" => mailbox(&folder, number),
        "mailbox-look" => mailbox_look(&folder, number),
        "checkpoint" => checkpoint::checkpoint(&folder, number),
        "checkpoint-alike" => checkpoint::fill_alike(&folder, number),
        "checkpoint-anybody" => checkpoint::fill_from_anybody(&folder, number),
        "checkpoint-write" => checkpoint::write(&folder, number),
        "checkpoint-load" => checkpoint::load(&folder),
        "compact" => compact(&folder, number),
        "compress" => compress::compress(&folder),
        other => panic!("{other}: there is no such measurement"),
    }
}

// ------------------------------------------------------------------------- written per octet

/// How a message comes into a mailbox.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As it is accepted (ADR 0019).
    Home,
    /// From the spool, in a second step.
    Spool,
}

/// What the process writes for each octet of mail that is accepted and delivered, with messages of
/// that size, or of two.
fn written(folder: &Path, octets: Option<usize>) {
    println!(
        "| message octets | way | compress | messages | written per octet | of it to the journal | CPU µs \
         each | accept p50 / p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let sizes = octets.map_or_else(|| vec![4096, 100 * 1024], |octets| vec![octets]);
    for octets in sizes {
        let count = (240 << 20) / octets;
        for (way, compress) in [
            (Way::Home, Compress::Never),
            (Way::Home, Compress::Always),
            (Way::Spool, Compress::Never),
            (Way::Spool, Compress::Always),
        ] {
            let folder = tempfile::tempdir_in(folder).unwrap();
            let config = Config {
                compress,
                ..Config::new(folder.path())
            };
            let house = House::open(config);
            let (before, cpu) = (written_octets(), cpu());
            let mut latencies = match way {
                Way::Home => house.accept_home(octets, count),
                Way::Spool => house.accept_and_deliver(octets, count),
            };
            let cpu = self::cpu() - cpu;
            house.store.close().unwrap();
            drop(house);
            let mail = (octets * count) as f64;
            let written = (written_octets() - before) as f64 / mail;
            // Nothing of it was given back: that takes checkpoints and time.
            let journal = size(&folder.path().join("journal")) as f64 / mail;
            latencies.sort_unstable();
            println!(
                "| {octets} | {way:?} | {compress:?} | {count} | {written:.2} | {journal:.2} | {:.0} | {:.2} / {:.2} |",
                cpu * 1e6 / count as f64,
                latencies[count / 2].as_secs_f64() * 1e3,
                latencies[count * 99 / 100].as_secs_f64() * 1e3,
            );
        }
    }
}

// ------------------------------------------------------------------------------ a large queue

/// A queue of so many messages of 4 KiB, left by a process that was killed.
fn queue(folder: &Path, number: usize) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    again("queue-fill", folder.path(), number);
    println!(
        "journal: {} MiB",
        size(&folder.path().join("journal")) >> 20
    );
    again("queue-open", folder.path(), number);
    again("queue-rebuild", folder.path(), number);
}

/// Makes the directory anew, beside reading the journal once: from the disk, and from memory.
fn queue_rebuild(folder: &Path) {
    for from in ["disk", "memory", "disk", "memory"] {
        let prepare = || {
            if from == "disk" {
                forget_all(&folder.join("journal"));
                forget_all(&folder.join("checkpoint"));
            } else {
                read_all(&folder.join("journal"));
            }
        };
        prepare();
        let read = Instant::now();
        let octets = read_all(&folder.join("journal"));
        let read = read.elapsed().as_secs_f64();
        prepare();
        let (rebuild, cpu) = (Instant::now(), cpu());
        let wrote = written_octets();
        let store = DiskStore::rebuild(Config::new(folder), clock()).unwrap();
        let rebuild = rebuild.elapsed().as_secs_f64();
        println!(
            "from {from}: the journal read in {read:.1} s ({:.0} MiB/s), the directory made anew in \
             {rebuild:.1} s ({:.2}), {:.1} CPU s, {} frames replayed, {} MiB written, {} MiB resident",
            (octets >> 20) as f64 / read,
            rebuild / read,
            self::cpu() - cpu,
            store.opened().replayed_frames,
            (written_octets() - wrote) >> 20,
            resident() >> 20
        );
        assert_eq!(store.opened().damage, [""; 0]);
        store.close().unwrap();
    }
}

/// Lets the system forget what it has of the files in memory.
fn forget_all(folder: &Path) {
    for file in fs::read_dir(folder).unwrap() {
        let file = fs::File::open(file.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

fn queue_fill(folder: &Path, number: usize) {
    let house = House::open(Config::new(folder));
    let begun = Instant::now();
    house.accept_for_elsewhere(4096, number);
    println!(
        "{number} accepted in {:.0} s, {} MiB resident",
        begun.elapsed().as_secs_f64(),
        resident() >> 20
    );
    std::process::abort(); // as kill -9
}

fn queue_open(folder: &Path) {
    let begun = Instant::now();
    let store = DiskStore::open(Config::new(folder), clock()).unwrap();
    let opened = begun.elapsed();
    let first = store.open(None, 1000).unwrap();
    println!(
        "opened after the kill: {:.2} s, {} frames replayed; the first {} named after {:.2} s; {} MiB \
         resident",
        opened.as_secs_f64(),
        store.opened().replayed_frames,
        first.len(),
        begun.elapsed().as_secs_f64(),
        resident() >> 20
    );
    let mut count = first.len();
    let mut last = first.last().copied();
    while let Some(after) = last {
        let some = store.open(Some(after), 10_000).unwrap();
        count += some.len();
        last = some.last().copied();
    }
    println!(
        "all {count} named after {:.2} s; {} MiB resident",
        begun.elapsed().as_secs_f64(),
        resident() >> 20
    );
    store.close().unwrap();
}

// ---------------------------------------------------------------------------- a large mailbox

fn mailbox(folder: &Path, number: usize) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let house = House::open(Config::new(folder.path()));
    house.fill(number, 500);
    house.store.close().unwrap();
    drop(house);
    again("mailbox-look", folder.path(), number);
}

fn mailbox_look(folder: &Path, number: usize) {
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

// ---------------------------------------------------------------------------- room given back

/// Nine of ten messages are deleted: how long it takes until the room is there, and what it costs.
fn compact(folder: &Path, number: usize) {
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

// ---------------------------------------------------------------------------------- the house

struct House {
    store: DiskStore,
    account: AccountId,
    inbox: MailboxId,
    address: Address,
    runtime: tokio::runtime::Runtime,
}

impl House {
    fn open(config: Config) -> Self {
        let store = DiskStore::open(config, clock()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let domain = "example.test".parse().unwrap();
        if store.entry("ann", &domain).unwrap().is_none() {
            let changes = vec![
                AccountChange::AddDomain(domain.clone()),
                AccountChange::AddAccount(NewAccount {
                    address: "ann@example.test".parse().unwrap(),
                    password: None,
                    quota: Quota::default(),
                }),
            ];
            let fence = store.fence(Shard::nth(0)).unwrap();
            runtime.block_on(store.change(fence, changes)).unwrap();
        }
        let Some(Entry::Account(account)) = store.entry("ann", &domain).unwrap() else {
            unreachable!("it was added just now");
        };
        let inbox = store.mailbox_named(account, "INBOX").unwrap().unwrap().id;
        Self {
            store,
            account,
            inbox,
            address: "ann@example.test".parse().unwrap(),
            runtime,
        }
    }

    fn fence(&self) -> heronry_store::port::Fence {
        self.store.fence(Shard::nth(0)).unwrap()
    }

    fn mail(&self, text: Bytes, to: Recipient) -> NewMail {
        let mut writer = Spool::draft(&self.store);
        let _ = writer.write(text);
        NewMail {
            envelope: Envelope {
                from: Some(self.address.clone()),
                recipients: vec![to],
                ..Envelope::default()
            },
            draft: writer.finish(),
            arrived: now(),
            answers: None,
            origin: "192.0.2.1 client.example.test ESMTP".to_owned(),
        }
    }

    /// Sixty-four at a time, into the mailbox as they are accepted; yields how long each took.
    fn accept_home(&self, octets: usize, count: usize) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(count);
        self.runtime.block_on(async {
            for from in (0..count).step_by(64) {
                let begun = Instant::now();
                let accepted: Vec<_> = (from..count.min(from + 64))
                    .map(|number| {
                        let mail = self.mail(text(number, octets), self.here());
                        self.store.accept_home(self.fence(), &[self.fence()], mail)
                    })
                    .collect();
                for accepted in accepted {
                    let delivered = accepted.await.unwrap().delivered;
                    assert_eq!(delivered.len(), 1, "it took the long way");
                    latencies.push(begun.elapsed());
                }
            }
        });
        latencies
    }

    fn here(&self) -> Recipient {
        let target = Target::Local {
            account: self.account,
            detail: None,
        };
        Recipient::new(self.address.clone(), target)
    }

    /// Sixty-four at a time, by the spool; yields how long each took to be accepted.
    fn accept_and_deliver(&self, octets: usize, count: usize) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(count);
        self.runtime.block_on(async {
            for from in (0..count).step_by(64) {
                let some = from..count.min(from + 64);
                let begun = Instant::now();
                let accepted: Vec<_> = some
                    .map(|number| {
                        let mail = self.mail(text(number, octets), self.here());
                        self.store.accept(self.fence(), mail)
                    })
                    .collect();
                let mut delivered = Vec::new();
                for accepted in accepted {
                    let arrival = Arrival {
                        id: accepted.await.unwrap(),
                        recipient: 0,
                        internal_date: Time(1),
                        flags: Flags::NONE,
                        keywords: vec![],
                    };
                    latencies.push(begun.elapsed());
                    let (account, inbox) = (self.account, self.inbox);
                    delivered.push(self.store.deliver(self.fence(), account, inbox, arrival));
                }
                for delivered in delivered {
                    delivered.await.unwrap();
                }
            }
        });
        latencies
    }

    fn accept_for_elsewhere(&self, octets: usize, count: usize) {
        self.runtime.block_on(async {
            for from in (0..count).step_by(1000) {
                let accepted: Vec<_> = (from..count.min(from + 1000))
                    .map(|number| {
                        let address: Address = format!("u{number}@d{}.test", number % 1000)
                            .parse()
                            .unwrap();
                        let target = Target::Remote(address.domain().clone());
                        let to = Recipient::new(address, target);
                        self.store
                            .accept(self.fence(), self.mail(text(number, octets), to))
                    })
                    .collect();
                for accepted in accepted {
                    accepted.await.unwrap();
                }
            }
        });
    }

    fn fill(&self, number: usize, octets: usize) {
        for from in (0..number).step_by(500) {
            let messages = (from..number.min(from + 500)).map(|number| {
                let mut writer = Spool::draft(&self.store);
                let _ = writer.write(text(number, octets));
                (writer.finish(), Flags::NONE, vec![], Time(1))
            });
            let messages = messages.collect();
            let (account, inbox) = (self.account, self.inbox);
            let appended = self.store.append(self.fence(), account, inbox, messages);
            self.runtime.block_on(appended).unwrap();
        }
    }

    fn rows(&self, range: UidRange) -> Vec<heronry_store::port::BodyRef> {
        let mut bodies = Vec::new();
        let (account, inbox) = (self.account, self.inbox);
        self.store
            .messages(account, inbox, range, &mut |row| {
                bodies.push(row.body);
                true
            })
            .unwrap();
        bodies
    }
}

/// A text that compresses about as mail does: words by chance.
fn text(number: usize, octets: usize) -> Bytes {
    let mut out =
        format!("Subject: message {number}\r\nFrom: <ann@example.test>\r\n\r\n").into_bytes();
    let mut chance = number as u64 | 1 << 40;
    while out.len() < octets {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[(chance >> 33) as usize % WORDS.len()];
        out.extend_from_slice(word.as_bytes());
        if chance >> 60 == 0 {
            out.extend_from_slice(format!("{:x}\r\n", chance >> 20).as_bytes());
        } else {
            out.push(b' ');
        }
    }
    out.truncate(octets);
    out.into()
}

const WORDS: [&str; 24] = [
    "the", "meeting", "on", "Thursday", "report", "please", "see", "attached", "and", "regards",
    "about", "invoice", "with", "mail", "from", "house", "which", "would", "be", "number", "list",
    "to", "a", "of",
];

fn clock() -> heronry_store::Clock {
    let ticks = AtomicU64::new(1_800_000_000_000);
    Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)))
}

/// The time as the daemon will know it that goes on with what this leaves.
fn now() -> Time {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Time(u64::try_from(since.as_millis()).unwrap())
}

/// Runs this program again, so that what it finds is a process of its own.
fn again(what: &str, folder: &Path, number: usize) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let _ = command // one of them aborts
        .arg(what)
        .arg(folder)
        .arg(number.to_string())
        .status()
        .unwrap();
}

fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

fn read_all(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| {
            let mut file = fs::File::open(file.unwrap().path()).unwrap();
            io::copy(&mut file, &mut io::sink()).unwrap()
        })
        .sum()
}
