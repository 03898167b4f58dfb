//! The whole supervision tree, readable on one page.
//!
//! Order is meaning: who is listed first is started first and stopped last. The doors are last,
//! so that nothing is accepted that nobody can route. Each falls alone.
//!
//! ```text
//! heronry (one_for_one)
//! ├─ store                     waits for the end of the store and opens it anew
//! ├─ advisers (one_for_one)    resolver, hashers, login: they are asked, and write nothing
//! ├─ trunk (one_for_one)       who carries the mail, and writes
//! │  ├─ lease                  the right to write: ends with the store, and the trunk with it
//! │  └─ bounce, poison, mailboxes, queues, deliveries, router,
//! │                        scrubber
//! └─ doors (one_for_one)       operators, listeners and their sessions, health and metrics
//! ```

use std::{sync::Arc, time::Duration};

use actors::{
    bounce::{Bounce, BounceArgs},
    contract::{
        BounceMsg, CrashTeller, DeliveryMsg, HashMsg, LoginMsg, MailboxMsg, PoisonMsg, QueueMsg,
        ResolverMsg, RouterMsg,
    },
    delivery::{Delivery, DeliveryArgs, UnchunkedHosts},
    facts::AccountFacts,
    login::{Hasher, HasherArgs, Login, LoginArgs},
    mailbox::{Mailbox, MailboxArgs},
    poison::{Poison, PoisonArgs},
    queue::{Queue, QueueArgs},
    refused::RefusedCommands,
    resolver::{Resolver, ResolverArgs},
    router::{Router, RouterArgs},
    scrubber::{Scrubber, ScrubberArgs},
};
use mail::{AccountId, Domain};
use supervision::{
    AutoShutdown, Backoff, ChildSpec, ExitCause, Family, FamilySpec, Gate, Heartbeat, Intensity,
    Root, Seat, Shutdown, Strategy, Supervisor, Vacancy, actor,
};
use telemetry::Metric;
use world::Random;

use crate::{
    admin::{self, Desk, Service, ServiceArgs, ServiceMsg},
    config::Config,
    daemon::Parts,
    doors::{Bound, Doors},
    lease::Lease,
    storekeeper::Storekeeper,
};

/// The house, up.
pub struct House {
    /// The tree.
    pub root: Root,
    pub(crate) doors: Doors,
    pub(crate) seats: Arc<Seats>,
}

/// Where everybody is found, whoever sits there at the moment.
pub(crate) struct Seats {
    pub(crate) bounce: Seat<BounceMsg>,
    /// Deliveries that are on the way.
    pub(crate) departures: Gate,
    pub(crate) deliveries: Family<(Domain, u64), DeliveryMsg>,
    pub(crate) hashers: Vec<Seat<HashMsg>>,
    pub(crate) login: Seat<LoginMsg>,
    pub(crate) mailboxes: Family<AccountId, MailboxMsg>,
    pub(crate) poison: Seat<PoisonMsg>,
    pub(crate) queues: Family<Domain, QueueMsg>,
    /// What sessions look into before they run a command.
    pub(crate) refused: RefusedCommands,
    pub(crate) resolver: Seat<ResolverMsg>,
    pub(crate) router: Seat<RouterMsg>,
}

