//! A listener and the family of its sessions.

use std::{sync::Arc, time::Duration};

use actors::{
    contract::{ListenerMsg, SessionMsg},
    listener::{Guest, Listener, ListenerArgs},
    session::{
        imap::{ImapCheckpoint, ImapSession},
        pop3::{Pop3Checkpoint, Pop3Session},
        smtp::{SmtpCheckpoint, SmtpSession},
    },
};
use bytes::Bytes;
use supervision::{
    Budget, ChildSpec, Family, FamilySpec, Gate, Heartbeat, Intensity, KeyedGate, Live, Seat, actor,
};
use world::connection::{Connection, Event, Options, Socket};

use super::{Bound, fit};
use crate::{
    config::Protocol,
    daemon::Parts,
    tree::{self, Seats},
};

/// A listener and the family of its sessions.
pub(crate) struct Door {
    bound: Bound,
    doorman: Seat<ListenerMsg>,
    listener: ListenerArgs,
    options: Live<Options>,
    refit: Refit,
    sessions: Box<dyn Sessions>,
}

/// Makes anew what the sessions are given.
type Refit = Box<dyn Fn(&Parts) + Send + Sync>;

/// A session family, whatever its sessions keep in their connections.
trait Sessions: Send + Sync {
    fn child(&self) -> ChildSpec;
    fn guests(&self) -> usize;
    fn hang_up(&self, last_words: &'static str) -> usize;
    fn say_goodbye(&self) -> usize;
}

impl<C: Send + 'static> Sessions for Family<Connection<C>, SessionMsg> {
    fn child(&self) -> ChildSpec {
        self.child()
    }

    fn guests(&self) -> usize {
        self.len()
    }

    fn hang_up(&self, last_words: &'static str) -> usize {
        for connection in self.keys() {
            connection.close_after(Bytes::from_static(last_words.as_bytes()));
        }
        self.len()
    }

    fn say_goodbye(&self) -> usize {
        self.broadcast(|_| SessionMsg::Closing);
        self.len()
    }
}

impl Door {
    /// The door behind a socket; none if no mail comes there.
    pub(crate) fn new(
        parts: &Parts,
        seats: &Arc<Seats>,
        budget: &Budget,
        bound: &Bound,
    ) -> Option<Self> {
        let protocol = bound.listener.protocol;
        let (house, purse) = (Arc::clone(seats), budget.clone());
        let door = match protocol {
            Protocol::Http => return None,
            Protocol::Imap | Protocol::Imaps => {
                let make = move |parts: &Parts| fit::imap(parts, &house, &purse, protocol);
                let now = Live::new(make(parts));
                let given = now.clone();
                let spec = family::<ImapCheckpoint>(bound)
                    .sleeping()
                    .ask_after(SLEEP_AFTER, |_| SessionMsg::Idle);
                let sessions = Family::new(spec, move |connection: &Connection<_>, context| {
                    let args = given.get().choose(connection.peer().ip());
                    (ImapSession, (connection.clone(), args, Some(context)))
                });
                let refit: Refit = Box::new(move |parts| now.set(make(parts)));
                assemble(parts, bound, sessions, refit)
            }
            Protocol::Pop3 | Protocol::Pop3s => {
                let make = move |parts: &Parts| fit::pop3(parts, &house, protocol);
                let now = Live::new(make(parts));
                let given = now.clone();
                let spec = family::<Pop3Checkpoint>(bound);
                let sessions = Family::new(spec, move |connection: &Connection<_>, _| {
                    let args = given.get().choose(connection.peer().ip());
                    (Pop3Session, (connection.clone(), args))
                });
                let refit: Refit = Box::new(move |parts| now.set(make(parts)));
                assemble(parts, bound, sessions, refit)
            }
            Protocol::Lmtp | Protocol::Smtp | Protocol::Submission | Protocol::Submissions => {
                let make = move |parts: &Parts| fit::smtp(parts, &house, &purse, protocol);
                let now = Live::new(make(parts));
                let given = now.clone();
                let spec = family::<SmtpCheckpoint>(bound);
                let sessions = Family::new(spec, move |connection: &Connection<_>, _| {
                    let args = given.get().choose(connection.peer().ip());
                    (SmtpSession, (connection.clone(), args))
                });
                let refit: Refit = Box::new(move |parts| now.set(make(parts)));
                assemble(parts, bound, sessions, refit)
            }
        };
        Some(door)
    }

    /// Its socket, and what is spoken there.
    pub(crate) const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The sessions, as a child of the tree.
    pub(crate) fn sessions(&self) -> ChildSpec {
        self.sessions.child()
    }

    /// The listener, as a child of the tree.
    pub(crate) fn listener(&self) -> ChildSpec {
        let args = self.listener.clone();
        ChildSpec::permanent(
            self.bound.name(),
            actor(|| Listener, move || args.clone(), &self.doorman),
        )
        .with_heartbeat(tree::PULSE)
    }

    /// Lets nobody in any more, and closes the socket. Who is inside stays.
    pub(crate) fn shut(&self) {
        self.bound.socket.set(None);
        // A doorman who is being restarted finds no socket.
        let _ = self.doorman.cast(ListenerMsg::Close);
    }

