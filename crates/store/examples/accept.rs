//! Measures durable acceptance beside a bare loop that appends the same octets with group sync.
//!
//! `cargo run --release -p heronry-store --example accept [FOLDER] [SECONDS] [CLIENTS...]`. The
//! figures count only as ratios of one run on one machine: what the disk does in a second changes
//! from minute to minute, so F is measured anew beside each row.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a tool for people who measure"
)]

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heronry_store::{
    Config, DiskStore,
    port::{
        AccountChange, Accounts, Arrival, Entry, Leases, MailStore, NewAccount, NewMail, Quota,
        Shard, Spool,
    },
};
use mail::{Envelope, Flags, Recipient, Target, Time};
use rustix::fs::FallocateFlags;

const OCTETS: usize = 4096;
const CLIENTS: [usize; 5] = [1, 10, 64, 100, 1000];

struct Figure {
    per_second: f64,
    p99: Duration,
    cpu_micros: f64,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let folder: PathBuf = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = args.next().map_or(3, |text| text.parse().unwrap());
    let span = Duration::from_secs(seconds);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let clients: Vec<usize> = args.map(|text| text.parse().unwrap()).collect();
    let clients = if clients.is_empty() {
        CLIENTS.to_vec()
    } else {
        clients
    };
    println!(
        "| clients | F | bare/s | p99 ms | store/s | p99 ms | store/bare | store/F | CPU µs each | accept+deliver/s | CPU µs each |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for clients in clients {
        // In turn, so that a mood of the machine meets all of them.
        let mut rounds: Vec<_> = (0..3)
            .map(|_| {
                let single = single(folder.path(), span);
                let bare = bare(folder.path(), clients, span);
                let store = store(folder.path(), clients, span, false);
                let both = store_and_deliver(folder.path(), clients, span);
                (single, bare, store, both)
            })
            .collect();
        rounds.sort_by(|one, other| one.2.per_second.total_cmp(&other.2.per_second));
        let (single, bare, store, both) = &rounds[1];
        println!(
            "| {clients} | {single:.0} | {:.0} | {:.1} | {:.0} | {:.1} | {:.2} | {:.1} | {:.0} | {:.0} | {:.0} |",
            bare.per_second,
            bare.p99.as_secs_f64() * 1e3,
            store.per_second,
            store.p99.as_secs_f64() * 1e3,
            store.per_second / bare.per_second,
            store.per_second / single,
            store.cpu_micros,
            both.per_second,
            both.cpu_micros,
        );
    }
}

