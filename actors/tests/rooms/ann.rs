//! Ann, who lives in every house of these tests: her account, her login room, her mailbox's actor.

use std::sync::Arc;

use heronry_actors::{
    contract::{Identity, LoginMsg, LoginVerdict, MailboxMsg},
    mailbox::{Mailbox, MailboxArgs},
};
use mail::{AccountId, Address};
use policy::retry::Schedule;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use store::{
    MemoryStore,
    port::{AccountChange, Accounts, Entry, Leases, NewAccount, Quota, Shard},
};
use supervision::{Context, Family, FamilySpec, Seat};
use world::{SeededRandom, SystemClock};

/// Gives her an account in a house where nobody has one.
pub(crate) async fn moves_in(store: &MemoryStore, quota: Quota) -> Identity {
    let address: Address = "ann@house.test".parse().unwrap();
    let domain = address.domain().clone();
    let changes = vec![
        AccountChange::AddDomain(domain.clone()),
        AccountChange::AddAccount(NewAccount {
            address: address.clone(),
            password: None,
            quota,
        }),
    ];
    let fence = store.fence(Shard::nth(0)).unwrap();
    store.change(fence, changes).await.unwrap();
    let Some(Entry::Account(account)) = store.entry("ann", &domain).unwrap() else {
        panic!("the account has just been made")
    };
    Identity { account, address }
}

/// A login room that takes everybody who says `secret` for her.
pub(crate) async fn login_room(ann: Identity) -> Seat<LoginMsg> {
    let login = Seat::new("login");
    let (porter, _) = Actor::spawn(None, Porter, ann).await.unwrap();
    login.sit(&porter);
    login
}

/// Mailboxes whose actors have nothing to fear.
pub(crate) fn mailboxes(store: &MemoryStore) -> Family<AccountId, MailboxMsg> {
    let store = Arc::new(store.clone());
    let spec = FamilySpec::transient("mailboxes");
    Family::new(spec, move |_: &AccountId, context| {
        (Mailbox, mailbox_args(context, &store))
    })
}

/// What a mailbox's actor needs; nobody tells senders of what cannot be delivered.
pub(crate) fn mailbox_args(context: Context<AccountId>, store: &Arc<MemoryStore>) -> MailboxArgs {
    MailboxArgs {
        context,
        bounce: Seat::new("bounce"),
        leases: store.clone(),
        mail: store.clone(),
        spool: store.clone(),
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(SeededRandom::new(1)),
        schedule: Schedule::default(),
    }
}

struct Porter;

impl Actor for Porter {
    type Msg = LoginMsg;
    type State = Identity;
    type Arguments = Identity;

    async fn pre_start(
        &self,
        _: ActorRef<LoginMsg>,
        ann: Identity,
    ) -> Result<Identity, ActorProcessingErr> {
        Ok(ann)
    }

    async fn handle(
        &self,
        _: ActorRef<LoginMsg>,
        msg: LoginMsg,
        ann: &mut Identity,
    ) -> Result<(), ActorProcessingErr> {
        if let LoginMsg::Verify(request, reply) = msg {
            let verdict = match request.credentials.password.expose() {
                "secret" => LoginVerdict::Welcome(ann.clone()),
                _ => LoginVerdict::Refused,
            };
            let _ = reply.send(verdict);
        }
        Ok(())
    }
}
