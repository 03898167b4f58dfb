//! The doors for mail: a listener and the family of its sessions, for each `[[listener]]`.

mod bound;

use std::{net::IpAddr, sync::Arc, time::Duration};

use actors::{
    contract::{ListenerMsg, SessionMsg},
    facts::AccountFacts,
    listener::{Guest, Listener, ListenerArgs},
    session::{
        imap::{ImapCheckpoint, ImapSession, ImapSessionArgs},
        pop3::{Pop3Checkpoint, Pop3Session, Pop3SessionArgs},
        smtp::{Admission, SmtpCheckpoint, SmtpSession, SmtpSessionArgs},
    },
};
use bytes::Bytes;
use policy::admit;
use smtp::Mechanism;
use supervision::{Budget, ChildSpec, Family, FamilySpec, Gate, Intensity, KeyedGate, Seat, actor};
use world::connection::{Connection, Event, Options, Socket};

pub(crate) use self::bound::{Bound, bind_all, bind_free};
use crate::{
    config::{Config, Protocol},
    daemon::Parts,
    tree::Seats,
};

/// A listener and the family of its sessions.
pub(crate) struct Door {
    listener: ListenerArgs,
    name: String,
    sessions: Box<dyn Sessions>,
}

/// A session family, whatever its sessions keep in their connections.
trait Sessions: Send + Sync {
    fn child(&self) -> ChildSpec;
    fn say_goodbye(&self) -> usize;
}

impl<C: Send + 'static> Sessions for Family<Connection<C>, SessionMsg> {
    fn child(&self) -> ChildSpec {
        self.child()
    }

    fn say_goodbye(&self) -> usize {
        self.broadcast(|_| SessionMsg::Closing);
        self.len()
    }
}

/// The sockets for machines that watch: health and metrics.
pub(crate) fn http(parts: &Parts) -> impl Iterator<Item = &Bound> {
    let sockets = parts.sockets.iter();
    sockets.filter(|bound| bound.listener.protocol == Protocol::Http)
}

/// A door for each socket that is bound for mail.
pub(crate) fn all(parts: &Parts, seats: &Seats) -> Vec<Door> {
    let budget = Budget::new(parts.config.limits.memory_octets);
    parts
        .sockets
        .iter()
        .filter_map(|bound| door(parts, seats, &budget, bound))
        .collect()
}

/// Tells every session that the house is closing, and waits until all have left, `within` at most.
pub(crate) async fn say_goodbye(doors: &[Door], within: Duration) {
    let deadline = tokio::time::Instant::now() + within;
    while doors
        .iter()
        .map(|door| door.sessions.say_goodbye())
        .sum::<usize>()
        > 0
        && tokio::time::Instant::now() < deadline
    {
        tokio::time::sleep(GOODBYE_LOOK).await;
    }
}

impl Door {
    /// The sessions, as a child of the tree.
    pub(crate) fn sessions(&self) -> ChildSpec {
        self.sessions.child()
    }

    /// The listener, as a child of the tree.
    pub(crate) fn listener(&self) -> ChildSpec {
        let args = self.listener.clone();
        let seat: Seat<ListenerMsg> = Seat::new(self.name.clone());
        ChildSpec::permanent(
            self.name.clone(),
            actor(|| Listener, move || args.clone(), &seat),
        )
    }
}

