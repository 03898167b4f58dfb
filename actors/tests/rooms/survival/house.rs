//! A house like the daemon's: doors with families of sessions, and families of mailboxes.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use heronry_actors::{
    contract::{CrashTeller, LoginMsg, MailboxMsg, PoisonMsg, SessionMsg},
    facts::AccountFacts,
    mailbox::{Mailbox, MailboxArgs},
    poison::{Poison, PoisonArgs},
    refused::RefusedCommands,
    session::{
        imap::{ImapCheckpoint, ImapSession, ImapSessionArgs},
        pop3::{Pop3Checkpoint, Pop3Session, Pop3SessionArgs},
        smtp::{Admission, SmtpCheckpoint, SmtpSession, SmtpSessionArgs},
    },
};
use mail::{AccountId, Flags, Time};
use policy::{admit::Door, route::Rules};
use proptest::test_runner::Config;
use smtp::Mechanism;
use store::{
    MemoryStore,
    port::{Leases, MailStore, Quota, Shard, Spool, Spooled},
};
use supervision::{
    Budget, ChildSpec, Family, FamilySpec, Heartbeat, Intensity, Root, Seat, Status, Strategy,
    Supervisor, actor,
};
use world::{
    SeededRandom, SystemClock,
    connection::{Connection, Event, Options, Socket},
    tls::{Certificates, ClientTls, ServerTls},
};

use super::{
    fragile::Fragile,
    fuse::{Fuse, Harm, Mortal},
    wire::Wire,
};
use crate::ann;

type Sessions<C> = Family<Connection<C>, SessionMsg>;

/// Ann's house.
pub(crate) struct House {
    pub(crate) account: AccountId,
    /// What is cursed does no harm any more.
    pub(crate) cured: Arc<AtomicBool>,
    /// Sessions cannot read how mailboxes stand.
    pub(crate) blind: Arc<AtomicBool>,
    pub(crate) mailboxes: Family<AccountId, MailboxMsg>,
    pub(crate) poison: Seat<PoisonMsg>,
    pub(crate) store: MemoryStore,
    /// What makes mailbox actors crash.
    pub(crate) mailbox_fuse: Fuse,
    /// What makes sessions crash.
    pub(crate) session_fuse: Fuse,
    pub(crate) imap: Sessions<ImapCheckpoint>,
    pop3: Sessions<Pop3Checkpoint>,
    smtp: Sessions<SmtpCheckpoint>,
    _root: Root,
}

