//! The TLS side of a connection: records in, octets out, and the other way round.

use std::{
    io::{self, IoSlice, Read, Write},
    task::{Context, Poll},
};

use rustls::ServerConnection;

use super::socket::Io;
use crate::tls::{ServerTls, TlsInfo};

/// A TLS session on the server's side. It holds no socket and no thread: octets are handed to it.
pub(super) struct Cipher {
    ended: bool,
    session: ServerConnection,
    written: u64,
}

impl Cipher {
    pub(super) fn new(tls: &ServerTls) -> Result<Box<Self>, rustls::Error> {
        let session = ServerConnection::new(tls.config())?;
        Ok(Box::new(Self {
            ended: false,
            session,
            written: 0,
        }))
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether there are records to send.
    pub(super) fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    /// How many octets of records the kernel has taken.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// What was agreed upon, once the handshake is done.
    pub(super) fn info(&self) -> TlsInfo {
        TlsInfo::of(&self.session, self.session.server_name())
    }

    /// Key material that both ends share and nobody else (RFC 9266 §2).
    pub(super) fn export(&self, label: &[u8]) -> Option<[u8; 32]> {
        self.session
            .export_keying_material([0; 32], label, None)
            .ok()
    }

    /// Whether the peer said that it will send no more (RFC 8446 §6.1).
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes records as they came; decrypts the whole ones.
    ///
    /// # Errors
    /// What the peer sent is no TLS. An alert that says so waits to be sent.
    pub(super) fn open(&mut self, mut records: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let mut octets = Vec::new();
        while !records.is_empty() && !self.ended {
            if self.session.read_tls(&mut records).is_err() {
                return Err(rustls::Error::General("too many records at once".into()));
            }
            let state = self.session.process_new_packets()?;
            let (from, more) = (octets.len(), state.plaintext_bytes_to_read());
            if more > 0 {
                octets.resize(from + more, 0);
                let read = self.session.reader().read(&mut octets[from..]);
                octets.truncate(from + read.unwrap_or(0));
            }
            self.ended = state.peer_has_closed();
        }
        Ok(octets)
    }

    /// Encrypts as much of `octets` as there is room for; says how much.
    pub(super) fn seal(&mut self, octets: &[u8]) -> usize {
        self.session.writer().write(octets).unwrap_or(0)
    }

    /// Puts the end of the stream into the records to send.
    pub(super) fn say_end(&mut self) {
        self.session.send_close_notify();
    }

    /// Writes records until there are none or the kernel takes no more.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, io: &mut Io) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Wire { cx, io }) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => self.written += n as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Lets rustls write where tokio polls.
struct Wire<'a, 'cx> {
    cx: &'a mut Context<'cx>,
    io: &'a mut Io,
}

impl Wire<'_, '_> {
    fn poll(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.io.poll_write(self.cx, pieces) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Wire<'_, '_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.poll(&[IoSlice::new(octets)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.poll(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
