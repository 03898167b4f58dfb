//! Random schedules of writes, faults, cuts and kills: what was acknowledged is there, what was
//! not is there whole or not at all. `HERONRY_SEED=… cargo test` repeats one;
//! `HERONRY_SCHEDULES=10000` makes it a longer run.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mail::{Flags, MailboxId, MessageId, Uid};

use super::house::{House, Waiting};
use crate::{
    StoreError,
    codec::Compress,
    disk::{Faults, write_whole},
    local::compaction::Step,
    port::{
        Accepted, Appended, FlagChange, FlagsHow, MailStore, MessageFlags, MessageRow, Settle,
        Spool, UidRange,
    },
};

/// What the outside knows.
#[derive(Default)]
struct Known {
    /// Messages that are surely in the spool, and those that may be.
    spooled: BTreeMap<MessageId, Bytes>,
    perhaps_spooled: BTreeSet<MessageId>,
    /// Messages that are surely in the mailbox, and those that may be.
    kept: BTreeMap<Uid, (Bytes, Flags)>,
    perhaps_kept: BTreeSet<Uid>,
    /// Every text that was ever written.
    texts: BTreeSet<Bytes>,
    highest_uid: u32,
}

enum Write {
    Accept(Bytes, Waiting<MessageId>),
    Append(Bytes, Waiting<Vec<Appended>>),
    /// Set aside, or released: in either case it is still there.
    Aside(Waiting<()>),
    Deliver(MessageId, Waiting<Option<Appended>>),
    Drop(MessageId, Waiting<()>),
    Expunge(Uid, Waiting<Vec<Uid>>),
    Flag(Uid, Waiting<(Vec<MessageFlags>, Vec<Uid>)>),
    Home(Bytes, Waiting<Accepted>),
}