fn single(folder: &Path, span: Duration) -> f64 {
    let (file, octets) = (preallocated(folder), vec![7; OCTETS]);
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < span {
        file.write_all_at(&octets, count * OCTETS as u64).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

/// Clients hand octets to one thread, which writes what has gathered and syncs once.
fn bare(folder: &Path, clients: usize, span: Duration) -> Figure {
    type Request = (Bytes, tokio::sync::oneshot::Sender<()>);
    let file = preallocated(folder);
    let (hand_in, taken) = mpsc::channel::<Request>();
    let writer = thread::spawn(move || {
        let mut at = 0;
        while let Ok(first) = taken.recv() {
            let group: Vec<Request> = std::iter::once(first).chain(taken.try_iter()).collect();
            let octets: Vec<u8> = group.iter().flat_map(|(o, _)| o.iter().copied()).collect();
            file.write_all_at(&octets, at).unwrap();
            file.sync_data().unwrap();
            at += octets.len() as u64;
            for (_, ack) in group {
                let _ = ack.send(());
            }
        }
    });
    let octets = Bytes::from(vec![7; OCTETS]);
    let figure = drive(clients, span, move |_| {
        let (hand_in, octets) = (hand_in.clone(), octets.clone());
        async move {
            let (ack, acked) = tokio::sync::oneshot::channel();
            hand_in.send((octets, ack)).unwrap();
            acked.await.unwrap();
        }
    });
    writer.join().unwrap();
    figure
}

fn store_and_deliver(folder: &Path, clients: usize, span: Duration) -> Figure {
    store(folder, clients, span, true)
}

fn store(folder: &Path, clients: usize, span: Duration, deliver: bool) -> Figure {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let ticks = AtomicU64::new(1_800_000_000_000);
    let clock = Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)));
    let store = DiskStore::open(Config::new(folder.path()), clock).unwrap();
    let fence = store.fence(Shard::nth(0)).unwrap();
    let mut changes = vec![AccountChange::AddDomain("example.test".parse().unwrap())];
    changes.extend((0..10).map(|number| {
        AccountChange::AddAccount(NewAccount {
            address: format!("u{number}@example.test").parse().unwrap(),
            password: None,
            quota: Quota::default(),
        })
    }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(store.change(fence, changes)).unwrap();
    let octets = Bytes::from(vec![7; OCTETS]);
    let domain = "example.test".parse().unwrap();
    let users: Vec<_> = (0..10)
        .map(|number| {
            let Some(Entry::Account(id)) = store.entry(&format!("u{number}"), &domain).unwrap()
            else {
                unreachable!("it was added just now");
            };
            let inbox = store.mailbox_named(id, "INBOX").unwrap().unwrap().id;
            let address: mail::Address = format!("u{number}@example.test").parse().unwrap();
            (id, inbox, address)
        })
        .collect();
    let handle = store.clone();
    let figure = drive(clients, span, move |number| {
        let (store, octets) = (handle.clone(), octets.clone());
        let (account, inbox, address) = users[number % users.len()].clone();
        async move {
            let mut writer = Spool::draft(&store);
            let _ = writer.write(octets);
            let target = Target::Local {
                account,
                detail: None,
            };
            let mail = NewMail {
                envelope: Envelope {
                    from: Some(address.clone()),
                    recipients: vec![Recipient::new(address, target)],
                    ..Envelope::default()
                },
                draft: writer.finish(),
                arrived: Time(1_800_000_000_000),
                answers: None,
                origin: "192.0.2.1 client.example.test ESMTP".to_owned(),
            };
            let id = store.accept(fence, mail).await.unwrap();
            if deliver {
                let arrival = Arrival {
                    id,
                    recipient: 0,
                    internal_date: Time(1),
                    flags: Flags::NONE,
                    keywords: vec![],
                };
                let appended = store.deliver(fence, account, inbox, arrival).await;
                assert!(appended.unwrap().is_some());
            }
        }
    });
    store.close().unwrap();
    figure
}

/// Lets that many clients do one after the other, and measures.
fn drive<W>(
    clients: usize,
    span: Duration,
    work: impl Fn(usize) -> W + Send + Sync + 'static,
) -> Figure
where
    W: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let work = Arc::new(work);
    let cpu = cpu();
    let begun = Instant::now();
    let mut latencies: Vec<Duration> = runtime.block_on(async {
        let mut running = tokio::task::JoinSet::new();
        for number in 0..clients {
            let (done, work) = (done.clone(), work.clone());
            running.spawn(async move {
                let mut latencies = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    work(number).await;
                    latencies.push(begun.elapsed());
                }
                latencies
            });
        }
        let timer = done.clone();
        thread::spawn(move || {
            thread::sleep(span);
            timer.store(true, Ordering::Relaxed);
        });
        running.join_all().await.concat()
    });
    let elapsed = begun.elapsed().as_secs_f64();
    let count = latencies.len();
    latencies.sort_unstable();
    Figure {
        per_second: count as f64 / elapsed,
        p99: latencies[count * 99 / 100],
        cpu_micros: (self::cpu() - cpu) * 1e6 / count as f64,
    }
}

/// CPU seconds of this process so far.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let ticks: f64 = words[11..13]
        .iter()
        .map(|w| w.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

fn preallocated(folder: &Path) -> File {
    let file = File::create(folder.join("bare")).unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 4 << 30).unwrap();
    file.sync_all().unwrap();
    file
}
