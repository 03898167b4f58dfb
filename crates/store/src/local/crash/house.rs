//! A store on a simulated disk, turned by hand: the same seed gives the same story.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use mail::{AccountId, Envelope, Flags, MailboxId, MessageId, Recipient, Target, Time};

use crate::{
    StoreError,
    desk::Store,
    directory::MemoryEngines,
    disk::SimulatedDisk,
    local::{Config, Local, compaction::Step, threads::Workers, upkeep::Upkeep},
    port::{
        Accepted, AccountChange, Accounts, Appended, Arrival, Draft, Entry, Fence, Leases,
        MailStore, NewAccount, NewMail, Pending, Quota, Shard, Spool,
    },
};

/// The store with all that outlives it.
pub(super) struct House {
    pub(super) disk: SimulatedDisk,
    pub(super) engines: MemoryEngines,
    pub(super) store: Store<Local>,
    pub(super) config: Config,
    pub(super) ann: AccountId,
    pub(super) ticks: Arc<AtomicU64>,
}

/// A write whose end is looked at later.
pub(super) struct Waiting<T>(mpsc::Receiver<Result<T, StoreError>>);

impl<T: Send + 'static> Waiting<T> {
    pub(super) fn on(pending: Pending<T>) -> Self {
        let (told, heard) = mpsc::channel();
        pending.then(move |result| {
            let _ = told.send(result); // a schedule may have ended
        });
        Self(heard)
    }

    /// The end, when somebody else brings it.
    #[track_caller]
    pub(super) fn wait(&self) -> Result<T, StoreError> {
        self.0.recv_timeout(LONG).expect("it comes to an end")
    }

    /// `None` while it waits.
    pub(super) fn end(&self) -> Option<Result<T, StoreError>> {
        self.0.try_recv().ok()
    }
}

