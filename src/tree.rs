//! The whole supervision tree, readable on one page.
//!
//! Order is meaning: who is listed first is started first and stopped last. The doors are last,
//! so that nothing is accepted that nobody can route.

use std::{sync::Arc, time::Duration};

use actors::{
    bounce::{Bounce, BounceArgs},
    contract::{
        BounceMsg, DeliveryMsg, HashMsg, LoginMsg, MailboxMsg, QueueMsg, ResolverMsg, RouterMsg,
    },
    delivery::{Delivery, DeliveryArgs},
    facts::AccountFacts,
    login::{Hasher, HasherArgs, Login, LoginArgs},
    mailbox::{Mailbox, MailboxArgs},
    queue::{Queue, QueueArgs},
    resolver::{Resolver, ResolverArgs},
    router::{Router, RouterArgs},
};
use mail::{AccountId, Domain};
use supervision::{
    ChildSpec, ExitCause, Family, FamilySpec, Intensity, Root, Seat, Shutdown, Strategy,
    Supervisor, Vacancy, actor,
};
use telemetry::Metric;

use crate::{
    admin::{self, Desk, Service, ServiceArgs, ServiceMsg},
    daemon::Parts,
    doors::{self, Bound, Door},
};

/// The house, up.
#[derive(Clone)]
pub struct House {
    /// The tree.
    pub root: Root,
    doors: Arc<Vec<Door>>,
}

/// Where everybody is found, whoever sits there at the moment.
pub(crate) struct Seats {
    pub(crate) bounce: Seat<BounceMsg>,
    pub(crate) deliveries: Family<(Domain, u64), DeliveryMsg>,
    pub(crate) hashers: Vec<Seat<HashMsg>>,
    pub(crate) login: Seat<LoginMsg>,
    pub(crate) mailboxes: Family<AccountId, MailboxMsg>,
    pub(crate) queues: Family<Domain, QueueMsg>,
    pub(crate) resolver: Seat<ResolverMsg>,
    pub(crate) router: Seat<RouterMsg>,
}

/// Every metric of the house but the frame's own.
#[must_use]
pub fn metrics() -> Vec<Metric> {
    [
        actors::metrics::all(),
        store::METRICS.to_vec(),
        world::METRICS.to_vec(),
    ]
    .concat()
}

/// Starts the house.
///
/// # Errors
/// What did not start, and why.
pub async fn start(parts: Parts) -> Result<House, ExitCause> {
    let seats = Seats::new(&parts);
    let doors = doors::all(&parts, &seats);
    let mut house = Supervisor::new("heronry", Strategy::RestForOne)
        .intensity(Intensity {
            restarts_max: 10,
            window: Duration::from_secs(60),
        })
        .child(resolver(&parts, &seats));
    for (worker, seat) in seats.hashers.iter().enumerate() {
        house = house.child(hasher(worker, seat, &seats));
    }
    let mut entrance =
        Supervisor::new("doors", Strategy::OneForOne).child(operators(&parts, &seats));
    for door in &doors {
        entrance = entrance.child(door.sessions()).child(door.listener());
    }
    for bound in doors::http(&parts) {
        entrance = entrance.child(http(&parts, bound));
    }
    let root = house
        .child(login(&parts, &seats))
        .child(bounce(&parts, &seats))
        .child(seats.mailboxes.child())
        .child(seats.deliveries.child())
        .child(seats.queues.child())
        .child(router(&parts, &seats))
        .child(ChildSpec::supervisor(entrance))
        .start()
        .await?;
    Ok(House {
        root,
        doors: Arc::new(doors),
    })
}

impl House {
    /// Says goodbye to every client, gives them `within` to hear it, then stops the tree.
    pub async fn stop(&self, within: Duration) -> ExitCause {
        doors::say_goodbye(&self.doors, within).await;
        self.root.stop().await
    }
}

impl Seats {
    fn new(parts: &Parts) -> Self {
        let (bounce, resolver) = (Seat::new("bounce"), Seat::new("resolver"));
        let mailboxes = mailboxes(parts, &bounce);
        // Queues start deliveries, and deliveries tell queues how it ended: one address is first.
        let (queues, vacancy) =
            Family::vacant(FamilySpec::transient("queues").ask_after(IDLE, |_| QueueMsg::Idle));
        let deliveries = deliveries(parts, &queues, &resolver);
        fill_queues(vacancy, parts, &bounce, &deliveries);
        let hashers = 0..parts.config.login.workers;
        Self {
            bounce,
            deliveries,
            hashers: hashers
                .map(|worker| Seat::new(format!("hasher-{worker}")))
                .collect(),
            login: Seat::new("login"),
            mailboxes,
            queues,
            resolver,
            router: Seat::new("router"),
        }
    }
}

fn resolver(parts: &Parts, seats: &Seats) -> ChildSpec {
    let args = ResolverArgs {
        clock: parts.clock.clone(),
        config: parts.config.dns.clone(),
        dns: parts.dns.clone(),
    };
    ChildSpec::permanent(
        "resolver",
        actor(|| Resolver, move || args.clone(), &seats.resolver),
    )
}

fn hasher(worker: usize, seat: &Seat<HashMsg>, seats: &Seats) -> ChildSpec {
    let login = seats.login.clone();
    let args = move || HasherArgs {
        worker,
        login: login.clone(),
    };
    ChildSpec::permanent(format!("hasher-{worker}"), actor(|| Hasher, args, seat))
}

