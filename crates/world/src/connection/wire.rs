//! The wire of one connection: its socket, TLS on it, and what waits to be written.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use super::{cipher::Cipher, event::Why, socket::Io};
use crate::{
    metrics::OCTETS,
    tls::{ServerTls, TlsInfo},
};

/// Carries octets, in the clear or through TLS. It knows no phases and keeps no time limits.
pub(super) struct Wire {
    cipher: Option<Box<Cipher>>,
    /// `None` once it is let go.
    io: Option<Io>,
    out: VecDeque<Bytes>,
    out_octets: usize,
    /// How many pieces of `out` go out before TLS begins.
    plain_left: usize,
    /// When the peer last took something.
    progress: Instant,
    /// TLS that begins once the pieces before it are out.
    upgrade: Option<ServerTls>,
}

impl Wire {
    /// A wire that begins in the clear, or with TLS.
    pub(super) fn new(io: Io, tls: Option<ServerTls>, now: Instant) -> Self {
        Self {
            cipher: None,
            io: Some(io),
            out: VecDeque::new(),
            out_octets: 0,
            plain_left: 0,
            progress: now,
            upgrade: tls,
        }
    }

    /// Gives everything back.
    pub(super) fn let_go(&mut self) {
        self.io = None;
        self.cipher = None;
        self.upgrade = None;
        self.out = VecDeque::new();
        self.out_octets = 0;
    }

    pub(super) const fn is_let_go(&self) -> bool {
        self.io.is_none()
    }

    /// Octets that wait to be written.
    pub(super) const fn queued(&self) -> usize {
        self.out_octets
    }

    /// When the peer last took something, or was last offered something anew.
    pub(super) const fn progress(&self) -> Instant {
        self.progress
    }

    /// Offers something anew: patience with the peer begins here.
    pub(super) const fn offer(&mut self, now: Instant) {
        self.progress = now;
    }

    /// Has TLS begin after what is queued; false if it has begun already, or is about to.
    pub(super) fn order_tls(&mut self, tls: ServerTls) -> bool {
        if self.cipher.is_some() || self.upgrade.is_some() {
            return false;
        }
        self.plain_left = self.out.len();
        self.upgrade = Some(tls);
        true
    }

    /// Whether TLS is ordered and has not begun.
    pub(super) const fn awaits_tls(&self) -> bool {
        self.upgrade.is_some()
    }

    /// Begins TLS if it is ordered and everything before it is out; says whether it began now.
    pub(super) fn begin_tls(&mut self) -> Result<bool, Why> {
        if self.plain_left > 0 {
            return Ok(false);
        }
        let Some(tls) = self.upgrade.take() else {
            return Ok(false);
        };
        self.cipher = Some(Cipher::new(&tls).map_err(|_| Why::Tls)?);
        Ok(true)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.cipher
            .as_ref()
            .is_some_and(|cipher| cipher.is_handshaking())
    }

    /// What the handshake agreed upon; `None` while there is no TLS.
    pub(super) fn info(&self) -> Option<TlsInfo> {
        let cipher = self
            .cipher
            .as_ref()
            .filter(|cipher| !cipher.is_handshaking())?;
        Some(cipher.info())
    }

    pub(super) fn export(&self, label: &[u8]) -> Option<[u8; 32]> {
        self.cipher.as_ref()?.export(label)
    }

