//! A message that brings an actor down every time is set aside, and everything else goes on.

use std::{sync::Arc, time::Duration};

use heronry_actors::{
    bounce::{Bounce, BounceArgs},
    contract::{
        BounceMsg, CrashTeller, MailboxMsg, PoisonFailure, PoisonKey, PoisonMsg, PoisonReport,
        QueueMsg, RouterMsg,
    },
    facts::AccountFacts,
    mailbox::{Mailbox, MailboxArgs},
    poison::{Poison, PoisonArgs},
    refused::RefusedCommands,
    router::{Router, RouterArgs},
};
use mail::{AccountId, Domain, Enhanced, Envelope, MessageId, Recipient, Reply, Target, Time};
use policy::{retry::Schedule, route::Rules};
use store::{
    MemoryStore,
    port::{Leases, MailStore, NewMail, Quota, Settle, Shard, Spool},
};
use supervision::{
    ChildSpec, Family, FamilySpec, Intensity, Root, Seat, Strategy, Supervisor, actor,
};
use world::{SeededRandom, SystemClock};

use super::cursed::{Curse, Cursed};
use crate::ann;

/// Who meets the fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Victim {
    Bounce,
    Mailbox,
    Router,
}

#[tokio::test]
async fn a_message_that_brings_the_router_down_is_set_aside_and_the_rest_goes_on() {
    brings_down(Victim::Router).await;
}

#[tokio::test]
async fn a_message_that_brings_a_mailbox_down_is_set_aside_and_the_rest_goes_on() {
    brings_down(Victim::Mailbox).await;
}

#[tokio::test]
async fn a_message_that_brings_the_bounce_actor_down_is_set_aside_and_the_rest_goes_on() {
    brings_down(Victim::Bounce).await;
}

async fn brings_down(victim: Victim) {
    let house = House::new(victim).await;
    // A failed message comes back to its sender, who is ann: all that goes well ends with her.
    let fails = victim == Victim::Bounce;
    house.accept("first", fails).await;
    let bad = house.accept("bad", fails).await;
    *house.curse.lock().unwrap() = Some(bad);
    house.accept("last", fails).await;
    let root = house.start().await;
    house
        .until("it is set aside", || house.aside() == [bad])
        .await;
    house
        .until("the rest has arrived", || house.arrived() == 2)
        .await;
    let aside = house.store.get_aside(bad).unwrap().unwrap();
    assert!(aside.report.contains("cursed"), "{}", aside.report);
    assert!(aside.report.contains(&bad.to_string()), "{}", aside.report);

    // The fault is still there: two more crashes, and it is aside again.
    let crashes = house.report().await.crashes.len();
    house.retry(bad).await.unwrap();
    house.until_crashed(crashes + 2).await;
    house
        .until("it is aside again", || house.aside() == [bad])
        .await;

    *house.curse.lock().unwrap() = None;
    house.retry(bad).await.unwrap();
    house.until("it has arrived", || house.arrived() == 3).await;
    assert_eq!(house.aside(), []);
    assert!(matches!(
        house.retry(bad).await,
        Err(PoisonFailure::Missing(_))
    ));
    root.stop().await;
}

#[tokio::test]
async fn what_is_dropped_is_forgotten() {
    let house = House::new(Victim::Router).await;
    let bad = house.accept("bad", false).await;
    *house.curse.lock().unwrap() = Some(bad);
    let root = house.start().await;
    house
        .until("it is set aside", || house.aside() == [bad])
        .await;
    house.drop(bad).await.unwrap();
    assert!(matches!(
        house.drop(bad).await,
        Err(PoisonFailure::Missing(_))
    ));
    *house.curse.lock().unwrap() = None;
    assert!(house.store.get(bad).unwrap().is_none());
    assert_eq!(house.aside(), []);
    house.accept("good", false).await;
    house.router.cast(RouterMsg::Look).unwrap();
    house.until("others arrive", || house.arrived() == 1).await;
    root.stop().await;
}

struct House {
    store: MemoryStore,
    ann: AccountId,
    curse: Curse,
    victim: Victim,
    poison: Seat<PoisonMsg>,
    router: Seat<RouterMsg>,
}

impl House {
    async fn new(victim: Victim) -> Self {
        let store = MemoryStore::new();
        let ann = ann::moves_in(&store, Quota::default()).await.account;
        Self {
            store,
            ann,
            curse: Curse::default(),
            victim,
            poison: Seat::new("poison"),
            router: Seat::new("router"),
        }
    }

