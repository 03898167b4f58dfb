//! A client at the other end of a session, without a network.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use heronry_actors::contract::SessionMsg;
use ractor::ActorRef;
use supervision::Seat;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use world::connection::{Connection, Options, Socket};

/// A client, the connection, and the session that serves it.
pub(crate) struct Client<C> {
    pub(crate) connection: Connection<C>,
    pub(crate) session: Option<ActorRef<SessionMsg>>,
    pub(crate) seat: Seat<SessionMsg>,
    stream: DuplexStream,
    heard: Vec<u8>,
}

impl<C: Send + 'static> Client<C> {
    /// A connection whose network holds `network` octets and whose queue holds `queue`.
    pub(crate) fn new(network: usize, queue: usize) -> Self {
        let (near, far) = tokio::io::duplex(network);
        let peer = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 4711));
        let socket = Socket::memory(far, peer, peer);
        let seat = Seat::new("session");
        let hearing = seat.clone();
        let options = Options {
            queue_octets: queue,
            ..Options::default()
        };
        let connection = Connection::start(socket, Arc::new(options), move |_, event| {
            let _ = hearing.cast(SessionMsg::Connection(event));
        });
        Self {
            connection,
            session: None,
            seat,
            stream: near,
            heard: Vec::new(),
        }
    }

    /// From now on this session serves the connection.
    pub(crate) fn served_by(&mut self, session: ActorRef<SessionMsg>) {
        self.seat.sit(&session);
        self.session = Some(session);
    }

    /// Ends the session in the middle of whatever it does.
    pub(crate) async fn kill(&mut self) {
        let session = self.session.take().unwrap();
        session.kill_and_wait(None).await.unwrap();
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// The next line, without its end; `None` at the end of the connection.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(lf) = self.heard.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=lf).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let more = self.stream.read_buf(&mut self.heard);
            let more = tokio::time::timeout(Duration::from_secs(10), more).await;
            if more.expect("the session speaks").unwrap() == 0 {
                return None;
            }
        }
    }

    /// Says a command; the last line of its reply.
    pub(crate) async fn command(&mut self, command: &str) -> String {
        self.write(format!("{command}\r\n").as_bytes()).await;
        loop {
            let line = self.line().await.expect("the session is there");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }
}

/// Lets everybody do what can be done now: there is one thread, and nobody waits for the clock.
pub(crate) async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// A network that holds next to nothing, in octets.
pub(crate) const NETWORK: usize = 128;

/// A queue that holds little, in octets.
pub(crate) const QUEUE: usize = 64;
