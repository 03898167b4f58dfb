//! What a session holds of its connection.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Context,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    event::{Event, Gone, Limit, Refused},
    line::{Line, Step},
    options::Options,
    pump,
    socket::Socket,
};
use crate::{
    metrics::CONNECTIONS,
    tls::{ServerTls, TlsInfo},
};

/// A connection from a client, to give orders to. Cheap to clone; equal to its clones.
///
/// `C` is the checkpoint of whoever serves it: what a restarted session goes on from. It lives
/// with the connection, not with the session.
pub struct Connection<C = ()>(Arc<Shared<C>>);

struct Shared<C> {
    id: u64,
    line: Mutex<Line>,
    local: SocketAddr,
    options: Arc<Options>,
    peer: SocketAddr,
    room: Notify,
    slot: Mutex<Option<C>>,
}

impl<C: Send + 'static> Connection<C> {
    /// Begins to serve `socket`; every event goes to `ear`, one after the other, from one task.
    ///
    /// The ear casts a message and returns: while it runs, the connection stands still. With
    /// [`Options::tls`] the first event is [`Event::Secured`]. Nothing is read before
    /// [`read_on`](Self::read_on).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(
        socket: Socket,
        options: Arc<Options>,
        ear: impl Fn(&Self, Event) + Send + Sync + 'static,
    ) -> Self {
        let connection = Self(Arc::new(Shared {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            line: Mutex::new(Line::new(socket.io, &options)),
            local: socket.local,
            options,
            peer: socket.peer,
            room: Notify::new(),
            slot: Mutex::new(None),
        }));
        CONNECTIONS.shift(1.0, &[]);
        tokio::spawn(pump::run(connection.clone(), ear));
        connection
    }
}

impl<C> Connection<C> {
    /// A number that no other connection of this process has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Which address of ours the peer chose.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.0.local
    }

    /// How it is encrypted; `None` if it is not.
    #[must_use]
    pub fn tls(&self) -> Option<TlsInfo> {
        self.line().tls()
    }

    /// The channel binding `tls-exporter` (RFC 9266 §2); `None` without TLS.
    #[must_use]
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        self.line().export(b"EXPORTER-Channel-Binding")
    }

    /// Whether it can still be written to.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.line().is_open()
    }

    /// Writes `octets`, waiting for room in the queue if there is none.
    ///
    /// # Errors
    /// [`Gone`] when the connection is closed or closing.
    pub async fn write(&self, octets: Bytes) -> Result<(), Gone> {
        let mut octets = octets;
        loop {
            let bell = self.0.room.notified(); // before the look at the queue, so that no ring is missed
            {
                let mut line = self.line();
                match line.try_write(octets, self.0.options.queue_octets) {
                    Ok(()) => return Ok(()),
                    Err(Refused::Full(back)) => octets = back,
                    Err(Refused::Gone) => return Err(Gone),
                }
                line.wait_for_room();
            }
            bell.await;
        }
    }

    /// Writes `octets` if there is room in the queue.
    ///
    /// # Errors
    /// [`Refused::Full`] with the octets when there is none: [`Event::Room`] follows once there
    /// is. [`Refused::Gone`] when the connection is closed or closing.
    pub fn try_write(&self, octets: Bytes) -> Result<(), Refused> {
        let mut line = self.line();
        let taken = line.try_write(octets, self.0.options.queue_octets);
        if matches!(taken, Err(Refused::Full(_))) {
            line.promise_room();
        }
        taken
    }

    /// Writes several pieces with one system call, however full the queue is: for replies, which
    /// are short and whose number the peer's credit bounds.
    ///
    /// # Errors
    /// [`Gone`] when the connection is closed or closing.
    pub fn say(&self, pieces: impl IntoIterator<Item = Bytes>) -> Result<(), Gone> {
        self.line().write(pieces)
    }

    /// How many octets wait in the queue.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.line().queued()
    }

    /// What the peer has sent, after [`Event::Octets`]; empty if this session has heard it.
    ///
    /// The connection has it, too, until [`keep`](Self::keep) or [`read_on`](Self::read_on): so it
    /// does not matter at which line a session crashes, nor whether the event had reached it.
    #[must_use]
    pub fn hear(&self) -> Bytes {
        self.line().hear()
    }

    /// Allows one more [`Event::Octets`]; nothing happens while there is something to
    /// [`hear`](Self::hear). Whoever keeps no checkpoint has taken care of what it heard.
    pub fn read_on(&self) {
        self.line().read_on();
    }

    /// Begins TLS after everything that was written so far; [`Event::Secured`] follows.
    ///
    /// Octets that came with the command that asked for it are the session's to throw away: they
    /// were not protected (RFC 3207 §4.2, CVE-2011-0411). Nothing else was read.
    ///
    /// # Errors
    /// [`Gone`] when the connection is closed or closing, or speaks TLS already.
    pub fn start_tls(&self, tls: ServerTls) -> Result<(), Gone> {
        self.line().start_tls(tls)
    }

    /// Writes `last_words` after everything else, then closes; [`Event::Closed`] follows.
    pub fn close_after(&self, last_words: Bytes) {
        self.line().close_after(last_words);
    }

    /// Closes at once, whatever is still to be written; [`Event::Closed`] follows.
    pub fn abort(&self) {
        self.line().abort();
    }

    /// Changes how long the peer may say nothing.
    pub fn set_idle(&self, idle: Duration) {
        self.line().set_idle(idle);
    }

    /// Whether TLS is ordered and has not been agreed upon: [`Event::Secured`] is to come.
    #[must_use]
    pub fn is_securing(&self) -> bool {
        self.line().is_securing()
    }

    /// Which limit has passed, if the session was told of one and the peer has not spoken since:
    /// what [`Event::TimedOut`] said.
    #[must_use]
    pub fn overdue(&self) -> Option<Limit> {
        self.line().overdue()
    }

    /// Leaves what a successor goes on from. It has all that was heard: the connection forgets
    /// that.
    pub fn keep(&self, checkpoint: C) {
        *self.slot() = Some(checkpoint);
        self.line().acknowledge();
    }

    /// Begins to serve where somebody else may have ended: the checkpoint, if one was kept. What
    /// was heard after that is to be [heard](Self::hear) again.
    #[must_use]
    pub fn take_over(&self) -> Option<C>
    where
        C: Clone,
    {
        self.line().hand_again();
        self.slot().clone()
    }

    /// Changes the checkpoint or looks at it, if there is one.
    pub fn amend<R>(&self, change: impl FnOnce(&mut C) -> R) -> Option<R> {
        self.slot().as_mut().map(change)
    }

    fn slot(&self) -> MutexGuard<'_, Option<C>> {
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn step(&self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Step {
        self.line().step(cx, scratch, &self.0.options, &self.0.room)
    }

    pub(super) fn let_go(&self) {
        self.line().let_go();
        self.0.room.notify_waiters();
    }

    /// A panic of a holder leaves nothing half done that matters: the socket is still the socket.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Clone for Connection<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Eq for Connection<C> {}

impl<C> PartialEq for Connection<C> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl<C> Hash for Connection<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl<C> fmt::Debug for Connection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} from {})", self.0.id, self.0.peer)
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);
