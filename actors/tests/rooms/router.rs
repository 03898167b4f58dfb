//! What the router finds when it looks at the spool.

use std::{sync::Arc, time::Duration};

use heronry_actors::{
    contract::{MailboxMsg, QueueMsg, RouterMsg},
    router::{Router, RouterArgs},
};
use mail::{AccountId, Address, Domain, Envelope, Recipient, Target, Time};
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};
use store::{
    MemoryStore,
    port::{Leases, NewMail, Shard, Spool},
};
use supervision::{Family, FamilySpec, Seat};
use world::SystemClock;

#[tokio::test]
async fn a_look_finds_each_message_once_however_many_domains_wait() {
    let store = MemoryStore::new();
    let target = Target::Local {
        account: AccountId(1),
        detail: None,
    };
    for _ in 0..300 {
        accept(&store, "ann@house.test", target.clone()).await;
    }
    for number in 0..900 {
        let domain: Domain = format!("d{number}.test").parse().unwrap();
        let address = format!("ann@{domain}");
        accept(&store, &address, Target::Remote(domain)).await;
    }
    // Nobody is at home: hints are lost, and the look goes on.
    let args = RouterArgs {
        bounce: Seat::new("bounce"),
        clock: Arc::new(SystemClock::new()),
        mailboxes: Family::<AccountId, MailboxMsg>::new(
            FamilySpec::transient("mailboxes"),
            |_, _| (Nobody(std::marker::PhantomData), ()),
        ),
        queues: Family::<Domain, QueueMsg>::new(FamilySpec::transient("queues"), |_, _| {
            (Nobody(std::marker::PhantomData), ())
        }),
        spool: Arc::new(store),
    };
    let (router, _) = Actor::spawn(None, Router, args).await.unwrap();
    let mut found = 0;
    for _ in 0..100 {
        let report = router
            .call(RouterMsg::Inspect, Some(Duration::from_secs(10)))
            .await;
        found = report.unwrap().unwrap().found;
    }
    assert_eq!(found, 300);
}

async fn accept(store: &MemoryStore, address: &str, target: Target) {
    let address: Address = address.parse().unwrap();
    let mail = NewMail {
        envelope: Envelope {
            recipients: vec![Recipient::new(address, target)],
            ..Envelope::default()
        },
        draft: Spool::draft(store).finish(),
        arrived: Time(1),
        answers: None,
        origin: String::new(),
    };
    let fence = store.fence(Shard::nth(0)).unwrap();
    store.accept(fence, mail).await.unwrap();
}

/// Takes a family's place; the family is never started.
struct Nobody<M>(std::marker::PhantomData<fn(M)>);

impl<M: Message> Actor for Nobody<M> {
    type Msg = M;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<M>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
