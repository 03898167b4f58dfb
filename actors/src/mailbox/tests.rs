//! What a mailbox leaves to its successor.
#![allow(
    clippy::disallowed_types,
    reason = "a test looks at actors from outside, through memory that it shares with them"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mail::{AccountId, MailboxId, ModSeq};
use policy::retry::Schedule;
use store::{
    MemoryStore,
    port::{AccountChange, Accounts, Entry, Leases, NewAccount, Quota, Shard},
};
use supervision::{Context, Family, FamilySpec, Root, Seat, Strategy, Supervisor};
use world::{SeededRandom, SystemClock};

use super::{Mailbox, MailboxArgs, actor::say};
use crate::contract::{Landed, MailboxMsg, Watcher};

struct House {
    account: AccountId,
    contexts: Arc<Mutex<Vec<Context<AccountId>>>>,
    mailboxes: Family<AccountId, MailboxMsg>,
    _root: Root,
}

impl House {
    async fn new() -> Self {
        let store = MemoryStore::new();
        let address: mail::Address = "ann@house.test".parse().unwrap();
        let new = NewAccount {
            address: address.clone(),
            password: None,
            quota: Quota::default(),
        };
        let changes = vec![
            AccountChange::AddDomain(address.domain().clone()),
            AccountChange::AddAccount(new),
        ];
        let fence = store.fence(Shard::nth(0)).unwrap();
        store.change(fence, changes).await.unwrap();
        let Some(Entry::Account(account)) = store.entry("ann", address.domain()).unwrap() else {
            panic!("the account has just been made")
        };
        let (kept, contexts) = (Arc::new(store), Arc::<Mutex<Vec<_>>>::default());
        let keep = Arc::clone(&contexts);
        let spec = FamilySpec::transient("mailboxes");
        let mailboxes = Family::new(spec, move |_: &AccountId, context: Context<AccountId>| {
            keep.lock().unwrap().push(context.clone());
            let args = MailboxArgs {
                bounce: Seat::new("bounce"),
                context,
                leases: kept.clone(),
                mail: kept.clone(),
                spool: kept.clone(),
                clock: Arc::new(SystemClock::new()),
                random: Arc::new(SeededRandom::new(1)),
                schedule: Schedule::default(),
            };
            (Mailbox, args)
        });
        let root = Supervisor::new("house", Strategy::OneForOne).child(mailboxes.child());
        let root = root.start().await.unwrap();
        Self {
            account,
            contexts,
            mailboxes,
            _root: root,
        }
    }

    fn cast(&self, message: MailboxMsg) {
        self.mailboxes.cast(&self.account, message).unwrap();
    }

    async fn lock(&self, session: u64) -> bool {
        let (watcher, _) = watcher(session);
        let asked = |port| MailboxMsg::Lock(watcher, port);
        self.mailboxes
            .call(&self.account, asked, MINUTE)
            .await
            .unwrap()
    }
}

/// A session that is there, and the last MODSEQ that it was told.
fn watcher(session: u64) -> (Watcher, Arc<AtomicU64>) {
    let told = Arc::<AtomicU64>::default();
    let tell = {
        let told = Arc::clone(&told);
        Box::new(move |_, modseq: ModSeq| {
            told.store(modseq.0, Ordering::Relaxed);
            true
        })
    };
    (Watcher { session, tell }, told)
}

#[tokio::test(start_paused = true)]
async fn a_maildrop_that_is_asked_for_as_its_mailbox_leaves_is_not_given_twice() {
    let house = House::new().await;
    house.cast(MailboxMsg::Unlock(0)); // starts it
    tokio::time::sleep(MINUTE).await;
    house.cast(MailboxMsg::Idle);
    assert!(
        house.lock(1).await,
        "heard behind the question whether it is idle"
    );
    assert!(!house.lock(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_outlives_its_mailbox_is_told_to_who_watches_the_next_one() {
    let house = House::new().await;
    house.cast(MailboxMsg::Unlock(0));
    tokio::time::sleep(MINUTE).await;
    let mut first = None;
    house
        .mailboxes
        .for_each(|_, mailbox| first = Some(mailbox.clone()));
    let first = first.unwrap();
    first.kill();
    tokio::time::sleep(MINUTE).await;
    let (watcher, told) = watcher(1);
    let asked = |port| MailboxMsg::Watch(MailboxId(1), watcher, port);
    let watched = house.mailboxes.call(&house.account, asked, MINUTE).await;
    watched.unwrap().unwrap();
    let context = house.contexts.lock().unwrap()[0].clone();
    say(&first, &context, Landed::at(MailboxId(1), ModSeq(7)));
    tokio::time::sleep(MINUTE).await;
    assert_eq!(told.load(Ordering::Relaxed), 7);
}

const MINUTE: Duration = Duration::from_secs(60);
