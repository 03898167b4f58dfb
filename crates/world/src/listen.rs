//! Doors to the network: binding, and accepting without ever giving up.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Type};
use tokio::{net::TcpListener, sync::watch, task::AbortHandle};

use crate::{connection::Socket, metrics::ACCEPT_TROUBLE};

/// A bound socket. The kernel takes connections into its backlog from now on.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    local: SocketAddr,
}

/// Accepts in the background until it is dropped.
#[derive(Debug)]
pub struct Accepting {
    local: SocketAddr,
    open: Arc<watch::Sender<bool>>,
    task: AbortHandle,
}

/// Why a door cannot be opened. Fault of the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// The address is not one of this machine.
    #[error(
        "cannot listen on {address}: this machine does not have that address; \
         0.0.0.0 and [::] stand for all that it has"
    )]
    Foreign {
        /// Where.
        address: SocketAddr,
    },
    /// A port below 1024 without the right to it.
    #[error(
        "cannot listen on {address}: ports below 1024 need a privilege \
         (CAP_NET_BIND_SERVICE, or sockets handed over by systemd); a higher port needs none"
    )]
    Forbidden {
        /// Where.
        address: SocketAddr,
    },
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: another process does (`ss -ltnp` names it); \
         stop it or choose another port"
    )]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// Something else.
    #[error("cannot listen on {address}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Door {
    /// Binds `address`; `backlog` connections may wait in the kernel.
    ///
    /// An address taken by connections of an earlier process that linger is ours all the same; a
    /// listener on `[::]` takes IPv6 only, so that `0.0.0.0` can stand beside it.
    ///
    /// # Errors
    /// [`DoorError`], with the address and what would be right.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(address: SocketAddr, backlog: u16) -> Result<Self, DoorError> {
        let taken = Self::take_over(bind(address, backlog)?);
        taken.map_err(|source| DoorError::Other { address, source })
    }

    /// Takes over a socket that listens already: from systemd, or from a predecessor.
    ///
    /// # Errors
    /// Whatever the kernel says when it is none.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn take_over(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self {
            local: listener.local_addr()?,
            listener,
        })
    }

    /// Where it listens, with the port that the kernel chose for port 0.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The next connection. Errors are waited out: out of descriptors, a door waits until there
    /// are some, while the backlog waits in the kernel.
    pub async fn accept(&self) -> Socket {
        let mut was_short = false;
        loop {
            let error = match self.listener.accept().await {
                Ok((stream, _)) => match Socket::try_from(stream) {
                    Ok(socket) => return socket,
                    Err(_) => continue, // gone before it came in
                },
                Err(error) => error,
            };
            if is_of_the_connection(&error) {
                continue;
            }
            let short = is_short_of_descriptors(&error);
            ACCEPT_TROUBLE.count(&[if short { "descriptors" } else { "other" }]);
            if !was_short {
                tracing::warn!(door = %self.local, %error, "cannot accept; connections wait");
            }
            was_short = true;
            tokio::time::sleep(RECOVERY).await;
        }
    }

    /// Accepts from now on; every connection goes to `ear`, from one task. The ear casts a message
    /// and returns.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn accepting(self, ear: impl Fn(Socket) + Send + Sync + 'static) -> Accepting {
        let open = Arc::new(watch::Sender::new(true));
        let mut opened = open.subscribe();
        let local = self.local;
        let task = tokio::spawn(async move {
            // An error says that nobody can open the door again.
            while opened.wait_for(|open| *open).await.is_ok() {
                tokio::select! {
                    socket = self.accept() => ear(socket),
                    _ = opened.wait_for(|open| !open) => {}
                }
            }
        });
        Accepting {
            local,
            open,
            task: task.abort_handle(),
        }
    }
}

impl Accepting {
    /// Where it listens.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Accepts nothing until [`resume`](Self::resume): connections wait in the kernel's backlog.
    pub fn pause(&self) {
        self.open
            .send_if_modified(|open| std::mem::replace(open, false));
    }

    /// Accepts again.
    pub fn resume(&self) {
        self.open
            .send_if_modified(|open| !std::mem::replace(open, true));
    }
}

/// Dropped, the door is closed, and the kernel refuses who knocks.
impl Drop for Accepting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds `address`, for a [`Door`] that is opened later, or again and again: while nobody accepts,
/// `backlog` connections may wait in the kernel.
///
/// # Errors
/// [`DoorError`], with the address and what would be right.
pub fn bind(address: SocketAddr, backlog: u16) -> Result<std::net::TcpListener, DoorError> {
    listening(address, backlog).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => DoorError::InUse { address },
        ErrorKind::AddrNotAvailable => DoorError::Foreign { address },
        ErrorKind::PermissionDenied => DoorError::Forbidden { address },
        _ => DoorError::Other { address, source },
    })
}

fn listening(address: SocketAddr, backlog: u16) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog.into())?;
    Ok(socket.into())
}

/// Errors that one connection brought with it (accept(2), "Error handling").
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::TimedOut
    )
}

/// `ENFILE` and `EMFILE`, the same numbers on every Linux.
fn is_short_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// How long a door waits after an error of ours.
const RECOVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::{net::TcpStream, sync::mpsc::unbounded_channel};

    use super::*;

    fn anywhere() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[tokio::test]
    async fn a_door_in_use_is_named_with_what_would_be_right() {
        let door = Door::open(anywhere(), 16).unwrap();
        let error = Door::open(door.local(), 16).unwrap_err();
        assert!(matches!(error, DoorError::InUse { address } if address == door.local()));
        assert!(error.to_string().contains(&door.local().to_string()));
        let foreign = Door::open("192.0.2.1:2525".parse().unwrap(), 16).unwrap_err();
        assert!(matches!(foreign, DoorError::Foreign { .. }));
    }

    #[tokio::test]
    async fn both_families_fit_on_one_port() {
        let Ok(six) = Door::open("[::]:0".parse().unwrap(), 16) else {
            return; // a machine without IPv6
        };
        let four = SocketAddr::new("0.0.0.0".parse().unwrap(), six.local().port());
        Door::open(four, 16).unwrap();
    }

    #[tokio::test]
    async fn a_paused_door_lets_the_kernel_wait_and_a_dropped_one_refuses() {
        let (ear, mut accepted) = unbounded_channel();
        let door = Door::open(anywhere(), 16)
            .unwrap()
            .accepting(move |socket| {
                let _ = ear.send(socket.peer());
            });
        let first = TcpStream::connect(door.local()).await.unwrap();
        assert_eq!(accepted.recv().await, first.local_addr().ok());
        door.pause();
        tokio::task::yield_now().await;
        let second = TcpStream::connect(door.local()).await.unwrap();
        tokio::task::yield_now().await;
        assert!(accepted.try_recv().is_err());
        door.resume();
        assert_eq!(accepted.recv().await, second.local_addr().ok());
        let address = door.local();
        drop(door);
        assert_eq!(accepted.recv().await, None);
        assert!(TcpStream::connect(address).await.is_err());
    }
}