    /// A message of ann to herself; or one to somebody far away, for whom it has failed.
    async fn accept(&self, subject: &str, fails: bool) -> MessageId {
        let (address, target) = if fails {
            ("bob@far.test", Target::Remote("far.test".parse().unwrap()))
        } else {
            let (account, detail) = (self.ann, None);
            ("ann@house.test", Target::Local { account, detail })
        };
        let mut writer = Spool::draft(&self.store);
        assert!(
            writer
                .write(format!("Subject: {subject}\r\n\r\n").into())
                .is_none()
        );
        let mail = NewMail {
            envelope: Envelope {
                from: Some("ann@house.test".parse().unwrap()),
                recipients: vec![Recipient::new(address.parse().unwrap(), target)],
                ..Envelope::default()
            },
            draft: writer.finish(),
            arrived: Time(1),
            answers: None,
            origin: String::new(),
        };
        let fence = self.store.fence(Shard::nth(0)).unwrap();
        let id = self.store.accept(fence, mail).await.unwrap();
        if fails {
            let failed = Settle::Fail(Reply::new(550, Enhanced(5, 1, 1), "no such user"));
            self.store
                .settle(fence, id, vec![(0, failed)])
                .await
                .unwrap();
        }
        id
    }

    async fn start(&self) -> Root {
        let good = Arc::new(self.store.clone());
        let cursed = Arc::new(Cursed(self.store.clone(), self.curse.clone()));
        let spool_of = |who: Victim| -> Arc<dyn Spool> {
            if who == self.victim {
                cursed.clone()
            } else {
                good.clone()
            }
        };
        let book = RefusedCommands::new([0; 32]);
        let bounce: Seat<BounceMsg> = Seat::new("bounce");
        let (spool, told) = (good.clone(), bounce.clone());
        let mail: Arc<dyn MailStore> = if self.victim == Victim::Mailbox {
            cursed.clone()
        } else {
            good.clone()
        };
        let mailboxes: Family<AccountId, MailboxMsg> = Family::new(
            FamilySpec::transient("mailboxes"),
            move |_: &AccountId, context| {
                let args = MailboxArgs {
                    bounce: told.clone(),
                    mail: mail.clone(),
                    ..ann::mailbox_args(context, &spool)
                };
                (Mailbox, args)
            },
        );
        let queues: Family<Domain, QueueMsg> = Family::vacant(FamilySpec::transient("queues")).0;
        let router = RouterArgs {
            clock: Arc::new(SystemClock::new()),
            bounce: bounce.clone(),
            mailboxes: mailboxes.clone(),
            queues,
            spool: spool_of(Victim::Router),
        };
        let poison = PoisonArgs {
            book,
            clock: Arc::new(SystemClock::new()),
            leases: good.clone(),
            router: self.router.clone(),
            spool: good.clone(),
        };
        let bounces = BounceArgs {
            clock: Arc::new(SystemClock::new()),
            facts: AccountFacts(good.clone()),
            hostname: "mx.house.test".parse().unwrap(),
            leases: good.clone(),
            random: Arc::new(SeededRandom::new(1)),
            router: self.router.clone(),
            rules: Rules::default(),
            schedule: Schedule::default(),
            spool: spool_of(Victim::Bounce),
        };
        let teller = CrashTeller::new(self.poison.clone());
        let place = |name, start| ChildSpec::permanent(name, start);
        Supervisor::new("house", Strategy::OneForOne)
            .intensity(Intensity {
                restarts_max: 100,
                window: Duration::from_secs(5),
            })
            .on_crash(move |crash| teller.tell(crash))
            .child(place(
                "poison",
                actor(|| Poison, move || poison.clone(), &self.poison),
            ))
            .child(place(
                "bounce",
                actor(|| Bounce, move || bounces.clone(), &bounce),
            ))
            .child(mailboxes.child())
            .child(place(
                "router",
                actor(|| Router, move || router.clone(), &self.router),
            ))
            .start()
            .await
            .unwrap()
    }

    fn aside(&self) -> Vec<MessageId> {
        self.store.aside(None, 9).unwrap()
    }

    /// How many messages ann has.
    fn arrived(&self) -> u32 {
        let inbox = self.store.mailbox_named(self.ann, "INBOX").unwrap();
        inbox.unwrap().messages
    }

    async fn report(&self) -> PoisonReport {
        self.poison.call(PoisonMsg::Inspect, LONG).await.unwrap()
    }

    async fn retry(&self, id: MessageId) -> Result<(), PoisonFailure> {
        let key = PoisonKey::Message(id);
        let done = self.poison.call(|reply| PoisonMsg::Retry(key, reply), LONG);
        done.await.unwrap()
    }

    async fn drop(&self, id: MessageId) -> Result<(), PoisonFailure> {
        let key = PoisonKey::Message(id);
        let done = self.poison.call(|reply| PoisonMsg::Drop(key, reply), LONG);
        done.await.unwrap()
    }

    async fn until_crashed(&self, times: usize) {
        for _ in 0..TRIES {
            if self.report().await.crashes.len() >= times {
                return;
            }
            drop(self.router.cast(RouterMsg::Look));
            tokio::time::sleep(PAUSE).await;
        }
        panic!("there never were {times} crashes");
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..TRIES {
            if is_so() {
                return;
            }
            // A mailbox that crashed has lost its hints: only a look brings them again.
            drop(self.router.cast(RouterMsg::Look));
            tokio::time::sleep(PAUSE).await;
        }
        panic!(
            "never: {what}; aside {:?}, arrived {}",
            self.aside(),
            self.arrived()
        );
    }
}

const LONG: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
const TRIES: usize = 4000;