struct Schedule {
    seed: u64,
    house: House,
    inbox: MailboxId,
    known: Known,
    writes: Vec<Write>,
    number: u64,
    faulty: bool,
    /// Octets that compaction moved, or looked through.
    compacted: u64,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut house = House::with(seed, |config| {
            config.compact_below_percent = 90;
            config.cold_after_seconds = seed % 2;
            config.compress = match seed % 3 {
                0 => Compress::Always,
                1 => Compress::Cold,
                _ => Compress::Never,
            };
        });
        if seed % 5 == 4 {
            // What an older Heronry has made; at half time somebody agrees to the newest.
            write_whole(&house.disk, "format", b"heronry store 2\n").unwrap();
            house.kill().unwrap();
        }
        let inbox = house.inbox();
        Self {
            seed,
            house,
            inbox,
            known: Known::default(),
            writes: Vec::new(),
            number: 0,
            faulty: seed % 2 == 1,
            compacted: 0,
        }
    }

    fn run(&mut self) {
        for round in 0..4 {
            if round == 2 {
                self.house.store.commit_format().unwrap();
            }
            if self.faulty {
                self.house.disk.set_faults(Faults {
                    sync: 60,
                    write: 40,
                    create: 60,
                    // Few: each prints where it was.
                    panic: if self.seed % 16 == 3 { 20 } else { 0 },
                });
            }
            if self.chance(3) {
                let fuse = self.house.disk.below(40);
                self.house.disk.light_fuse(u32::try_from(fuse).unwrap());
            }
            for _ in 0..self.house.disk.below(25) {
                self.step();
            }
            self.house.disk.set_faults(Faults::default());
            self.end();
            self.verify();
        }
    }

    fn chance(&self, one_in: u64) -> bool {
        self.house.disk.below(one_in) == 0
    }

    fn text(&mut self) -> Bytes {
        self.number += 1;
        let octets = match self.house.disk.below(40) {
            0 => 300_000 + self.house.disk.below(300_000),
            n => 20 + n * n * 10,
        };
        let line = format!("message {} of schedule {}\r\n", self.number, self.seed);
        let line = line.as_bytes().iter().copied().cycle();
        let text: Bytes = line.take(usize::try_from(octets).unwrap()).collect();
        self.known.texts.insert(text.clone());
        text
    }

    fn any<T: Copy>(&self, of: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let count = of.len() as u64;
        let at = self.house.disk.below(count.max(1));
        of.into_iter().nth(usize::try_from(at).unwrap())
    }

    fn step(&mut self) {
        match self.house.disk.below(19) {
            0..=2 => {
                let text = self.text();
                let waiting = self.house.accept(&text);
                self.writes.push(Write::Accept(text, waiting));
            }
            3..=4 => {
                let text = self.text();
                let waiting = self.house.append(self.inbox, &text);
                self.writes.push(Write::Append(text, waiting));
            }
            5..=6 => {
                if let Some(id) = self.any(self.known.spooled.keys().copied()) {
                    let waiting = self.house.deliver(self.inbox, id);
                    self.writes.push(Write::Deliver(id, waiting));
                }
            }
            7 => {
                if let Some(id) = self.any(self.known.spooled.keys().copied()) {
                    let reply = mail::Reply::new(250, None, "dropped");
                    let what = vec![(0, Settle::Close(reply))];
                    let settled = self.house.store.settle(self.house.fence(), id, what);
                    self.writes.push(Write::Drop(id, Waiting::on(settled)));
                }
            }
            8 => {
                if let Some(uid) = self.any(self.known.kept.keys().copied()) {
                    let (fence, ann) = (self.house.fence(), self.house.ann);
                    let store = &self.house.store;
                    let gone = store.expunge(fence, ann, self.inbox, vec![uid], false);
                    self.writes.push(Write::Expunge(uid, Waiting::on(gone)));
                }
            }
            9 => {
                if let Some(uid) = self.any(self.known.kept.keys().copied()) {
                    let change = FlagChange {
                        how: FlagsHow::Add,
                        flags: Flags::SEEN,
                        keywords: vec![],
                    };
                    let (fence, ann) = (self.house.fence(), self.house.ann);
                    let store = &self.house.store;
                    let done = store.flag(fence, ann, self.inbox, vec![uid], change, None);
                    self.writes.push(Write::Flag(uid, Waiting::on(done)));
                }
            }
            10 => {
                // May fail as the disk does: then it is done later.
                let _ = self.house.follow();
                if self.chance(8) {
                    let _ = self.house.checkpoint();
                }
            }
            11 => {
                if let Some(id) = self.any(self.known.spooled.keys().copied()) {
                    let (fence, store) = (self.house.fence(), &self.house.store);
                    let moved = if self.chance(2) {
                        store.set_aside(fence, id, "it crashed".to_owned())
                    } else {
                        store.release(fence, id)
                    };
                    self.writes.push(Write::Aside(Waiting::on(moved)));
                }
            }
            12..=13 => self.compact(),
            14..=15 => {
                let text = self.text();
                let waiting = self.house.accept_home(&text);
                self.writes.push(Write::Home(text, waiting));
            }
            16 => {
                for _ in 0..self.house.disk.below(3) {
                    self.house.turn_ground();
                }
            }
            _ => {
                if self.chance(2) {
                    self.house.turn();
                } else {
                    self.house.turn_once();
                }
                self.hear();
            }
        }
    }

    /// Some steps of compaction, now and then with all that makes them possible.
    fn compact(&mut self) {
        if self.chance(3) {
            for _ in 0..2 {
                self.house.turn();
                let _ = self.house.checkpoint(); // may fail as the disk does
            }
            let _ = self.house.drop_dead();
        }
        for _ in 0..self.house.disk.below(9) {
            if let Ok(Step::Did(octets)) = self.house.compact() {
                self.compacted += octets;
            }
            if self.chance(2) {
                self.house.turn_once();
                let _ = self.house.follow();
            }
        }
        self.hear();
    }

    /// Learns what has become of the writes.
    fn hear(&mut self) {
        let writes = std::mem::take(&mut self.writes);
        for write in writes {
            if self.heard(&write).is_none() {
                self.writes.push(write);
            }
        }
    }

    /// `None` while it waits.
    fn heard(&mut self, write: &Write) -> Option<()> {
        let (known, seed) = (&mut self.known, self.seed);
        match write {
            Write::Accept(text, waiting) => {
                if let Ok(id) = waiting.end()? {
                    known.spooled.insert(id, text.clone());
                }
            }
            Write::Append(text, waiting) => {
                if let Ok(appended) = waiting.end()? {
                    known.keep(appended[0].uid, text.clone());
                }
            }
            Write::Home(text, waiting) => {
                if let Ok(accepted) = waiting.end()? {
                    known.keep(accepted.delivered[0].uid, text.clone());
                }
            }
            Write::Aside(waiting) => {
                if let Err(error) = waiting.end()? {
                    refused(seed, &error);
                }
            }
            Write::Deliver(id, waiting) => match waiting.end()? {
                Ok(Some(appended)) => {
                    let text = known
                        .spooled
                        .remove(id)
                        .expect("it was not delivered twice");
                    known.perhaps_spooled.remove(id);
                    known.keep(appended.uid, text);
                }
                Ok(None) => {
                    known.spooled.remove(id);
                    known.perhaps_spooled.remove(id);
                }
                Err(error) => {
                    refused(seed, &error);
                    known.perhaps_spooled.insert(*id);
                }
            },
            Write::Drop(id, waiting) => match waiting.end()? {
                Ok(()) => {
                    known.spooled.remove(id);
                    known.perhaps_spooled.remove(id);
                }
                Err(error) => {
                    refused(seed, &error);
                    known.perhaps_spooled.insert(*id);
                }
            },
            Write::Expunge(uid, waiting) => match waiting.end()? {
                Ok(_) => {
                    known.kept.remove(uid);
                    known.perhaps_kept.remove(uid);
                }
                Err(error) => {
                    refused(seed, &error);
                    known.perhaps_kept.insert(*uid);
                }
            },
            Write::Flag(uid, waiting) => match waiting.end()? {
                Ok((rows, _)) => {
                    if let Some((_, flags)) = known.kept.get_mut(uid)
                        && !rows.is_empty()
                    {
                        *flags = Flags::SEEN;
                    }
                }
                Err(error) => {
                    refused(seed, &error);
                    known.perhaps_kept.insert(*uid);
                }
            },
        }
        Some(())
    }

    /// The power is cut, the process killed, or ended well; or the store is opened anew in it.
    fn end(&mut self) {
        let sealed = self.faulty && self.seal();
        self.hear();
        if sealed {
            self.known.perhaps_spooled.clear();
            self.known.perhaps_kept.clear();
        }
        for write in std::mem::take(&mut self.writes) {
            match write {
                Write::Deliver(id, _) | Write::Drop(id, _) => {
                    self.known.perhaps_spooled.insert(id);
                }
                Write::Expunge(uid, _) | Write::Flag(uid, _) => {
                    self.known.perhaps_kept.insert(uid);
                }
                Write::Accept(..) | Write::Append(..) | Write::Aside(..) | Write::Home(..) => {}
            }
        }
        let ended = match self.house.disk.below(5) {
            0 => self.house.kill(),
            1 => {
                let _ = self.house.store.close();
                self.house.disk.kill_process();
                self.house.reopen()
            }
            2 => {
                self.house.disk.end_trouble();
                self.house.renew()
            }
            _ => self.house.cut_power(),
        };
        if let Err(error) = ended {
            panic!("seed {}: it does not open: {error}", self.seed);
        }
    }

    /// A write that succeeds proves that what was refused before is sealed off.
    fn seal(&mut self) -> bool {
        for _ in 0..20 {
            let probe = Bytes::from_static(b"probe");
            self.known.texts.insert(probe.clone());
            let waiting = self.house.append(self.inbox, &probe);
            self.house.turn();
            if let Some(Ok(appended)) = waiting.end() {
                self.known.keep(appended[0].uid, probe);
                return true;
            }
        }
        false
    }

    fn verify(&mut self) {
        let seed = self.seed;
        self.house.assert_whole(seed);
        let store = &self.house.store;
        let open = store.open(None, 10_000).unwrap();
        let aside = store.aside(None, 10_000).unwrap();
        let get = |id: MessageId| match store.get(id).unwrap() {
            None => store.get_aside(id).unwrap().map(|aside| aside.message),
            Some(message) => {
                assert!(!aside.contains(&id), "seed {seed}: {id} is there twice");
                Some(message)
            }
        };
        for (id, text) in &self.known.spooled {
            match get(*id) {
                Some(spooled) => {
                    let body = Spool::read(store, &spooled.body).unwrap();
                    assert!(body.bytes().unwrap() == *text, "seed {seed}: message {id}");
                }
                None => assert!(
                    self.known.perhaps_spooled.contains(id),
                    "seed {seed}: accepted message {id} is lost"
                ),
            }
        }
        let mut spooled = BTreeMap::new();
        for id in open.into_iter().chain(aside.iter().copied()) {
            let message = get(id).unwrap();
            let octets = Spool::read(store, &message.body).unwrap().bytes().unwrap();
            assert!(
                self.known.texts.contains(&octets),
                "seed {seed}: {id} is torn"
            );
            spooled.insert(id, octets);
        }
        let mut rows = Vec::new();
        let mut each = |row: &MessageRow| {
            rows.push(*row);
            true
        };
        store
            .messages(self.house.ann, self.inbox, UidRange::ALL, &mut each)
            .unwrap();
        let mut kept = BTreeMap::new();
        for row in rows {
            let octets = MailStore::read(store, &row.body).unwrap().bytes().unwrap();
            assert!(
                self.known.texts.contains(&octets),
                "seed {seed}: {} is torn",
                row.uid
            );
            kept.insert(row.uid, (octets, row.flags));
        }
        for (uid, (text, flags)) in &self.known.kept {
            let perhaps = self.known.perhaps_kept.contains(uid);
            match kept.get(uid) {
                Some((octets, found)) => {
                    assert!(
                        octets == text,
                        "seed {seed}: UID {uid} is another message now"
                    );
                    assert!(
                        perhaps || found == flags,
                        "seed {seed}: flags of UID {uid}: {found:?} for {flags:?}"
                    );
                }
                None => assert!(perhaps, "seed {seed}: UID {uid} is lost"),
            }
        }
        let row = store.mailbox(self.house.ann, self.inbox).unwrap().unwrap();
        assert!(
            row.uid_next.get() > self.known.highest_uid,
            "seed {seed}: UIDs went back"
        );
        // What is there now was seen: it must stay.
        self.known.spooled = spooled;
        self.known.kept = kept;
        self.known.perhaps_spooled.clear();
        self.known.perhaps_kept.clear();
        self.known.highest_uid = row.uid_next.get() - 1;
    }
}