/// TLS for both ends.
pub(crate) struct Keys {
    pub(crate) client: ClientTls,
    pub(crate) server: ServerTls,
    _folder: tempfile::TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["mx.house.test".to_owned()];
        let certificates = Certificates::self_signed(folder.path(), &names).unwrap();
        Self {
            client: ClientTls::new(&[folder.path().join("cert.pem")]).unwrap(),
            server: ServerTls::new(certificates).unwrap(),
            _folder: folder,
        }
    }
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with_tls(None).await
    }

    pub(crate) async fn with_tls(tls: Option<ServerTls>) -> Self {
        Self::built(tls, false).await
    }

    /// With somebody who hears of crashes and has commands refused.
    pub(crate) async fn watched() -> Self {
        Self::built(None, true).await
    }

    async fn built(tls: Option<ServerTls>, is_watched: bool) -> Self {
        let (cured, refused) = (Arc::<AtomicBool>::default(), RefusedCommands::new([7; 32]));
        let store = MemoryStore::new();
        let ann = ann::moves_in(&store, Quota::default()).await;
        let account = ann.account;
        let blind = Arc::<AtomicBool>::default();
        let fragile = |fuse: &Fuse, blind: &Arc<AtomicBool>| Fragile {
            blind: blind.clone(),
            cured: cured.clone(),
            clock: SystemClock::new(),
            fuse: fuse.clone(),
            store: store.clone(),
        };
        let (mailbox_fuse, session_fuse) = (Fuse::default(), Fuse::default());
        let (kept, fuse) = (
            Arc::new(fragile(&mailbox_fuse, &Arc::default())),
            mailbox_fuse.clone(),
        );
        let spool = Arc::new(store.clone());
        let spec = FamilySpec::transient("mailboxes")
            .ask_after(SLEEP_AFTER, |_| MailboxMsg::Idle)
            .with_intensity(Intensity {
                restarts_max: 100,
                window: Duration::from_secs(5),
            });
        let mailboxes = Family::new(spec, move |_: &AccountId, context| {
            let args = MailboxArgs {
                leases: kept.clone(),
                mail: kept.clone(),
                ..ann::mailbox_args(context, &spool)
            };
            (Mortal(Mailbox), (fuse.clone(), args))
        });
        let login = ann::login_room(ann).await;

        let ports = fragile(&session_fuse, &blind);
        let smtp = smtp_args(&ports, login.clone(), &mailboxes, tls.clone(), &refused);
        let imap = imap_args(&ports, login.clone(), &mailboxes, tls.clone(), &refused);
        let pop3 = pop3_args(&ports, login, &mailboxes, tls, &refused);
        let fuse = session_fuse.clone();
        let smtp = Family::new(
            spec_of("smtp", "421 4.3.2 come back later\r\n"),
            move |key: &Connection<_>, _| {
                (
                    Mortal(SmtpSession),
                    (fuse.clone(), (key.clone(), smtp.clone())),
                )
            },
        );
        let fuse = session_fuse.clone();
        let imap = Family::new(
            spec_of("imap", "* BYE come back later\r\n")
                .sleeping()
                .ask_after(SLEEP_AFTER, |_| SessionMsg::Idle),
            move |key: &Connection<_>, context| {
                (
                    Mortal(ImapSession),
                    (fuse.clone(), (key.clone(), imap.clone(), Some(context))),
                )
            },
        );
        let fuse = session_fuse.clone();
        let pop3 = Family::new(
            spec_of("pop3", "-ERR [SYS/TEMP] come back later\r\n"),
            move |key: &Connection<_>, _| {
                (
                    Mortal(Pop3Session),
                    (fuse.clone(), (key.clone(), pop3.clone())),
                )
            },
        );
        let poison = Seat::new("poison");
        let (teller, hears) = (
            CrashTeller::new(poison.clone()),
            good_poison(&store, refused),
        );
        let root = Supervisor::new("house", Strategy::OneForOne)
            .on_crash(move |crash| {
                if is_watched {
                    teller.tell(crash);
                }
            })
            .child(ChildSpec::permanent(
                "poison",
                actor(|| Poison, move || hears.clone(), &poison),
            ))
            .child(mailboxes.child())
            .child(smtp.child())
            .child(imap.child())
            .child(pop3.child());
        Self {
            account,
            blind,
            cured,
            mailboxes,
            poison,
            store,
            mailbox_fuse,
            session_fuse,
            imap,
            pop3,
            smtp,
            _root: root.start().await.unwrap(),
        }
    }

    /// Everybody who may sleep does.
    pub(crate) async fn nightfall(&self) {
        tokio::time::sleep(4 * SLEEP_AFTER).await;
        settle().await;
    }

    /// How many sessions of IMAP sleep.
    pub(crate) fn asleep(&self) -> usize {
        let members = self.imap.members().into_iter();
        members.filter(|who| who.status == Status::Asleep).count()
    }

    /// Whether the mailbox is asleep, awake (false), or not there.
    pub(crate) fn mailbox_sleeps(&self) -> Option<bool> {
        let members = self.mailboxes.members();
        let mailbox = members.first()?;
        Some(mailbox.status == Status::Asleep)
    }

    pub(crate) fn smtp(&self) -> Wire {
        connect(&self.smtp)
    }

    pub(crate) fn imap(&self) -> Wire {
        connect(&self.imap)
    }

    pub(crate) fn pop3(&self) -> Wire {
        connect(&self.pop3)
    }

    /// The next session that hears anything is harmed before it does. What is on its way to
    /// sessions now comes before that.
    pub(crate) async fn strike_next(&self, harm: Harm) {
        settle().await;
        self.session_fuse.light([(0, harm)]);
    }

    /// Puts a message into the INBOX, past everybody.
    pub(crate) async fn put(&self, text: &str) {
        let inbox = self
            .store
            .mailbox_named(self.account, "INBOX")
            .unwrap()
            .unwrap();
        let mut writer = MailStore::draft(&self.store);
        if let Some(spilled) = writer.write(Bytes::copy_from_slice(text.as_bytes())) {
            spilled.await.unwrap();
        }
        let message = (writer.finish(), Flags::NONE, Vec::new(), Time(0));
        let fence = self.store.fence(Shard::of_account(self.account)).unwrap();
        let put = self
            .store
            .append(fence, self.account, inbox.id, vec![message]);
        put.await.unwrap();
    }

    /// How many messages are in the INBOX.
    pub(crate) fn count(&self) -> u32 {
        let inbox = self.store.mailbox_named(self.account, "INBOX").unwrap();
        inbox.unwrap().messages
    }

    /// The messages that were taken and not yet delivered.
    pub(crate) fn spooled(&self) -> Vec<Spooled> {
        let ids = self.store.open(None, 100).unwrap();
        let get = |id| self.store.get(id).unwrap().unwrap();
        ids.into_iter().map(get).collect()
    }
}

