//! One connection, in plain text or TLS, read by lines or by octets.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use crate::patience::SHORT;
use crate::tls;

/// A connection to a server, with what came and was not yet asked for.
pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    at: usize,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Only while a plain stream becomes a TLS stream.
    Changing,
}

impl Wire {
    /// Connects in plain text. A read that waits longer than [`SHORT`] fails.
    ///
    /// # Errors
    /// The connection is refused, or does not come about.
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let wire = Self {
            stream: Stream::Plain(stream),
            buffer: Vec::new(),
            at: 0,
        };
        wire.patience(SHORT)?;
        Ok(wire)
    }

    /// Connects, and speaks TLS from the first octet.
    ///
    /// # Errors
    /// The connection or the handshake fails.
    pub fn connect_tls(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut wire = Self::connect(address)?;
        wire.secure()?;
        Ok(wire)
    }

    /// Sets how long a read may wait.
    ///
    /// # Errors
    /// The socket refuses.
    pub fn patience(&self, limit: Duration) -> io::Result<()> {
        self.tcp().set_read_timeout(Some(limit))
    }

    /// Makes TLS of the plain connection; any certificate will do.
    ///
    /// # Errors
    /// The handshake fails.
    pub fn secure(&mut self) -> io::Result<()> {
        match mem::replace(&mut self.stream, Stream::Changing) {
            Stream::Plain(plain) => {
                let mut secured = tls::handshake(plain)?;
                while secured.conn.is_handshaking() {
                    secured.conn.complete_io(&mut secured.sock)?;
                }
                self.stream = Stream::Tls(Box::new(secured));
                Ok(())
            }
            _ => Err(ErrorKind::AlreadyExists.into()),
        }
    }

    /// Octets that came and were not yet read: after STARTTLS there must be none.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Whether the connection is under TLS.
    pub fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The socket below.
    ///
    /// # Panics
    /// After a TLS handshake that failed.
    pub fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(plain) => plain,
            Stream::Tls(secured) => &secured.sock,
            Stream::Changing => panic!("the TLS handshake failed before"),
        }
    }

    /// Sends octets.
    ///
    /// # Errors
    /// The peer has left.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(plain) => plain.write_all(octets),
            Stream::Tls(secured) => secured.write_all(octets).and_then(|()| secured.flush()),
            Stream::Changing => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Says that nothing more will be sent; the other direction stays open.
    ///
    /// # Errors
    /// The peer has left.
    pub fn hang_up(&self) -> io::Result<()> {
        self.tcp().shutdown(Shutdown::Write)
    }

    /// The next line, without its CRLF.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer has closed; `WouldBlock` or `TimedOut` when nothing came in time.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut scanned = 0;
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(end) = rest[scanned..].iter().position(|&octet| octet == b'\n') {
                let end = scanned + end;
                let line = rest[..end]
                    .strip_suffix(b"\r")
                    .unwrap_or(&rest[..end])
                    .to_vec();
                self.at += end + 1;
                return Ok(line);
            }
            scanned = rest.len();
            self.more()?;
        }
    }

    /// The next `count` octets.
    ///
    /// # Errors
    /// As [`Wire::line`].
    pub fn exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() - self.at < count {
            self.more()?;
        }
        let octets = self.buffer[self.at..self.at + count].to_vec();
        self.at += count;
        Ok(octets)
    }

    /// Waits until something has come that was not read yet.
    ///
    /// # Errors
    /// As [`Wire::line`].
    pub fn peek(&mut self) -> io::Result<()> {
        match self.pending().is_empty() {
            true => self.more(),
            false => Ok(()),
        }
    }

    /// Reads until the peer closes, and returns what it said before.
    ///
    /// # Errors
    /// The peer does not close in time. A connection that is reset counts as closed.
    pub fn until_closed(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(error) if is_closing(&error) => return Ok(self.buffer.split_off(self.at)),
                Err(error) => return Err(error),
            }
        }
    }

    fn more(&mut self) -> io::Result<()> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        } else if self.at > CHUNK {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        let start = self.buffer.len();
        self.buffer.resize(start + CHUNK, 0);
        let read = match &mut self.stream {
            Stream::Plain(plain) => plain.read(&mut self.buffer[start..]),
            Stream::Tls(secured) => secured.read(&mut self.buffer[start..]),
            Stream::Changing => Err(ErrorKind::NotConnected.into()),
        };
        self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn is_closing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

const CHUNK: usize = 32 * 1024;