/// Every metric of the house but the frame's own.
#[must_use]
pub fn metrics() -> Vec<Metric> {
    [
        actors::metrics::all(),
        crate::allocator::METRICS.to_vec(),
        crate::backup::METRICS.to_vec(),
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
    let seats = Arc::new(Seats::new(&parts));
    let doors = Doors::new(&parts, &seats);
    let crashes = CrashTeller::new(seats.poison.clone());
    let root = Supervisor::new("heronry", Strategy::OneForOne)
        .intensity(BORNE)
        .on_crash(move |crash| crashes.tell(crash))
        .child(storekeeper(&parts))
        .child(ChildSpec::supervisor(advisers(&parts, &seats)))
        .child(ChildSpec::supervisor(trunk(&parts, &seats)))
        .child(ChildSpec::supervisor(entrance(&parts, &seats, &doors)))
        .start()
        .await?;
    Ok(House { root, doors, seats })
}

/// Whoever is asked and writes nothing: an end of the store is nothing to them. What they remember
/// (names, who guesses passwords) outlives it.
fn advisers(parts: &Parts, seats: &Seats) -> Supervisor {
    let mut advisers = Supervisor::new("advisers", Strategy::OneForOne)
        .intensity(BORNE)
        .child(resolver(parts, seats).with_heartbeat(PULSE));
    for (worker, seat) in seats.hashers.iter().enumerate() {
        advisers = advisers.child(hasher(worker, seat, seats).with_heartbeat(PULSE));
    }
    advisers.child(login(parts, seats).with_heartbeat(PULSE))
}

/// Whoever carries the mail. They reach each other by their seats and lose nothing but hints, so
/// each falls alone, and no client hears of it. All of them end with the lease: what they have in
/// memory, and their right to write, is of one life of the store.
fn trunk(parts: &Parts, seats: &Seats) -> Supervisor {
    Supervisor::new("trunk", Strategy::OneForOne)
        .intensity(BORNE)
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(lease(parts))
        .child(bounce(parts, seats).with_heartbeat(PULSE))
        .child(poison(parts, seats).with_heartbeat(PULSE))
        .child(seats.mailboxes.child())
        .child(seats.queues.child())
        .child(seats.deliveries.child()) // stopped first: what they have carried is recorded
        .child(router(parts, seats).with_heartbeat(PULSE))
        .child(scrubber(parts))
}

/// Where clients, operators and machines that watch come in; each door falls alone.
fn entrance(parts: &Parts, seats: &Seats, doors: &Doors) -> Supervisor {
    let mut entrance = Supervisor::new("doors", Strategy::OneForOne)
        .intensity(BORNE)
        .child(operators(parts, seats));
    for child in doors.children(parts) {
        entrance = entrance.child(child);
    }
    entrance
}

impl Seats {
    fn new(parts: &Parts) -> Self {
        let (bounce, resolver) = (Seat::new("bounce"), Seat::new("resolver"));
        let mailboxes = mailboxes(parts, &bounce);
        // Queues start deliveries, and deliveries tell queues how it ended: one address is first.
        let (queues, vacancy) = Family::vacant(
            FamilySpec::transient("queues")
                .ask_after(IDLE, |_| QueueMsg::Idle)
                .with_heartbeat(PULSE)
                .with_quarantine(QUARANTINE)
                .with_shutdown(Shutdown::Drain(Duration::from_secs(5))), // outcomes are recorded
        );
        let departures = Gate::new(usize::MAX, usize::MAX);
        let deliveries = deliveries(parts, &departures, &queues, &resolver);
        fill_queues(vacancy, parts, &bounce, &deliveries);
        let hashers = 0..parts.config.get().login.workers;
        Self {
            bounce,
            departures,
            deliveries,
            hashers: hashers
                .map(|worker| Seat::new(format!("hasher-{worker}")))
                .collect(),
            login: Seat::new("login"),
            mailboxes,
            poison: Seat::new("poison"),
            queues,
            refused: RefusedCommands::new(key(&*parts.random)),
            resolver,
            router: Seat::new("router"),
        }
    }
}

/// Its pause is short at first, because clients wait; a disk that is full stays so for a while.
fn storekeeper(parts: &Parts) -> ChildSpec {
    let (disk, seat) = (parts.disk.clone(), Seat::new("store"));
    let start = actor(|| Storekeeper, move || disk.clone(), &seat);
    ChildSpec::permanent("store", start).with_backoff(Backoff {
        base: Duration::from_millis(100),
        cap: Duration::from_secs(30),
        ..Backoff::default()
    })
}

/// It has nothing to put in order, and may be waiting for the store when it is to stop.
fn lease(parts: &Parts) -> ChildSpec {
    let (disk, seat) = (parts.disk.clone(), Seat::new("lease"));
    let start = actor(|| Lease, move || disk.clone(), &seat);
    ChildSpec::temporary("lease", start)
        .significant()
        .with_shutdown(Shutdown::Kill)
}

fn resolver(parts: &Parts, seats: &Seats) -> ChildSpec {
    let args = ResolverArgs {
        clock: parts.clock.clone(),
        config: parts.config.get().dns.clone(),
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
        config: parts.config.get().login.clone(),
        hashers: seats.hashers.clone(),
        random: parts.random.clone(),
    };
    ChildSpec::permanent("login", actor(|| Login, move || args.clone(), &seats.login))
}

fn bounce(parts: &Parts, seats: &Seats) -> ChildSpec {
    let config = parts.config.get();
    let args = BounceArgs {
        clock: parts.clock.clone(),
        facts: AccountFacts(parts.accounts.clone()),
        hostname: config.hostname.clone(),
        leases: parts.leases.clone(),
        random: parts.random.clone(),
        router: seats.router.clone(),
        rules: config.address.clone(),
        schedule: config.queue.schedule(),
        spool: parts.spool.clone(),
    };
    ChildSpec::permanent(
        "bounce",
        actor(|| Bounce, move || args.clone(), &seats.bounce),
    )
}

fn poison(parts: &Parts, seats: &Seats) -> ChildSpec {
    let args = PoisonArgs {
        book: seats.refused.clone(),
        clock: parts.clock.clone(),
        leases: parts.leases.clone(),
        router: seats.router.clone(),
        spool: parts.spool.clone(),
    };
    ChildSpec::permanent(
        "poison",
        actor(|| Poison, move || args.clone(), &seats.poison),
    )
}

fn router(parts: &Parts, seats: &Seats) -> ChildSpec {
    let args = RouterArgs {
        bounce: seats.bounce.clone(),
        clock: parts.clock.clone(),
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

/// It waits for the disk, as long as that takes.
fn scrubber(parts: &Parts) -> ChildSpec {
    let disk = parts.disk.clone();
    let args = ScrubberArgs {
        octets_per_second: parts.config.get().store.scrub_octets_per_second,
        step: Arc::new(move |scrub, octets| disk.scrub(scrub, octets)),
    };
    let seat = Seat::new("scrubber");
    ChildSpec::permanent("scrubber", actor(|| Scrubber, move || args.clone(), &seat))
}

fn mailboxes(parts: &Parts, bounce: &Seat<BounceMsg>) -> Family<AccountId, MailboxMsg> {
    let spec = FamilySpec::transient("mailboxes")
        .ask_after(DROWSY, |_| MailboxMsg::Idle)
        .with_heartbeat(PULSE)
        .with_quarantine(QUARANTINE);
    let (parts, bounce) = (parts.clone(), bounce.clone());
    Family::new(spec, move |_: &AccountId, context| {
        let args = MailboxArgs {
            bounce: bounce.clone(),
            clock: parts.clock.clone(),
            context,
            leases: parts.leases.clone(),
            mail: parts.mail.clone(),
            random: parts.random.clone(),
            schedule: parts.config.get().queue.schedule(),
            spool: parts.spool.clone(),
        };
        (Mailbox, args)
    })
}

fn deliveries(
    parts: &Parts,
    departures: &Gate,
    queues: &Family<Domain, QueueMsg>,
    resolver: &Seat<ResolverMsg>,
) -> Family<(Domain, u64), DeliveryMsg> {
    let told = queues.clone();
    let spec = FamilySpec::temporary("deliveries")
        .with_members_max(parts.config.get().delivery.deliveries_max)
        .with_heartbeat(PULSE)
        .on_give_up(move |(domain, attempt): &(Domain, u64), _| {
            let gone = QueueMsg::Gone {
                attempt: *attempt,
                unreachable: None,
            };
            let _ = told.tell(domain, gone); // a queue that is not there reads the spool
        });
    let (parts, gate) = (parts.clone(), departures.clone());
    let (queues, resolver) = (queues.clone(), resolver.clone());
    let unchunked = UnchunkedHosts::new(parts.clock.clone());
    Family::new(spec, move |_: &(Domain, u64), _| {
        let config = parts.config.get(); // each attempt goes the way that is set now
        let args = DeliveryArgs {
            config: config.delivery.clone(),
            dial: parts.dial.clone(),
            gate: gate.clone(),
            is_current: is_current(&parts, &config),
            hostname: config.hostname.clone(),
            leases: parts.leases.clone(),
            queues: queues.clone(),
            random: parts.random.clone(),
            resolver: resolver.clone(),
            routes: config.route.clone(),
            spool: parts.spool.clone(),
            tls: parts.client_tls.clone(),
            unchunked: unchunked.clone(),
        };
        (Delivery, args)
    })
}

/// Whether those settings are still in force.
fn is_current(parts: &Parts, settings: &Arc<Config>) -> Arc<dyn Fn() -> bool + Send + Sync> {
    let (live, settings) = (parts.config.clone(), settings.clone());
    Arc::new(move || Arc::ptr_eq(&live.get(), &settings))
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
            config: parts.config.get().queue.clone(),
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
        config: parts.config.clone(),
        config_file: parts.config_file.clone(),
        disk: parts.disk.clone(),
        leases: parts.leases.clone(),
        mail: parts.mail.clone(),
        mailboxes: seats.mailboxes.clone(),
        poison: seats.poison.clone(),
        queues: seats.queues.clone(),
        recorder: parts.recorder.clone(),
        reloads: parts.reloads.clone(),
        router: seats.router.clone(),
        spool: parts.spool.clone(),
        view: parts.view.clone(),
    });
    service(
        "operators",
        admin::operator_socket(&parts.config.get().data, Arc::new(desk)),
    )
}

/// Health and metrics at that socket.
pub(crate) fn http(parts: &Parts, bound: &Bound) -> ChildSpec {
    let http = admin::http(
        bound.socket.clone(),
        parts.recorder.clone(),
        parts.view.clone(),
    );
    service(bound.name(), http)
}

/// Octets that nobody can guess.
fn key(random: &dyn Random) -> [u8; 32] {
    let mut key = [0; 32];
    random.fill(&mut key);
    key
}

fn service(name: impl Into<supervision::Name>, args: ServiceArgs) -> ChildSpec {
    let name = name.into();
    let seat: Seat<ServiceMsg> = Seat::new(name.clone());
    let start = actor(|| Service, move || args.clone(), &seat);
    ChildSpec::permanent(name, start).with_heartbeat(PULSE)
}

/// Single crashes are nothing that others should hear of; what crashes a hundred times in five
/// seconds will not be helped by being started once more.
const BORNE: Intensity = Intensity {
    restarts_max: 100,
    window: Duration::from_secs(5),
};

/// No handler waits for anybody without saying so: one that is at it for so long never ends.
pub(crate) const PULSE: Heartbeat = Heartbeat {
    limit: Duration::from_secs(10),
    kill: true,
};

/// What brings a mailbox or a queue down four times in a row does not do it again at once.
const QUARANTINE: Duration = Duration::from_secs(5);

/// Where doors are opened and closed while the house stands.
pub(crate) const DOORS: &str = "heronry/doors";

/// How long a queue without anything to do stays in memory.
const IDLE: Duration = Duration::from_secs(60);

/// How long a mailbox without anything to do stays awake. To wake it takes some tens of
/// microseconds, and whoever is awake takes some 9 KiB: a crowd takes what comes in this time.
const DROWSY: Duration = Duration::from_secs(1);