/// As the doors do it.
fn connect<C: Send + 'static>(sessions: &Sessions<C>) -> Wire {
    let (near, far) = tokio::io::duplex(1024 * 1024);
    let hearing = sessions.clone();
    let socket = Socket::memory(far, SOMEWHERE, SOMEWHERE);
    let connection = Connection::start(
        socket,
        Arc::<Options>::default(),
        move |key, event: Event| {
            if hearing.cast(key, SessionMsg::Connection(event)).is_err() {
                key.abort();
            }
        },
    );
    sessions.cast(&connection, SessionMsg::Begin).unwrap();
    Wire::new(near)
}

fn spec_of<C: Send + 'static>(
    name: &'static str,
    last_words: &'static str,
) -> FamilySpec<Connection<C>, SessionMsg> {
    FamilySpec::transient(name)
        .with_intensity(Intensity {
            restarts_max: 3,
            window: Duration::from_secs(3600),
        })
        .with_heartbeat(Heartbeat {
            limit: Duration::from_secs(60),
            kill: true,
        })
        .on_give_up(move |connection: &Connection<C>, _| {
            connection.close_after(Bytes::from_static(last_words.as_bytes()));
        })
}

fn smtp_args(
    ports: &Fragile,
    login: Seat<LoginMsg>,
    mailboxes: &Family<AccountId, MailboxMsg>,
    tls: Option<ServerTls>,
    refused: &RefusedCommands,
) -> Arc<SmtpSessionArgs> {
    let mut config =
        smtp::server::Config::new("mx.house.test".parse().unwrap(), smtp::Family::Smtp);
    config.mechanisms = vec![Mechanism::Plain];
    config.plaintext_auth_allowed = tls.is_none();
    config.tls_offered = tls.is_some();
    config.errors_max = 1000;
    Arc::new(SmtpSessionArgs {
        admission: Admission {
            door: Door::Smtp,
            facts: AccountFacts(Arc::new(ports.clone())),
            rules: Rules::default(),
            trusted: Vec::new(),
        },
        budget: Budget::new(64 * 1024 * 1024),
        clock: Arc::new(ports.clone()),
        config: Arc::new(config),
        leases: Arc::new(ports.clone()),
        login,
        mail: Arc::new(ports.store.clone()),
        mailboxes: mailboxes.clone(),
        random: Arc::new(SeededRandom::new(1)),
        refused: refused.clone(),
        router: Seat::new("router"),
        spool: Arc::new(ports.store.clone()),
        tls,
    })
}

fn imap_args(
    ports: &Fragile,
    login: Seat<LoginMsg>,
    mailboxes: &Family<AccountId, MailboxMsg>,
    tls: Option<ServerTls>,
    refused: &RefusedCommands,
) -> Arc<ImapSessionArgs> {
    let mut config = imap::Config::new("mx.house.test");
    let settings = Arc::make_mut(&mut config);
    settings.plaintext_login = tls.is_none();
    settings.starttls = tls.is_some();
    settings.limits.bad_commands = 1000;
    Arc::new(ImapSessionArgs {
        budget: Budget::new(64 * 1024 * 1024),
        clock: Arc::new(ports.clone()),
        config,
        login,
        mail: Arc::new(ports.clone()),
        mailboxes: mailboxes.clone(),
        refused: refused.clone(),
        tls,
        tls_from_start: false,
    })
}

fn pop3_args(
    ports: &Fragile,
    login: Seat<LoginMsg>,
    mailboxes: &Family<AccountId, MailboxMsg>,
    tls: Option<ServerTls>,
    refused: &RefusedCommands,
) -> Arc<Pop3SessionArgs> {
    let mut config = pop3::Config::new("mx.house.test");
    config.plaintext_auth_allowed = tls.is_none();
    config.tls_offered = tls.is_some();
    config.errors_max = 1000;
    Arc::new(Pop3SessionArgs {
        config: Arc::new(config),
        login,
        mail: Arc::new(ports.clone()),
        mailboxes: mailboxes.clone(),
        refused: refused.clone(),
        tls,
    })
}

fn good_poison(store: &MemoryStore, book: RefusedCommands) -> PoisonArgs {
    PoisonArgs {
        book,
        clock: Arc::new(SystemClock::new()),
        leases: Arc::new(store.clone()),
        router: Seat::new("router"),
        spool: Arc::new(store.clone()),
    }
}

/// Sessions at rest sleep after that, by the clock that waits for nobody.
pub(crate) const SLEEP_AFTER: Duration = Duration::from_secs(5);

pub(crate) const SOMEWHERE: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4711);

/// Lets everybody do what can be done now: there is one thread, and nobody waits for the clock.
pub(crate) async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// Runs a story in a world of its own, whose clock waits for nobody.
pub(crate) fn run(story: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(story);
}

/// So many cases; a failure is shown, not written down.
pub(crate) fn cases(cases: u32) -> Config {
    Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    }
}