/// A refusal is the disk's fault. Until something later is durable, what was refused may come to
/// light again after a cut.
fn refused(seed: u64, error: &StoreError) {
    assert!(
        matches!(
            error,
            StoreError::Disk { .. } | StoreError::Full { .. } | StoreError::Lost
        ),
        "seed {seed}: {error}"
    );
}

impl Known {
    fn keep(&mut self, uid: Uid, text: Bytes) {
        self.highest_uid = self.highest_uid.max(uid.get());
        self.kept.insert(uid, (text, Flags::NONE));
    }
}

#[test]
fn what_was_acknowledged_outlives_every_schedule_of_faults_cuts_and_kills() {
    let seeds = match std::env::var("HERONRY_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("HERONRY_SEED is a number");
            seed..seed + 1
        }
        Err(_) => {
            let count = std::env::var("HERONRY_SCHEDULES").map(|count| count.parse());
            0..count.map_or(SCHEDULES, |count| {
                count.expect("HERONRY_SCHEDULES is a number")
            })
        }
    };
    let (mut compacted, count) = (0, seeds.end - seeds.start);
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let mut schedule = Schedule::new(seed);
            schedule.run();
            schedule.compacted
        });
        match run {
            Ok(octets) => compacted += octets,
            Err(panic) => {
                eprintln!("HERONRY_SEED={seed} repeats this");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Else they would prove nothing of it.
    assert!(count < 100 || compacted > 5_000 * count, "{compacted}");
}

const SCHEDULES: u64 = 500;
