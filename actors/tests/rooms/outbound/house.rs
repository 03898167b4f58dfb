//! A house that only sends: a spool in memory, a DNS that is a table, a network without wires.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use heronry_actors::{
    contract::{DeliveryMsg, QueueMsg},
    delivery::{self, Delivery, DeliveryArgs, UnchunkedHosts},
    queue::{self, Queue, QueueArgs},
    resolver::{self, Resolver, ResolverArgs},
};
use mail::{Address, Domain, Envelope, MessageId, Recipient, Target, Time};
use store::{
    MemoryStore,
    port::{Leases, NewMail, RecipientState, Shard, Spool, State},
};
use supervision::{
    Family, FamilySpec, Gate, Harm, Heartbeat, Root, Seat, Strategy, Supervisor, Trial, actor,
};
use tokio::sync::mpsc::UnboundedReceiver;
use world::{Random, SeededRandom, Switchboard, VirtualClock, dns::TableDns, tls::ClientTls};

use super::{
    overheard::Overheard,
    peer::{self, Heard},
};

/// Everything that mail needs on its way out.
pub(crate) struct House {
    pub(crate) dns: TableDns,
    /// Who is on the way to another system is inside.
    pub(crate) departures: Gate,
    is_current: Arc<AtomicBool>,
    network: Switchboard,
    queues: Family<Domain, QueueMsg>,
    spool: Overheard,
    store: MemoryStore,
    root: Root,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(delivery::Config::default()).await
    }

    /// A house whose operator has set this.
    pub(crate) async fn with(config: delivery::Config) -> Self {
        let (dns, network, store) = (TableDns::new(), Switchboard::new(), MemoryStore::new());
        let clock = Arc::new(VirtualClock::new(Time::from_seconds(1_800_000_000)));
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        let resolver = Seat::new("resolver");
        let asks = ResolverArgs {
            clock: clock.clone(),
            config: resolver::Config::default(),
            dns: Arc::new(dns.clone()),
        };
        let carriers: Arc<OnceLock<Family<(Domain, u64), DeliveryMsg>>> = Arc::default();
        let (kept, later, draws) = (Arc::new(store.clone()), carriers.clone(), random.clone());
        let unchunked = UnchunkedHosts::new(clock.clone());
        let spool = Overheard::new(store.clone());
        let overheard = Arc::new(spool.clone());
        let queues = Family::new(
            FamilySpec::transient("queues")
                .with_heartbeat(PULSE)
                .with_quarantine(Duration::from_secs(5)),
            move |_: &Domain, context| {
                let args = QueueArgs {
                    bounce: Seat::new("bounce"),
                    clock: clock.clone(),
                    config: queue::Config {
                        connections_per_domain_max: 1,
                        ..queue::Config::default()
                    },
                    context,
                    deliveries: later.get().unwrap().clone(),
                    leases: kept.clone(),
                    random: draws.clone(),
                    spool: overheard.clone(),
                };
                (Queue, args)
            },
        );
        let departures = Gate::new(usize::MAX, usize::MAX);
        let is_current = Arc::new(AtomicBool::new(true));
        let current = is_current.clone();
        let args = DeliveryArgs {
            config,
            dial: Arc::new(network.clone()),
            gate: departures.clone(),
            is_current: Arc::new(move || current.load(Ordering::Relaxed)),
            hostname: "mx.house.test".parse().unwrap(),
            leases: Arc::new(store.clone()),
            queues: queues.clone(),
            random,
            resolver: resolver.clone(),
            routes: Vec::new(),
            spool: Arc::new(spool.clone()),
            tls: ClientTls::new(&[]).unwrap(),
            unchunked,
        };
        let told = queues.clone();
        let spec = FamilySpec::temporary("deliveries")
            .with_heartbeat(PULSE)
            .on_give_up(move |(domain, attempt): &(Domain, u64), _| {
                let gone = QueueMsg::Gone {
                    attempt: *attempt,
                    unreachable: None,
                };
                let _ = told.tell(domain, gone);
            });
        let deliveries = Family::new(spec, move |_: &(Domain, u64), _| (Delivery, args.clone()));
        carriers.set(deliveries.clone()).unwrap();
        let root = Supervisor::new("house", Strategy::OneForOne)
            .child(supervision::ChildSpec::permanent(
                "resolver",
                actor(|| Resolver, move || asks.clone(), &resolver),
            ))
            .child(queues.child())
            .child(deliveries.child());
        Self {
            dns,
            departures,
            is_current,
            network,
            queues,
            spool,
            store,
            root: root.start().await.unwrap(),
        }
    }

    /// Harms whoever of that family is there, at the next message. It lasts as long as the trial.
    pub(crate) fn harm(&self, family: &str, harm: Harm) -> Trial {
        let mut trial = Trial::new();
        let place = self.root.place(&format!("house/{family}")).unwrap();
        let aimed = trial.harm_members(&place, 0, 1, harm);
        assert_eq!(aimed.len(), 1);
        trial
    }

    /// The operator sets something else.
    pub(crate) fn settings_change(&self) {
        self.is_current.store(false, Ordering::Relaxed);
    }

    /// A peer at that address; yields what it hears.
    pub(crate) fn peer(
        &self,
        address: &str,
        script: impl Fn(&str, usize) -> &'static str + Send + Sync + 'static,
    ) -> UnboundedReceiver<Heard> {
        peer::listen(
            &self.network,
            &format!("{address}:25"),
            Duration::ZERO,
            script,
        )
    }

    /// A peer that takes everything, and so long for each message.
    pub(crate) fn slow_peer(&self, address: &str, pause: Duration) -> UnboundedReceiver<Heard> {
        peer::listen(&self.network, &format!("{address}:25"), pause, |_, _| "")
    }

    /// Puts a message of that many octets into the spool and tells the queue.
    pub(crate) async fn send(&self, octets: usize, to: &[&str]) -> MessageId {
        let recipient = |address: &&str| {
            let address: Address = address.parse().unwrap();
            let target = Target::Remote(address.domain().clone());
            Recipient::new(address, target)
        };
        let mut writer = self.store.draft();
        let line = b"a line of a message that is not remarkable at all\r\n";
        let body: Vec<u8> = line.iter().copied().cycle().take(octets).collect();
        if let Some(pending) = writer.write(Bytes::from(body)) {
            pending.await.unwrap();
        }
        let mail = NewMail {
            envelope: Envelope {
                from: "ann@house.test".parse().ok(),
                recipients: to.iter().map(recipient).collect(),
                ..Envelope::default()
            },
            draft: writer.finish(),
            arrived: Time::from_seconds(1_800_000_000),
            answers: None,
            origin: String::new(),
        };
        let fence = self.store.fence(Shard::nth(0)).unwrap();
        let id = self.store.accept(fence, mail).await.unwrap();
        self.look(to[0].rsplit('@').next().unwrap());
        id
    }

    /// Has the queue of that domain look into the spool.
    pub(crate) fn look(&self, domain: &str) {
        let domain = domain.parse().unwrap();
        self.queues.cast(&domain, QueueMsg::Look).unwrap();
    }

    /// Whether anybody has not got it yet, as far as the spool knows.
    pub(crate) fn is_open(&self, id: MessageId) -> bool {
        self.store.get(id).unwrap().is_some()
    }

    /// Everybody ends, deliveries first.
    pub(crate) async fn stop(&self) {
        self.root.stop().await;
    }

    /// How the first attempt at each recipient ended.
    pub(crate) async fn ends(&self, id: MessageId) -> Vec<State> {
        let mut settled = self.spool.settled();
        let ends = async {
            loop {
                let Some(message) = self.store.get(id).unwrap() else {
                    return Vec::new(); // all of them are closed
                };
                let tried = |state: &RecipientState| state.attempts > 0;
                if message.states.iter().all(tried) {
                    return message.states.iter().map(|state| state.state).collect();
                }
                settled.changed().await.unwrap();
            }
        };
        let ends = tokio::time::timeout(ATTEMPT_LIMIT, ends).await;
        ends.expect("the attempt ends")
    }
}

/// In the time of the house.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(100);

/// As in the daemon.
const PULSE: Heartbeat = Heartbeat {
    limit: Duration::from_secs(10),
    kill: true,
};