/// The door behind a socket; none if no mail comes there.
fn door(parts: &Parts, seats: &Seats, budget: &Budget, bound: &Bound) -> Option<Door> {
    let silence = parts.config.limits.silence;
    let door = match bound.listener.protocol {
        Protocol::Http => return None,
        Protocol::Imap | Protocol::Imaps => {
            let limits = imap::Limits {
                append_octets: parts.config.limits.message_octets_max,
                ..imap::Limits::default()
            };
            let hostname = parts.config.hostname.to_string();
            let args = pair(|plaintext_login| ImapSessionArgs {
                accounts: parts.accounts.clone(),
                budget: budget.clone(),
                clock: parts.clock.clone(),
                config: Arc::new(imap::Config {
                    host: hostname.clone().into(),
                    starttls: parts.server_tls.is_some(),
                    plaintext_login,
                    limits,
                }),
                login: seats.login.clone(),
                mail: parts.mail.clone(),
                mailboxes: seats.mailboxes.clone(),
                tls: parts.server_tls.clone(),
                tls_from_start: bound.listener.protocol.is_tls_first(),
            });
            let trusting = parts.config.clone();
            let spec = family::<ImapCheckpoint>(bound, IMAP_BYE);
            let sessions = Family::new(spec, move |connection: &Connection<_>, _| {
                let args = choose(&args, &trusting, connection.peer().ip());
                (ImapSession, (connection.clone(), args))
            });
            assemble(
                parts,
                bound,
                sessions,
                Duration::from_secs(silence.imap_seconds),
                IMAP_BYE,
            )
        }
        Protocol::Pop3 | Protocol::Pop3s => {
            let args = pair(|plaintext_auth_allowed| Pop3SessionArgs {
                config: Arc::new(pop3::Config {
                    tls_offered: parts.server_tls.is_some(),
                    tls_active: bound.listener.protocol.is_tls_first(),
                    plaintext_auth_allowed,
                    ..pop3::Config::new(parts.config.hostname.to_string())
                }),
                login: seats.login.clone(),
                mail: parts.mail.clone(),
                mailboxes: seats.mailboxes.clone(),
                tls: parts.server_tls.clone(),
            });
            let trusting = parts.config.clone();
            let spec = family::<Pop3Checkpoint>(bound, POP3_BYE);
            let sessions = Family::new(spec, move |connection: &Connection<_>, context| {
                let args = choose(&args, &trusting, connection.peer().ip());
                (
                    Pop3Session,
                    (connection.clone(), args, context.restarts() > 0),
                )
            });
            assemble(
                parts,
                bound,
                sessions,
                Duration::from_secs(silence.pop3_seconds),
                POP3_BYE,
            )
        }
        Protocol::Lmtp | Protocol::Smtp | Protocol::Submission | Protocol::Submissions => {
            let args = pair(|plaintext| smtp_args(parts, seats, budget, bound, plaintext));
            let trusting = parts.config.clone();
            let spec = family::<SmtpCheckpoint>(bound, SMTP_BYE);
            let sessions = Family::new(spec, move |connection: &Connection<_>, context| {
                let args = choose(&args, &trusting, connection.peer().ip());
                (
                    SmtpSession,
                    (connection.clone(), args, context.restarts() > 0),
                )
            });
            assemble(
                parts,
                bound,
                sessions,
                Duration::from_secs(silence.smtp_seconds),
                SMTP_BYE,
            )
        }
    };
    Some(door)
}

fn smtp_args(
    parts: &Parts,
    seats: &Seats,
    budget: &Budget,
    bound: &Bound,
    plaintext_auth_allowed: bool,
) -> SmtpSessionArgs {
    let (dialogue, door) = match bound.listener.protocol {
        Protocol::Lmtp => (smtp::Family::Lmtp, admit::Door::Lmtp),
        Protocol::Submission | Protocol::Submissions => {
            (smtp::Family::Submission, admit::Door::Submission)
        }
        _ => (smtp::Family::Smtp, admit::Door::Smtp),
    };
    let settings = &parts.config;
    let mut config = smtp::server::Config::new(settings.hostname.clone(), dialogue);
    config.size_max = settings.limits.message_octets_max;
    config.recipients_max = settings.limits.recipients_max;
    config.tls_offered = parts.server_tls.is_some();
    config.tls_active = bound.listener.protocol.is_tls_first();
    config.plaintext_auth_allowed = plaintext_auth_allowed;
    if dialogue != smtp::Family::Lmtp {
        config.mechanisms = vec![Mechanism::Plain, Mechanism::Login];
    }
    SmtpSessionArgs {
        admission: Admission {
            facts: AccountFacts(parts.accounts.clone()),
            door,
            rules: settings.address.clone(),
            trusted: settings.trusted.clone(),
        },
        budget: budget.clone(),
        clock: parts.clock.clone(),
        config: Arc::new(config),
        leases: parts.leases.clone(),
        login: seats.login.clone(),
        random: parts.random.clone(),
        router: seats.router.clone(),
        spool: parts.spool.clone(),
        tls: parts.server_tls.clone(),
    }
}

