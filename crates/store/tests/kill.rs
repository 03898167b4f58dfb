//! A real process under load is killed, again and again: what it had acknowledged is there.
#![allow(clippy::unwrap_used, reason = "a test says by panicking")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use heronry_store::{
    Config, DiskStore,
    port::{
        AccountChange, Accounts, Arrival, Entry, Leases, MailStore, MessageRow, NewAccount,
        NewMail, Quota, Shard, Spool, UidRange,
    },
};
use mail::{AccountId, Envelope, Flags, MailboxId, MessageId, Recipient, Target, Time};

const FOLDER: &str = "HERONRY_KILL_FOLDER";
const ROUNDS: u64 = 8;
const CLIENTS: u64 = 8;

fn open(folder: &Path) -> DiskStore {
    let config = Config {
        segment_octets: 1 << 20,
        checkpoint_octets: 256 * 1024,
        overlay_octets: 64 * 1024,
        reserve_octets: 0,
        mail_partitions: 2,
        cache_octets: 16 << 20,
        ..Config::new(folder)
    };
    let ticks = AtomicU64::new(1_800_000_000_000);
    let clock = Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)));
    DiskStore::open(config, clock).unwrap()
}

/// Long enough for several blocks, and each differs from every other.
fn text(name: &str) -> Bytes {
    let octets = 500 + name.bytes().map(usize::from).sum::<usize>() * 7 % 9_000;
    let line = format!("message {name}\r\n");
    line.bytes().cycle().take(octets).collect()
}

fn ann(store: &DiskStore) -> (AccountId, MailboxId) {
    let Some(Entry::Account(id)) = store
        .entry("ann", &"example.test".parse().unwrap())
        .unwrap()
    else {
        panic!("no ann");
    };
    let inbox = store.mailbox_named(id, "INBOX").unwrap().unwrap();
    (id, inbox.id)
}

/// The process that is killed: it says what was acknowledged, and only that. As a test of its
/// own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let store = open(Path::new(&folder));
    let (account, inbox) = ann(&store);
    let fence = store.fence(Shard::of_account(account)).unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let store = store.clone();
        clients.spawn(async move {
            for number in 0.. {
                let name = format!("{}-{client}-{number}", fence.epoch);
                let mut writer = Spool::draft(&store);
                assert!(writer.write(text(&name)).is_none());
                let target = Target::Local {
                    account,
                    detail: None,
                };
                let to = "ann@example.test".parse().unwrap();
                let mail = NewMail {
                    envelope: Envelope {
                        recipients: vec![Recipient::new(to, target)],
                        ..Envelope::default()
                    },
                    draft: writer.finish(),
                    arrived: Time(1),
                    answers: None,
                    origin: String::new(),
                };
                let id = store.accept(fence, mail).await.unwrap();
                say(&format!("accepted {id} {name}"));
                if number % 3 == 0 {
                    continue;
                }
                let arrival = Arrival {
                    id,
                    recipient: 0,
                    internal_date: Time(1),
                    flags: Flags::NONE,
                    keywords: vec![],
                };
                let appended = store.deliver(fence, account, inbox, arrival).await;
                let uid = appended.unwrap().unwrap().uid;
                say(&format!("delivered {id} {name} {uid}"));
            }
        });
    }
    while clients.join_next().await.is_some() {}
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // In one piece: a line that is cut off was not said.
    out.write_all(format!("\n!{line}.\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[derive(Default)]
struct Said {
    accepted: BTreeMap<MessageId, String>,
    delivered: BTreeMap<u32, (MessageId, String)>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let Some(line) = line.strip_prefix('!').and_then(|l| l.strip_suffix('.')) else {
            return;
        };
        let words: Vec<&str> = line.split(' ').collect();
        let id = words[1].parse().unwrap();
        let name = words[2].to_owned();
        if let [_, _, _, uid] = &*words {
            let other = self.delivered.insert(uid.parse().unwrap(), (id, name));
            assert!(other.is_none(), "UID {uid} was given out twice");
        } else {
            self.accepted.insert(id, name);
        }
    }

    fn verify(&self, store: &DiskStore) {
        let (account, inbox) = ann(store);
        let mut kept = BTreeMap::new();
        let mut each = |row: &MessageRow| {
            let body = MailStore::read(store, &row.body).unwrap().bytes().unwrap();
            kept.insert(row.uid.get(), body);
            true
        };
        let all = UidRange::ALL;
        store.messages(account, inbox, all, &mut each).unwrap();
        for (uid, (_, name)) in &self.delivered {
            assert!(kept.get(uid) == Some(&text(name)), "UID {uid} is lost");
        }
        for (id, name) in &self.accepted {
            if let Some(spooled) = store.get(*id).unwrap() {
                let body = Spool::read(store, &spooled.body).unwrap().bytes().unwrap();
                assert!(body == text(name), "message {id} is torn");
            } else {
                // Delivered, whether it could say so or not.
                let text = text(name);
                assert!(kept.values().any(|k| *k == text), "message {id} is lost");
            }
        }
        assert_eq!(store.check().unwrap().damage, [""; 0]);
    }
}

#[test]
fn what_a_killed_process_had_acknowledged_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let fence = store.fence(Shard::nth(0)).unwrap();
    let changes = vec![
        AccountChange::AddDomain("example.test".parse().unwrap()),
        AccountChange::AddAccount(NewAccount {
            address: "ann@example.test".parse().unwrap(),
            password: None,
            quota: Quota::default(),
        }),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(store.change(fence, changes)).unwrap();
    store.close().unwrap();
    drop(store);
    let mut said = Said::default();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let before = said.accepted.len() + said.delivered.len();
        let mut killed = false;
        for line in out.lines() {
            said.hear(&line.unwrap());
            let heard = said.accepted.len() + said.delivered.len() - before;
            if !killed && heard as u64 > 100 + round * 97 {
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "round {round}: the process ended by itself");
        child.wait().unwrap();
        let store = open(folder.path());
        assert!(!store.opened().clean);
        assert_eq!(store.opened().damage, [""; 0]);
        said.verify(&store);
        if round % 2 == 0 {
            store.close().unwrap();
        }
    }
}
