//! A stream of octets with two ends: a TCP connection, or one in memory.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::TcpStream,
};

/// A stream and the addresses of its ends.
#[derive(Debug)]
pub struct Socket {
    pub(super) io: Io,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// What carries the octets.
#[derive(Debug)]
pub(super) enum Io {
    Memory(Box<DuplexStream>),
    Tcp(TcpStream),
}

impl Socket {
    /// One end of a pipe in memory, with addresses that are made up: for simulations.
    #[must_use]
    pub fn memory(pipe: DuplexStream, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            io: Io::Memory(Box::new(pipe)),
            local,
            peer,
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Which address of ours the peer chose.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }
}

impl TryFrom<TcpStream> for Socket {
    type Error = io::Error;

    /// Fails when the peer is already gone.
    fn try_from(stream: TcpStream) -> io::Result<Self> {
        // A reply is written whole, so that waiting for more of it only costs time.
        stream.set_nodelay(true)?;
        Ok(Self {
            local: stream.local_addr()?,
            peer: stream.peer_addr()?,
            io: Io::Tcp(stream),
        })
    }
}

impl Io {
    /// Whether reading is worth a try. A pipe in memory does not tell: try it.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Memory(_) => Poll::Ready(()),
            Self::Tcp(stream) => stream.poll_read_ready(cx).map(|_| ()),
        }
    }

    /// Reads once; 0 is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let read = match self {
            Self::Memory(pipe) => Pin::new(&mut **pipe).poll_read(cx, &mut buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
        };
        read.map_ok(|()| buffer.filled().len())
    }

    /// Writes what the kernel takes of `pieces`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Memory(pipe) => Pin::new(&mut **pipe).poll_write_vectored(cx, pieces),
            Self::Tcp(stream) => match pieces {
                [one] => Pin::new(stream).poll_write(cx, one),
                several => Pin::new(stream).poll_write_vectored(cx, several),
            },
        }
    }

    /// Says that nothing more will be written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Memory(pipe) => Pin::new(&mut **pipe).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
