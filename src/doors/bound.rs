//! The doors' sockets, bound before anything is started.

use std::net::{SocketAddr, TcpListener};

use supervision::Live;
use world::listen::{DoorError, bind};

use crate::config::{self, Config, Protocol};

/// A bound socket and what is spoken there.
#[derive(Clone, Debug)]
pub struct Bound {
    pub(crate) listener: config::Listener,
    /// None once the door is closed.
    pub(crate) socket: Live<Option<TcpListener>>,
}

/// Sockets that somebody else has bound for us: systemd, by socket activation.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<TcpListener>);

impl Inherited {
    /// Those that the process was started with. To be asked once, before there are threads.
    pub(crate) fn from_environment() -> Self {
        let mut given = listenfd::ListenFd::from_env();
        let sockets = (0..given.len()).filter_map(|number| match given.take_tcp_listener(number) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(number, %error, "a socket that was handed over is of no use");
                None
            }
        });
        Self(sockets.collect())
    }

    /// The socket that is bound to `address`, as a descriptor of its own: the door may be closed,
    /// and opened again.
    fn find(&self, address: SocketAddr) -> Option<TcpListener> {
        let is_there = |socket: &&TcpListener| socket.local_addr().is_ok_and(|at| at == address);
        self.0.iter().find(is_there)?.try_clone().ok()
    }

    /// Names what no listener is for: connections to it would wait for ever.
    pub(crate) fn warn_of_strangers(&self, config: &Config) {
        for at in self.0.iter().filter_map(|socket| socket.local_addr().ok()) {
            if config
                .listener
                .iter()
                .all(|listener| listener.address != at)
            {
                tracing::warn!(address = %at, "a socket was handed over that no [[listener]] names");
            }
        }
    }
}

impl Bound {
    /// Binds the socket of a listener, or takes the one that was handed over for its address.
    pub(crate) fn new(
        listener: config::Listener,
        inherited: &Inherited,
    ) -> Result<Self, DoorError> {
        let socket = match inherited.find(listener.address) {
            Some(socket) => socket,
            None => bind(listener.address, BACKLOG)?,
        };
        let socket = Live::new(Some(socket));
        Ok(Self { listener, socket })
    }

    /// The same socket, for another protocol; none if the door is closed.
    pub(crate) fn speaking(&self, listener: config::Listener) -> Option<Self> {
        let socket = Live::new(Some(self.share()?));
        Some(Self { listener, socket })
    }

    /// Is open again, with the socket of `other`.
    pub(crate) fn reopen(&self, other: &Self) {
        self.socket.set(other.share());
    }

    fn share(&self) -> Option<TcpListener> {
        let socket = self.socket.get();
        socket.as_ref().as_ref()?.try_clone().ok()
    }

    /// What the door is called in the tree: `smtp 127.0.0.1:2025`.
    pub(crate) fn name(&self) -> String {
        let config::Listener { address, protocol } = self.listener;
        format!("{} {address}", protocol.name())
    }
}

/// Binds every listener of the configuration: a port that is taken must be known before anything
/// is started.
///
/// # Errors
/// [`DoorError`], with the address and what would be right.
pub(crate) fn bind_all(config: &Config, inherited: &Inherited) -> Result<Vec<Bound>, DoorError> {
    inherited.warn_of_strangers(config);
    let listeners = config.listener.iter();
    listeners
        .map(|listener| Bound::new(*listener, inherited))
        .collect()
}

/// Binds the listeners of a demo whose ports nobody has chosen: it does without those that are
/// taken, but not without a door to bring mail and one to read it.
///
/// # Errors
/// As [`bind_all`].
pub(crate) fn bind_free(config: &Config) -> Result<Vec<Bound>, DoorError> {
    let is_needed = |protocol| matches!(protocol, Protocol::Imap | Protocol::Smtp);
    let mut bound = Vec::new();
    for listener in &config.listener {
        match Bound::new(*listener, &Inherited::default()) {
            Ok(door) => bound.push(door),
            Err(error @ DoorError::InUse { .. }) if !is_needed(listener.protocol) => {
                tracing::warn!(protocol = listener.protocol.name(), %error, "this door stays closed");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

/// Connections that wait in the kernel.
const BACKLOG: u16 = 4096;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn config(doors: &[(Protocol, SocketAddr)]) -> Config {
        let listener = |&(protocol, address)| config::Listener { protocol, address };
        Config {
            listener: doors.iter().map(listener).collect(),
            ..Config::default()
        }
    }

    #[test]
    fn a_demo_does_without_a_door_that_is_taken_unless_no_mail_could_come_or_be_read() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = other.local_addr().unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let wanted = config(&[
            (Protocol::Smtp, free),
            (Protocol::Imap, free),
            (Protocol::Lmtp, taken),
        ]);
        let open = bind_free(&wanted).unwrap();
        assert_eq!(
            open.iter().map(|b| b.listener.protocol).collect::<Vec<_>>(),
            [Protocol::Smtp, Protocol::Imap]
        );
        assert!(matches!(
            bind_all(&wanted, &Inherited::default()),
            Err(DoorError::InUse { .. })
        ));
        let needed = config(&[(Protocol::Smtp, taken), (Protocol::Imap, free)]);
        assert!(matches!(bind_free(&needed), Err(DoorError::InUse { .. })));
    }
}