impl House {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, |_| ())
    }

    pub(super) fn with(seed: u64, edit: impl FnOnce(&mut Config)) -> Self {
        let disk = SimulatedDisk::new(seed);
        let engines = MemoryEngines::default();
        let ticks = Arc::new(AtomicU64::new(1_800_000_000_000));
        let mut config = Config {
            segment_octets: 64 * 1024,
            mail_partitions: 2,
            checkpoint_octets: 8 * 1024,
            reserve_octets: 1 << 20,
            cold_after_seconds: 0,
            ..Config::new("simulated")
        };
        edit(&mut config);
        let store = open(&disk, &engines, &config, &ticks).unwrap();
        let mut house = Self {
            disk,
            engines,
            store,
            config,
            ann: AccountId(0),
            ticks,
        };
        let changes = vec![
            AccountChange::AddDomain("example.test".parse().unwrap()),
            AccountChange::AddAccount(NewAccount {
                address: "ann@example.test".parse().unwrap(),
                password: None,
                quota: Quota::default(),
            }),
        ];
        let added = Waiting::on(house.store.change(house.fence(), changes));
        house.turn();
        added.end().unwrap().unwrap();
        let domain = "example.test".parse().unwrap();
        match house.store.entry("ann", &domain).unwrap() {
            Some(Entry::Account(id)) => house.ann = id,
            other => panic!("{other:?}"),
        }
        house
    }

    /// Writes all that waits.
    pub(super) fn turn(&self) {
        while self.turn_once() {}
    }

    /// Writes one group.
    pub(super) fn turn_once(&self) -> bool {
        let Workers::AtHand(writer, _) = &mut *self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        // A panic too many ends the writer's thread; here it only ends the turn.
        catch_unwind(AssertUnwindSafe(|| writer.turn())).unwrap_or(true)
    }

    /// Does a piece of what is done beside the writer.
    pub(super) fn turn_ground(&self) -> bool {
        let Workers::AtHand(writer, _) = &*self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        writer.turn_ground()
    }

    /// Puts what is durable into the directory.
    pub(super) fn follow(&self) -> Result<(), StoreError> {
        let Workers::AtHand(_, upkeep) = &mut *self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        let shared = self.store.keeper.shared()?;
        // What a round did before it panicked is done again by the next.
        let round = AssertUnwindSafe(|| upkeep.round(&shared));
        catch_unwind(round).unwrap_or(Err(StoreError::Lost))
    }

    /// What is done when it is quiet.
    pub(super) fn vouch(&self) -> Result<(), StoreError> {
        let Workers::AtHand(_, upkeep) = &mut *self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        upkeep.vouch(&*self.store.keeper.shared()?)
    }

    /// Begins to move what is alive in segments that are mostly dead, or does a step of it.
    pub(super) fn compact(&self) -> Result<Step, StoreError> {
        let Workers::AtHand(_, upkeep) = &mut *self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        let shared = self.store.keeper.shared()?;
        let Upkeep {
            follower,
            ledger,
            compaction,
            ..
        } = &mut **upkeep;
        let step = AssertUnwindSafe(|| {
            if !compaction.is_busy() {
                let percent = self.config.compact_below_percent;
                let sealed = ledger.look(&shared)?;
                compaction.begin(&sealed, follower.floor, percent);
                if !compaction.is_busy() {
                    compaction.begin_cold(&shared, &sealed, follower.floor)?;
                }
            }
            compaction.step(&shared, ledger)
        });
        catch_unwind(step).unwrap_or(Err(StoreError::Lost))
    }

    /// Moves all that is worth it.
    pub(super) fn compact_all(&self) {
        loop {
            match self.compact().unwrap() {
                Step::Idle => return,
                Step::Did(_) | Step::Done | Step::Waits => self.turn(),
            }
            self.follow().unwrap();
        }
    }

    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        self.follow()?;
        let Workers::AtHand(_, upkeep) = &mut *self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        let checkpoint = AssertUnwindSafe(|| upkeep.follower.checkpoint());
        catch_unwind(checkpoint).unwrap_or(Err(StoreError::Lost))
    }

    /// Writes a checkpoint in the place of one that is known to have rotted.
    pub(super) fn replace_rotten(&self) -> Result<(), StoreError> {
        let Workers::AtHand(_, upkeep) = &mut *self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        upkeep.replace_rotten(&*self.store.keeper.shared()?)
    }

    /// What is needed by no checkpoint that is kept ends here.
    pub(super) fn floor(&self) -> u64 {
        let Workers::AtHand(_, upkeep) = &mut *self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        upkeep.follower.floor
    }

    /// Gives back what nothing needs any more.
    pub(super) fn drop_dead(&self) -> Result<(), StoreError> {
        let Workers::AtHand(_, upkeep) = &mut *self.store.workers() else {
            unreachable!("nobody has started the threads");
        };
        let shared = self.store.keeper.shared()?;
        upkeep.drop_dead(&shared).map(|_| ())
    }

    /// The power is cut and comes back.
    pub(super) fn cut_power(&mut self) -> Result<(), StoreError> {
        self.disk.cut_power();
        self.engines.cut_power();
        self.reopen()
    }

    /// The process is killed, and another one starts.
    pub(super) fn kill(&mut self) -> Result<(), StoreError> {
        self.disk.kill_process();
        self.engines.kill_process(|| self.disk.below(2) == 0);
        self.reopen()
    }

    pub(super) fn reopen(&mut self) -> Result<(), StoreError> {
        self.store = open(&self.disk, &self.engines, &self.config, &self.ticks)?;
        Ok(())
    }

    /// The store is opened anew under everybody's hands; nobody is at work then.
    pub(super) fn renew(&self) -> Result<(), StoreError> {
        let mut workers = self.store.workers();
        let opened = self.store.renew(&mut workers, |_, _| Ok(()))?;
        match opened.damage.into_iter().next() {
            Some(what) => Err(StoreError::Damage { what }),
            None => Ok(()),
        }
    }

    pub(super) fn fence(&self) -> Fence {
        self.store.fence(Shard::nth(3)).unwrap()
    }

    pub(super) fn inbox(&self) -> MailboxId {
        let row = self.store.mailbox_named(self.ann, "INBOX").unwrap();
        row.unwrap().id
    }

    pub(super) fn draft(&self, octets: &Bytes) -> Draft {
        let mut writer = Spool::draft(&self.store);
        for from in (0..octets.len()).step_by(100_000) {
            // Nobody waits: the order of the journal is enough here.
            drop(writer.write(octets.slice(from..octets.len().min(from + 100_000))));
        }
        writer.finish()
    }

    pub(super) fn accept(&self, octets: &Bytes) -> Waiting<MessageId> {
        Waiting::on(self.store.accept(self.fence(), self.mail(octets)))
    }

    pub(super) fn accept_home(&self, octets: &Bytes) -> Waiting<Accepted> {
        let (fence, mail) = (self.fence(), self.mail(octets));
        Waiting::on(self.store.accept_home(fence, &[fence], mail))
    }

    fn mail(&self, octets: &Bytes) -> NewMail {
        let recipient = Recipient::new(
            "ann@example.test".parse().unwrap(),
            Target::Local {
                account: self.ann,
                detail: None,
            },
        );
        NewMail {
            envelope: Envelope {
                recipients: vec![recipient],
                ..Envelope::default()
            },
            draft: self.draft(octets),
            arrived: Time(self.ticks.load(Ordering::Relaxed)),
            answers: None,
            origin: String::new(),
        }
    }

    pub(super) fn append(&self, mailbox: MailboxId, octets: &Bytes) -> Waiting<Vec<Appended>> {
        let message = (self.draft(octets), Flags::NONE, vec![], Time(1));
        let appended = self
            .store
            .append(self.fence(), self.ann, mailbox, vec![message]);
        Waiting::on(appended)
    }

    pub(super) fn deliver(&self, mailbox: MailboxId, id: MessageId) -> Waiting<Option<Appended>> {
        let arrival = Arrival {
            id,
            recipient: 0,
            internal_date: Time(1),
            flags: Flags::NONE,
            keywords: vec![],
        };
        Waiting::on(self.store.deliver(self.fence(), self.ann, mailbox, arrival))
    }

    #[track_caller]
    pub(super) fn assert_whole(&self, seed: u64) {
        let damage = &self.store.opened().damage;
        assert!(damage.is_empty(), "seed {seed}: {damage:?}");
        let damage = self.store.check().unwrap().damage;
        assert!(damage.is_empty(), "seed {seed}: {damage:?}");
    }
}

pub(super) fn open(
    disk: &SimulatedDisk,
    engines: &MemoryEngines,
    config: &Config,
    ticks: &Arc<AtomicU64>,
) -> Result<Store<Local>, StoreError> {
    let ticks = ticks.clone();
    Store::open_on(
        Arc::new(disk.clone()),
        Arc::new(engines.clone()),
        config.clone(),
        Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed))),
        (true, Arc::new(|_| ())),
    )
}

/// Long enough for anything.
const LONG: Duration = Duration::from_secs(60);
