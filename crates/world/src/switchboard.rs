//! A network in memory: who listens at an address is reached there, everybody else is refused.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    connection::Socket,
    outbound::{Dial, Dialing, Outbound, OutboundError},
};

/// A network for simulations. Clones are one network.
#[derive(Clone, Default)]
pub struct Switchboard(Arc<Lines>);

#[derive(Default)]
struct Lines {
    listeners: Mutex<HashMap<SocketAddr, UnboundedSender<Socket>>>,
    ports: AtomicU16,
}

impl Switchboard {
    /// A network on which nobody listens.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens at `address`: who connects comes out, until the receiver is dropped.
    #[must_use]
    pub fn listen(&self, address: SocketAddr) -> UnboundedReceiver<Socket> {
        let (ear, calls) = unbounded_channel();
        self.listeners().insert(address, ear);
        calls
    }

    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<Outbound> {
        let from = from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let local = SocketAddr::new(from, self.0.ports.fetch_add(1, Ordering::Relaxed));
        let (near, far) = tokio::io::duplex(PIPE_OCTETS);
        let mut listeners = self.listeners();
        let rung = listeners
            .get(&to)
            .is_some_and(|ear| ear.send(Socket::memory(far, local, to)).is_ok());
        if !rung {
            listeners.remove(&to);
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Outbound::memory(near, to, local))
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<SocketAddr, UnboundedSender<Socket>>> {
        self.0
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dial for Switchboard {
    fn dial(&self, to: SocketAddr, from: Option<IpAddr>, _: Duration) -> Dialing<'_> {
        Box::pin(async move { self.connect(to, from).map_err(OutboundError::Network) })
    }
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Switchboard")
    }
}

/// What is on its way in one direction of a connection.
const PIPE_OCTETS: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::connection::{Connection, Event};

    #[tokio::test]
    async fn who_listens_is_reached_and_nobody_else() {
        let (network, limit) = (Switchboard::new(), Duration::from_secs(1));
        let here: SocketAddr = "198.51.100.1:25".parse().unwrap();
        let refused = network.dial(here, None, limit).await.unwrap_err();
        assert_eq!(refused.to_string(), "connection refused");
        let mut calls = network.listen(here);
        let mut out = network.dial(here, None, limit).await.unwrap();
        out.write(b"hello", limit).await.unwrap();
        let socket = calls.recv().await.unwrap();
        assert_eq!((socket.peer(), socket.local()), (out.local(), here));
        let connection = Connection::<()>::start(socket, Arc::default(), |connection, event| {
            if event == Event::Octets {
                connection.close_after(connection.hear());
            }
        });
        connection.read_on();
        let mut heard = BytesMut::new();
        out.read(&mut heard, limit).await.unwrap();
        assert_eq!(heard, "hello");
        drop(calls);
        assert!(network.dial(here, None, limit).await.is_err());
    }
}