/// What sessions are given: with TLS before every password, and without, for trusted networks.
fn pair<A>(make: impl Fn(bool) -> A) -> [Arc<A>; 2] {
    [false, true].map(|without_tls| Arc::new(make(without_tls)))
}

fn choose<A>([strict, easy]: &[Arc<A>; 2], config: &Config, client: IpAddr) -> Arc<A> {
    let is_easy = config
        .login_without_tls
        .iter()
        .any(|network| network.contains(client));
    Arc::clone(if is_easy { easy } else { strict })
}

fn family<C: Send + 'static>(
    bound: &Bound,
    last_words: &'static str,
) -> FamilySpec<Connection<C>, SessionMsg> {
    FamilySpec::transient(format!("{}-sessions", bound.name()))
        .with_intensity(Intensity {
            restarts_max: RESUMED_MAX,
            window: Duration::from_secs(3600),
        })
        .on_give_up(move |connection: &Connection<C>, _| {
            connection.close_after(Bytes::from_static(last_words.as_bytes()));
        })
}

fn assemble<C: Send + 'static>(
    parts: &Parts,
    bound: &Bound,
    sessions: Family<Connection<C>, SessionMsg>,
    idle: Duration,
    last_words: &'static str,
) -> Door {
    let tls_first = bound.listener.protocol.is_tls_first();
    let options = Arc::new(Options {
        idle,
        tls: parts.server_tls.clone().filter(|_| tls_first),
        ..Options::default()
    });
    let limits = parts.config.limits.connections;
    let listener = ListenerArgs {
        begin: begin(sessions.clone(), options.clone(), tls_first),
        gate: gate(limits.connections_max),
        limits,
        per_network: KeyedGate::new(limits.connections_per_network_max),
        protocol: bound.listener.protocol.name(),
        socket: bound.socket.clone(),
        turn_away: Arc::new(move |socket| {
            let connection = Connection::<()>::start(socket, options.clone(), |_, _| {});
            connection.close_after(Bytes::from_static(last_words.as_bytes()));
        }),
    };
    Door {
        listener,
        name: bound.name(),
        sessions: Box::new(sessions),
    }
}

/// With nine tenths of its places taken a door asks for no more; the rest is for who is on the way.
fn gate(connections_max: usize) -> Gate {
    Gate::new(connections_max - connections_max / 10, connections_max)
}

/// Begins a session: every event of its connection goes to it, whichever incarnation is there.
fn begin<C: Send + 'static>(
    sessions: Family<Connection<C>, SessionMsg>,
    options: Arc<Options>,
    tls_first: bool,
) -> Arc<dyn Fn(Socket, Guest) + Send + Sync> {
    Arc::new(move |socket, guest| {
        let hearing = sessions.clone();
        let ear = move |connection: &Connection<C>, event: Event| {
            let _place = &guest; // free again when the connection is gone
            if hearing
                .cast(connection, SessionMsg::Connection(event))
                .is_err()
            {
                connection.abort(); // its session was given up, or the house is closing
            }
        };
        let connection = Connection::start(socket, options.clone(), ear);
        if !tls_first && sessions.cast(&connection, SessionMsg::Begin).is_err() {
            connection.abort();
        }
    })
}

/// A session that crashes a fourth time will crash a fifth time.
const RESUMED_MAX: u32 = 3;

/// How often a closing house looks whether its guests have left.
const GOODBYE_LOOK: Duration = Duration::from_millis(50);

const IMAP_BYE: &str = "* BYE [UNAVAILABLE] come back later\r\n";
const POP3_BYE: &str = "-ERR [SYS/TEMP] come back later\r\n";
const SMTP_BYE: &str = "421 4.3.2 come back later\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_with_few_places_has_room_too() {
        for connections_max in [1, 2, 9] {
            let gate = gate(connections_max);
            assert_eq!(gate.limits(), (connections_max, connections_max));
        }
        assert_eq!(gate(10_000).limits(), (9000, 10_000));
    }
}
