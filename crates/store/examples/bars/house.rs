//! A store with one account, and the mail that comes into it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use heronry_store::{
    Config, DiskStore,
    port::{
        AccountChange, Accounts, Arrival, Entry, Leases, MailStore, NewAccount, NewMail, Quota,
        Shard, Spool, UidRange,
    },
};
use mail::{AccountId, Address, Envelope, Flags, MailboxId, Recipient, Target, Time};

pub(crate) struct House {
    pub(crate) store: DiskStore,
    pub(crate) account: AccountId,
    pub(crate) inbox: MailboxId,
    address: Address,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl House {
    pub(crate) fn open(config: Config) -> Self {
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

    pub(crate) fn fence(&self) -> heronry_store::port::Fence {
        self.store.fence(Shard::nth(0)).unwrap()
    }

    pub(crate) fn mail(&self, text: Bytes, to: Recipient) -> NewMail {
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
    pub(crate) fn accept_home(&self, octets: usize, count: usize) -> Vec<Duration> {
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

    pub(crate) fn here(&self) -> Recipient {
        let target = Target::Local {
            account: self.account,
            detail: None,
        };
        Recipient::new(self.address.clone(), target)
    }

    /// Sixty-four at a time, by the spool; yields how long each took to be accepted.
    pub(crate) fn accept_and_deliver(&self, octets: usize, count: usize) -> Vec<Duration> {
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

    pub(crate) fn accept_for_elsewhere(&self, octets: usize, count: usize) {
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

    pub(crate) fn fill(&self, number: usize, octets: usize) {
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

    pub(crate) fn rows(&self, range: UidRange) -> Vec<heronry_store::port::BodyRef> {
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
pub(crate) fn text(number: usize, octets: usize) -> Bytes {
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

pub(crate) const WORDS: [&str; 24] = [
    "the", "meeting", "on", "Thursday", "report", "please", "see", "attached", "and", "regards",
    "about", "invoice", "with", "mail", "from", "house", "which", "would", "be", "number", "list",
    "to", "a", "of",
];

pub(crate) fn clock() -> heronry_store::Clock {
    let ticks = AtomicU64::new(1_800_000_000_000);
    Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)))
}

/// The time as the daemon will know it that goes on with what this leaves.
pub(crate) fn now() -> Time {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Time(u64::try_from(since.as_millis()).unwrap())
}
