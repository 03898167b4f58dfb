//! What is said to the client: gathered, and sent in large pieces.

use std::mem;

use bytes::Bytes;
use supervision::{proceeds, waits};
use world::connection::Gone;

use super::actor::ImapConnection;

/// What is about to be said. Replies to pipelined commands leave together; a long answer leaves
/// in pieces, and waits while the client does not read.
pub(super) struct Outlet {
    pub(super) buffer: Vec<u8>,
    connection: ImapConnection,
    /// Whether a part of the answer that is being given has left.
    begun: bool,
    /// How often something has left.
    sent: u64,
}

impl Outlet {
    pub(super) const fn new(connection: ImapConnection) -> Self {
        Self {
            buffer: Vec::new(),
            connection,
            begun: false,
            sent: 0,
        }
    }

    /// How often something has left: what has cannot be taken back.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends what is there if it is much.
    pub(super) async fn relieve(&mut self) -> Result<(), Gone> {
        if self.buffer.len() < PIECE_OCTETS {
            return Ok(());
        }
        self.begin();
        self.flush().await?;
        // Others on this thread want their turn, too.
        tokio::task::yield_now().await;
        proceeds();
        Ok(())
    }

    /// Sends what is there.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.sent += 1;
        let octets = mem::take(&mut self.buffer).into();
        waits(self.connection.write(octets)).await
    }

    /// Sends octets behind what is there; without a copy if they are many.
    pub(super) async fn send(&mut self, octets: Bytes) -> Result<(), Gone> {
        if octets.len() < COPY_OCTETS_MAX {
            self.buffer.extend_from_slice(&octets);
            return self.relieve().await;
        }
        self.begin();
        self.flush().await?;
        self.sent += 1;
        waits(self.connection.write(octets)).await
    }

    /// What has been said so far is whole answers.
    pub(super) const fn end(&mut self) {
        self.begun = false;
    }

    /// Whether a part of an answer has left, and no checkpoint was made since.
    pub(super) const fn has_begun(&self) -> bool {
        self.begun
    }

    /// From here on no successor can know where the answer ended.
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            let _ = self.connection.amend(|kept| kept.in_answer = true); // no checkpoint, no successor
        }
    }
}

/// An answer leaves in pieces of about this size.
pub(super) const PIECE_OCTETS: usize = 64 * 1024;

/// Shorter octets are copied: a write of its own costs more.
const COPY_OCTETS_MAX: usize = 16 * 1024;