    /// Reads records of a handshake; says what came behind it. Pending when there are none.
    pub(super) fn shake(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Result<Poll<Bytes>, Why> {
        let n = match self.io()?.poll_read(cx, scratch) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Ok(0) | Err(_)) => return Err(Why::Tls),
            Poll::Ready(Ok(n)) => n,
        };
        Ok(Poll::Ready(self.open(cx, &scratch[..n])?.into()))
    }

    /// Says that nothing more will be written, in TLS and below it.
    pub(super) fn end(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Why> {
        if let Some(cipher) = &mut self.cipher {
            cipher.say_end();
            // A peer that does not even take this alert shall not hold us up.
            self.poll_out(cx, now)?;
        }
        let _ = self.io()?.poll_shutdown(cx);
        self.cipher = None;
        Ok(())
    }

    /// Reads once, through TLS if there is; empty is the end of the stream.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Result<Poll<Bytes>, Why> {
        if self
            .cipher
            .as_ref()
            .is_some_and(|cipher| cipher.has_ended())
        {
            return Ok(Poll::Ready(Bytes::new()));
        }
        loop {
            let n = match self.io()?.poll_read(cx, scratch) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(_)) => return Err(Why::Reset),
            };
            if self.cipher.is_none() || n == 0 {
                return Ok(Poll::Ready(Bytes::copy_from_slice(&scratch[..n])));
            }
            let opened = self.open(cx, &scratch[..n])?;
            // What rustls has to say by itself: new keys, an alert.
            if self
                .cipher
                .as_ref()
                .is_some_and(|cipher| cipher.wants_write())
            {
                self.poll_out(cx, Instant::now())?;
            }
            let ended = self.cipher.as_ref().is_none_or(|cipher| cipher.has_ended());
            if !opened.is_empty() || ended {
                return Ok(Poll::Ready(opened.into()));
            }
        }
    }

    /// Decrypts; tells the peer if that fails.
    fn open(&mut self, cx: &mut Context<'_>, records: &[u8]) -> Result<Vec<u8>, Why> {
        let (Some(cipher), Some(io)) = (&mut self.cipher, &mut self.io) else {
            return Err(Why::Tls);
        };
        cipher.open(records).map_err(|error| {
            tracing::debug!(%error, "the peer's TLS is not understood");
            let _ = cipher.poll_flush(cx, io); // the alert, if it can be sent at once
            Why::Tls
        })
    }

    /// Writes what the kernel takes.
    pub(super) fn poll_out(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Why> {
        let written = match &self.cipher {
            None => self.poll_out_plain(cx, now),
            Some(_) => self.poll_out_sealed(cx, now),
        };
        written.map_err(|_| Why::Reset)
    }

    fn poll_out_plain(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        loop {
            let left = match self.upgrade {
                Some(_) => self.plain_left,
                None => self.out.len(),
            };
            let (Some(io), true) = (&mut self.io, left > 0) else {
                return Ok(());
            };
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let mut count = 0;
            for (piece, octets) in pieces.iter_mut().zip(self.out.iter().take(left)) {
                *piece = IoSlice::new(octets);
                count += 1;
            }
            match io.poll_write(cx, &pieces[..count]) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.progress = now;
                    self.taken(n);
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }

    fn poll_out_sealed(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        loop {
            let Some(cipher) = &mut self.cipher else {
                return Ok(());
            };
            if !cipher.is_handshaking() {
                let mut sealed = 0;
                for octets in &self.out {
                    let n = cipher.seal(octets);
                    sealed += n;
                    if n < octets.len() {
                        break;
                    }
                }
                self.taken(sealed);
            }
            let (Some(cipher), Some(io)) = (&mut self.cipher, &mut self.io) else {
                return Ok(());
            };
            if !cipher.wants_write() {
                return Ok(());
            }
            let before = cipher.written();
            let flushed = cipher.poll_flush(cx, io);
            if cipher.written() != before {
                self.progress = now;
            }
            match flushed {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) if self.out.is_empty() => return Ok(()),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }

    /// Removes what has been written from the queue.
    fn taken(&mut self, mut n: usize) {
        if n == 0 {
            return;
        }
        OCTETS.add(n as u64, &["out"]);
        self.out_octets -= n;
        while let Some(octets) = self.out.front_mut() {
            if n < octets.len() {
                octets.advance(n);
                return;
            }
            n -= octets.len();
            self.out.pop_front();
            self.plain_left = self.plain_left.saturating_sub(1);
        }
    }

    pub(super) fn queue(&mut self, pieces: impl IntoIterator<Item = Bytes>) {
        for octets in pieces {
            if !octets.is_empty() {
                self.out_octets += octets.len();
                self.out.push_back(octets);
            }
        }
    }

    /// Whether something is not written yet.
    pub(super) fn owes(&self) -> bool {
        !self.out.is_empty()
            || self
                .cipher
                .as_ref()
                .is_some_and(|cipher| cipher.wants_write())
    }

    pub(super) fn io(&mut self) -> Result<&mut Io, Why> {
        self.io.as_mut().ok_or(Why::Ended)
    }
}

/// Pieces that go into one system call.
const PIECES_MAX: usize = 16;
