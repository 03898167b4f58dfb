//! A listener, as an actor: it lets connections in, as many as may be.
//!
//! # Owns
//! The accepting of one socket. The socket itself is older and lives on: while a listener is
//! restarted, connections wait in the kernel.
//!
//! # Hears
//! [`ListenerMsg`]: `Crowded` from its own door, `Look` from the clock, `Close` from the house.
//!
//! # Says
//! Nothing to actors: it gives each socket to the function that begins a session.
//!
//! # Supervised by
//! Its door, `Permanent`, after the family of its sessions.
//!
//! # When it crashes
//! Nobody notices: connections wait in the kernel for the microseconds of a restart, and sessions
//! do not depend on their listener.
//!
//! # Metrics
//! `heronry_listener_connections_total`, `heronry_listener_crowded_total`.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use mail::Network;
use policy::shape::Limits;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervision::{Alarm, Gate, KeyedGate, KeyedPass, Live, Pass, alarm};
use world::{
    connection::Socket,
    listen::{Accepting, Door},
};

use super::metrics::{ACCEPTED, CROWDED};
use crate::contract::{ListenerMsg, ListenerReport};

/// A listener.
#[derive(Debug)]
pub struct Listener;

/// What a listener needs to live. Everything it may touch is named here.
#[derive(Clone)]
pub struct ListenerArgs {
    /// Where it listens.
    pub address: SocketAddr,
    /// Begins a session; the guest's place is free again when it is dropped.
    pub begin: Arc<dyn Fn(Socket, Guest) + Send + Sync>,
    /// How many may be inside, over all clients.
    pub gate: Gate,
    /// How wide a network is, whose clients are counted together.
    pub limits: Live<Limits>,
    /// How many may be inside, per network.
    pub per_network: KeyedGate<Network>,
    /// The protocol, for the label of the metrics.
    pub protocol: &'static str,
    /// The bound socket; none once the door is closed.
    pub socket: Live<Option<TcpListener>>,
    /// Says no in the words of the protocol, and closes.
    pub turn_away: Arc<dyn Fn(Socket) + Send + Sync>,
}

/// A guest's place behind the door.
pub struct Guest {
    _pass: Pass,
    _network: KeyedPass<Network>,
}

/// What a listener has in memory.
pub struct ListenerState {
    args: ListenerArgs,
    /// None once the door is closed.
    accepting: Option<Accepting>,
    /// Rings while connections wait in the kernel.
    waiting: Option<Alarm>,
}

impl Actor for Listener {
    type Msg = ListenerMsg;
    type State = ListenerState;
    type Arguments = ListenerArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ListenerMsg>,
        args: ListenerArgs,
    ) -> Result<ListenerState, ActorProcessingErr> {
        let accepting = match &*args.socket.get() {
            Some(socket) => Some(accept(socket, args.clone(), myself)?),
            None => None,
        };
        Ok(ListenerState {
            args,
            accepting,
            waiting: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ListenerMsg>,
        msg: ListenerMsg,
        state: &mut ListenerState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            ListenerMsg::Close => {
                state.waiting = None;
                state.accepting = None;
            }
            ListenerMsg::Crowded if state.waiting.is_some() => {}
            ListenerMsg::Crowded => {
                CROWDED.count(&[state.args.protocol]);
                if let Some(accepting) = &state.accepting {
                    accepting.pause();
                }
                state.waiting = Some(alarm(LOOK_PAUSE, &myself, ListenerMsg::Look));
            }
            ListenerMsg::Inspect(reply) => {
                let _ = reply.send(state.report()); // whoever asked may have left
            }
            ListenerMsg::Look if state.args.gate.is_crowded() => {
                state.waiting = Some(alarm(LOOK_PAUSE, &myself, ListenerMsg::Look));
            }
            ListenerMsg::Look => {
                state.waiting = None;
                if let Some(accepting) = &state.accepting {
                    accepting.resume();
                }
            }
        }
        Ok(())
    }
}

fn accept(
    socket: &TcpListener,
    doorman: ListenerArgs,
    myself: ActorRef<ListenerMsg>,
) -> io::Result<Accepting> {
    let door = Door::take_over(socket.try_clone()?)?;
    Ok(door.accepting(move |socket| {
        doorman.receive(socket);
        if doorman.gate.is_crowded() {
            let _ = myself.cast(ListenerMsg::Crowded); // the next incarnation sees for itself
        }
    }))
}

impl ListenerArgs {
    fn receive(&self, socket: Socket) {
        let Some(pass) = self.gate.enter() else {
            ACCEPTED.count(&[self.protocol, "full"]);
            return (self.turn_away)(socket);
        };
        let network = self.limits.get().network(socket.peer().ip());
        let Some(network) = self.per_network.enter(network) else {
            ACCEPTED.count(&[self.protocol, "network_full"]);
            return (self.turn_away)(socket);
        };
        ACCEPTED.count(&[self.protocol, "let_in"]);
        (self.begin)(
            socket,
            Guest {
                _pass: pass,
                _network: network,
            },
        );
    }
}

impl ListenerState {
    fn report(&self) -> ListenerReport {
        let (soft, hard) = self.args.gate.limits();
        ListenerReport {
            address: self.args.address,
            connections: self.args.gate.count(),
            soft,
            hard,
            waiting: self.waiting.is_some(),
        }
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guest")
    }
}

/// How long connections wait at least once the soft limit is reached.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
