//! Connections to other systems, for the actor that owns one and may wait for it.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use bytes::BytesMut;
use mail::Domain;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    metrics::HANDSHAKES,
    tls::{ClientTls, TlsInfo, Trust},
};

/// A connection to another system. Every step has its own limit of time, and after an error
/// nothing more can be done with it.
pub struct Outbound {
    local: SocketAddr,
    peer: SocketAddr,
    /// `None` after a handshake that failed.
    stream: Option<Box<dyn Duplex>>,
    tls: Option<TlsInfo>,
}

/// Reaches other systems: the seam between deliveries and the network.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Connects to `to`, from `from` if one of our addresses is to be seen there.
    fn dial(&self, to: SocketAddr, from: Option<IpAddr>, within: Duration) -> Dialing<'_>;
}

/// A connection that is being made.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = Result<Outbound, OutboundError>> + Send + 'a>>;

/// Reaches them over TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Internet;

/// What went wrong with a connection to another system. Fault of the peer or of the network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The network or the peer broke it off, or did not let it begin.
    #[error("{}", plainly(.0))]
    Network(#[source] io::Error),
    /// The handshake failed, or the certificate is not the one that is required.
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    /// The peer took too long.
    #[error("no answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
}

trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

impl Outbound {
    /// Connects over TCP to `to`, from our address `from` if there is one.
    ///
    /// # Errors
    /// [`OutboundError::Network`] when it is refused or unreachable, [`OutboundError::TimedOut`].
    pub async fn connect(
        to: SocketAddr,
        from: Option<IpAddr>,
        within: Duration,
    ) -> Result<Self, OutboundError> {
        let stream = limited(within, open(to, from)).await?;
        let addresses = stream
            .local_addr()
            .and_then(|local| Ok((local, stream.peer_addr()?)));
        let (local, peer) = addresses.map_err(OutboundError::Network)?;
        Ok(Self {
            local,
            peer,
            stream: Some(Box::new(stream)),
            tls: None,
        })
    }

    /// One end of a pipe in memory, with addresses that are made up: for simulations.
    #[must_use]
    pub fn memory(pipe: DuplexStream, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            local,
            peer,
            stream: Some(Box::new(pipe)),
            tls: None,
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our own end.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// How it is encrypted; `None` if it is not.
    #[must_use]
    pub const fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// Writes all of `octets`.
    ///
    /// # Errors
    /// Any [`OutboundError`] but [`OutboundError::Closed`]. `within` is for each piece that the
    /// peer takes, not for the whole: a slow peer is no dead one.
    pub async fn write(&mut self, octets: &[u8], within: Duration) -> Result<(), OutboundError> {
        let stream = self.stream()?;
        let mut left = octets;
        while !left.is_empty() {
            match limited(within, stream.write(left)).await? {
                0 => return Err(OutboundError::Closed),
                n => left = &left[n..],
            }
        }
        limited(within, stream.flush()).await
    }

    /// Reads what there is and appends it to `into`; says how many octets it was, at least one.
    ///
    /// # Errors
    /// [`OutboundError::Closed`] at the peer's end, and any other.
    pub async fn read(
        &mut self,
        into: &mut BytesMut,
        within: Duration,
    ) -> Result<usize, OutboundError> {
        into.reserve(READ_OCTETS);
        match limited(within, self.stream()?.read_buf(into)).await? {
            0 => Err(OutboundError::Closed),
            n => Ok(n),
        }
    }

    /// Begins TLS with the server `name`. What was read before and not yet understood is to be
    /// thrown away: it was not protected (RFC 3207 §4.2).
    ///
    /// # Errors
    /// [`OutboundError::Tls`] when the handshake fails or the certificate is not the one that
    /// [`Trust::Required`] wants; [`OutboundError::TimedOut`].
    pub async fn start_tls(
        &mut self,
        tls: &ClientTls,
        name: &Domain,
        trust: Trust,
        within: Duration,
    ) -> Result<&TlsInfo, OutboundError> {
        let stream = self.stream.take().ok_or(OutboundError::Closed)?;
        let name = server_name(name);
        let handshake = TlsConnector::from(tls.config(trust)).connect(name.clone(), stream);
        let shaken = match timeout(within, handshake).await {
            Ok(shaken) => shaken.map_err(OutboundError::Tls),
            Err(_) => Err(OutboundError::TimedOut(within)),
        };
        HANDSHAKES.count(&["out", if shaken.is_ok() { "done" } else { "failed" }]);
        let stream = shaken?;
        let session = stream.get_ref().1;
        let asked = match &name {
            ServerName::DnsName(name) => Some(name.as_ref()),
            _ => None,
        };
        let mut info = TlsInfo::of(session, asked);
        info.unverified = match trust {
            Trust::Opportunistic => tls.objection(session.peer_certificates(), &name),
            Trust::Required => None,
        };
        self.stream = Some(Box::new(stream));
        Ok(self.tls.insert(info))
    }

    /// Says the end and lets go; the peer's own end is waited for no longer than `within`.
    pub async fn close(mut self, within: Duration) {
        if let Some(stream) = &mut self.stream {
            // There is nothing left that a failure could harm.
            let _ = timeout(within, stream.shutdown()).await;
        }
    }

    fn stream(&mut self) -> Result<&mut Box<dyn Duplex>, OutboundError> {
        self.stream.as_mut().ok_or(OutboundError::Closed)
    }
}

impl Dial for Internet {
    fn dial(&self, to: SocketAddr, from: Option<IpAddr>, within: Duration) -> Dialing<'_> {
        Box::pin(Outbound::connect(to, from, within))
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbound({} to {})", self.local, self.peer)
    }
}

async fn open(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // An address of the other family cannot be our end of it.
    if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn limited<T>(
    within: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, OutboundError> {
    match timeout(within, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(OutboundError::Closed) // TLS without its own end: for SMTP, replies are the frame
        }
        Ok(Err(error)) => Err(OutboundError::Network(error)),
        Err(_) => Err(OutboundError::TimedOut(within)),
    }
}

/// The name to ask for and to verify. A domain that no certificate can bear (an underscore in its
/// name) is asked for under a name that none bears.
fn server_name(name: &Domain) -> ServerName<'static> {
    if let Some(address) = name.literal() {
        return ServerName::IpAddress(address.into());
    }
    ServerName::try_from(name.as_str().to_owned()).unwrap_or_else(|_| {
        ServerName::try_from("name.invalid").expect("a plain name is a server name")
    })
}

/// As a person would say it, for delivery reports.
fn plainly(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "connection broken off".to_owned()
        }
        io::ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::TimedOut => "connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

const READ_OCTETS: usize = 4096;