fn login(parts: &Parts, seats: &Seats) -> ChildSpec {
    let args = LoginArgs {
        accounts: parts.accounts.clone(),
        clock: parts.clock.clone(),
        config: parts.config.login.clone(),
        hashers: seats.hashers.clone(),
        random: parts.random.clone(),
    };
    ChildSpec::permanent("login", actor(|| Login, move || args.clone(), &seats.login))
}

fn bounce(parts: &Parts, seats: &Seats) -> ChildSpec {
    let args = BounceArgs {
        clock: parts.clock.clone(),
        facts: AccountFacts(parts.accounts.clone()),
        hostname: parts.config.hostname.clone(),
        leases: parts.leases.clone(),
        random: parts.random.clone(),
        router: seats.router.clone(),
        rules: parts.config.address.clone(),
        schedule: parts.config.queue.schedule(),
        spool: parts.spool.clone(),
    };
    ChildSpec::permanent(
        "bounce",
        actor(|| Bounce, move || args.clone(), &seats.bounce),
    )
}

fn router(parts: &Parts, seats: &Seats) -> ChildSpec {
    let args = RouterArgs {
        bounce: seats.bounce.clone(),
        mailboxes: seats.mailboxes.clone(),
        queues: seats.queues.clone(),
        spool: parts.spool.clone(),
    };
    ChildSpec::permanent(
        "router",
        actor(|| Router, move || args.clone(), &seats.router),
    )
    .with_shutdown(Shutdown::Stop(Duration::from_secs(5)))
}

fn mailboxes(parts: &Parts, bounce: &Seat<BounceMsg>) -> Family<AccountId, MailboxMsg> {
    let spec = FamilySpec::transient("mailboxes").ask_after(IDLE, |_| MailboxMsg::Idle);
    let (parts, bounce) = (parts.clone(), bounce.clone());
    Family::new(spec, move |_: &AccountId, context| {
        let args = MailboxArgs {
            bounce: bounce.clone(),
            context,
            leases: parts.leases.clone(),
            mail: parts.mail.clone(),
            spool: parts.spool.clone(),
        };
        (Mailbox, args)
    })
}

fn deliveries(
    parts: &Parts,
    queues: &Family<Domain, QueueMsg>,
    resolver: &Seat<ResolverMsg>,
) -> Family<(Domain, u64), DeliveryMsg> {
    let told = queues.clone();
    let spec = FamilySpec::temporary("deliveries")
        .with_members_max(parts.config.delivery.deliveries_max)
        .on_give_up(move |(domain, attempt): &(Domain, u64), _| {
            let gone = QueueMsg::Gone {
                attempt: *attempt,
                unreachable: None,
            };
            let _ = told.tell(domain, gone); // a queue that is not there reads the spool
        });
    let args = DeliveryArgs {
        config: parts.config.delivery.clone(),
        dial: parts.dial.clone(),
        hostname: parts.config.hostname.clone(),
        queues: queues.clone(),
        random: parts.random.clone(),
        resolver: resolver.clone(),
        routes: parts.config.route.clone(),
        spool: parts.spool.clone(),
        tls: parts.client_tls.clone(),
    };
    Family::new(spec, move |_: &(Domain, u64), _| (Delivery, args.clone()))
}

fn fill_queues(
    vacancy: Vacancy<Domain, QueueMsg>,
    parts: &Parts,
    bounce: &Seat<BounceMsg>,
    deliveries: &Family<(Domain, u64), DeliveryMsg>,
) {
    let (parts, bounce, deliveries) = (parts.clone(), bounce.clone(), deliveries.clone());
    vacancy.fill(move |_: &Domain, context| {
        let args = QueueArgs {
            bounce: bounce.clone(),
            clock: parts.clock.clone(),
            config: parts.config.queue.clone(),
            context,
            deliveries: deliveries.clone(),
            leases: parts.leases.clone(),
            random: parts.random.clone(),
            spool: parts.spool.clone(),
        };
        (Queue, args)
    });
}

fn operators(parts: &Parts, seats: &Seats) -> ChildSpec {
    let desk = Desk::new(admin::Parts {
        accounts: parts.accounts.clone(),
        clock: parts.clock.clone(),
        hostname: parts.config.hostname.clone(),
        leases: parts.leases.clone(),
        mail: parts.mail.clone(),
        mailboxes: seats.mailboxes.clone(),
        queues: seats.queues.clone(),
        spool: parts.spool.clone(),
        view: parts.view.clone(),
    });
    service(
        "operators",
        admin::operator_socket(&parts.config.data, Arc::new(desk)),
    )
}

fn http(parts: &Parts, bound: &Bound) -> ChildSpec {
    let http = admin::http(
        bound.socket.clone(),
        parts.recorder.clone(),
        parts.view.clone(),
    );
    service(bound.name(), http)
}

fn service(name: impl Into<supervision::Name>, args: ServiceArgs) -> ChildSpec {
    let name = name.into();
    let seat: Seat<ServiceMsg> = Seat::new(name.clone());
    ChildSpec::permanent(name, actor(|| Service, move || args.clone(), &seat))
}

/// How long a mailbox or a queue without anything to do stays in memory.
const IDLE: Duration = Duration::from_secs(60);