    /// How many sessions there are.
    pub(crate) fn guests(&self) -> usize {
        self.sessions.guests()
    }

    /// Tells every session that the house is closing; how many there are.
    pub(crate) fn say_goodbye(&self) -> usize {
        self.sessions.say_goodbye()
    }

    /// Closes every connection, after last words; how many there are.
    pub(crate) fn hang_up(&self) -> usize {
        self.sessions
            .hang_up(last_words(self.bound.listener.protocol))
    }

    /// Takes over settings that have changed, for whoever comes from now on.
    pub(crate) fn refit(&self, parts: &Parts) {
        let limits = parts.config.get().limits.connections;
        let (soft, hard) = places(limits.connections_max);
        self.listener.gate.set_limits(soft, hard);
        let per_network = limits.connections_per_network_max;
        self.listener.per_network.set_limit(per_network);
        self.listener.limits.set(limits);
        let protocol = self.bound.listener.protocol;
        self.options.set(fit::options(parts, protocol));
        (self.refit)(parts);
    }
}

fn family<C: Send + 'static>(bound: &Bound) -> FamilySpec<Connection<C>, SessionMsg> {
    let last_words = last_words(bound.listener.protocol);
    FamilySpec::transient(format!("{}-sessions", bound.name()))
        .with_intensity(Intensity {
            restarts_max: RESUMED_MAX,
            window: Duration::from_secs(3600),
        })
        .with_heartbeat(PULSE)
        .on_give_up(move |connection: &Connection<C>, _| {
            connection.close_after(Bytes::from_static(last_words.as_bytes()));
        })
}

fn assemble<C: Send + 'static>(
    parts: &Parts,
    bound: &Bound,
    sessions: Family<Connection<C>, SessionMsg>,
    refit: Refit,
) -> Door {
    let protocol = bound.listener.protocol;
    let options = Live::new(fit::options(parts, protocol));
    let given = options.clone();
    let limits = parts.config.get().limits.connections;
    let (soft, hard) = places(limits.connections_max);
    let listener = ListenerArgs {
        address: bound.listener.address,
        begin: begin(sessions.clone(), options.clone(), protocol),
        gate: Gate::new(soft, hard),
        limits: Live::new(limits),
        per_network: KeyedGate::new(limits.connections_per_network_max),
        protocol: protocol.name(),
        socket: bound.socket.clone(),
        turn_away: Arc::new(move |socket| {
            let connection = Connection::<()>::start(socket, given.get(), |_, _| {});
            connection.close_after(Bytes::from_static(last_words(protocol).as_bytes()));
        }),
    };
    Door {
        bound: bound.clone(),
        doorman: Seat::new(bound.name()),
        listener,
        options,
        refit,
        sessions: Box::new(sessions),
    }
}

/// With nine tenths of its places taken a door asks for no more; the rest is for who is on the way.
const fn places(connections_max: usize) -> (usize, usize) {
    (connections_max - connections_max / 10, connections_max)
}

/// Begins a session: every event of its connection goes to it, whichever incarnation is there.
fn begin<C: Send + 'static>(
    sessions: Family<Connection<C>, SessionMsg>,
    options: Live<Options>,
    protocol: Protocol,
) -> Arc<dyn Fn(Socket, Guest) + Send + Sync> {
    Arc::new(move |socket, guest| {
        let hearing = sessions.clone();
        let ear = move |connection: &Connection<C>, event: Event| {
            let _place = &guest; // free again when the connection is gone
            if hearing
                .cast(connection, SessionMsg::Connection(event))
                .is_err()
            {
                // Its session was given up, or the house is closing: whoever says so first, these
                // words are the last.
                connection.close_after(Bytes::from_static(last_words(protocol).as_bytes()));
            }
        };
        let connection = Connection::start(socket, options.get(), ear);
        if !protocol.is_tls_first() && sessions.cast(&connection, SessionMsg::Begin).is_err() {
            connection.abort();
        }
    })
}

/// What is said where no session is left to say it.
const fn last_words(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap | Protocol::Imaps => "* BYE [UNAVAILABLE] come back later\r\n",
        Protocol::Pop3 | Protocol::Pop3s => "-ERR [SYS/TEMP] come back later\r\n",
        _ => "421 4.3.2 come back later\r\n",
    }
}

/// To be woken costs less than a tenth of a millisecond, and people think for longer than this. Were it
/// longer, a crowd that logs in at once would be awake at once, before the first one sleeps.
const SLEEP_AFTER: Duration = Duration::from_secs(1);

/// A session that is at work for so long without getting anywhere is stuck: it is killed, and its
/// successor answers for it. Whom it waits for (a client that does not read, the store, a login)
/// may take his time.
const PULSE: Heartbeat = Heartbeat {
    limit: Duration::from_secs(60),
    kill: true,
};

/// A session that crashes a fourth time will crash a fifth time.
const RESUMED_MAX: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_with_few_places_has_room_too() {
        for connections_max in [1, 2, 9] {
            assert_eq!(places(connections_max), (connections_max, connections_max));
        }
        assert_eq!(places(10_000), (9000, 10_000));
    }
}
