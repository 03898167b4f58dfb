//! A message on its way into the spool: trace fields first, then what the client sends.

use bytes::{Bytes, BytesMut};
use mail::Time;
use mime::Missing;
use store::{
    StoreError,
    port::{BodyWriter, Draft},
};
use supervision::{Permit, waits};

/// A message that is being received.
pub(super) struct Incoming {
    writer: BodyWriter,
    /// The header of a submitted message until its end has come: Date and Message-ID may have to
    /// be added in front of it (RFC 6409 §8).
    header: Option<BytesMut>,
    /// How many octets the client has sent.
    octets: u64,
    /// The memory it may use; comes back when the message is on disk.
    permit: Permit,
    completion: Completion,
}

/// What is added to a submitted message that lacks it.
#[derive(Clone, Debug)]
pub(super) struct Completion {
    /// For `Date`.
    pub(super) now: Time,
    /// For `Message-ID`, without angle brackets.
    pub(super) message_id: String,
}

impl Incoming {
    /// Begins with the trace fields. `completion` is for submitted messages only.
    pub(super) async fn begin(
        writer: BodyWriter,
        permit: Permit,
        trace: Bytes,
        completion: Option<Completion>,
    ) -> Result<Self, StoreError> {
        let mut incoming = Self {
            writer,
            header: completion.is_some().then(BytesMut::new),
            octets: 0,
            permit,
            completion: completion.unwrap_or(Completion {
                now: Time(0),
                message_id: String::new(),
            }),
        };
        incoming.write(trace).await?;
        Ok(incoming)
    }

    /// The memory that a message of that length needs: beyond the most it goes to disk while it
    /// arrives, and so does one of unknown length.
    pub(super) fn memory(size: Option<u64>) -> u64 {
        size.unwrap_or(u64::MAX).clamp(MEMORY_MIN, MEMORY_MAX)
    }

    /// Whether there is memory for the next piece: what a client declares may be less than what
    /// it sends.
    pub(super) fn has_room_for(&mut self, piece: &Bytes) -> bool {
        self.octets += piece.len() as u64;
        self.permit.try_reach(Self::memory(Some(self.octets)))
    }

    /// Takes the next piece.
    pub(super) async fn push(&mut self, piece: Bytes) -> Result<(), StoreError> {
        let Some(header) = &mut self.header else {
            return self.write(piece).await;
        };
        header.extend_from_slice(&piece);
        if mime::header_end(header).is_some() {
            return self.complete().await;
        }
        if header.len() < HEADER_OCTETS_HELD_MAX {
            return Ok(());
        }
        let header = self.header.take().unwrap_or_default();
        self.write(header.freeze()).await
    }

    /// The client has sent all of it.
    pub(super) async fn finish(mut self) -> Result<Draft, StoreError> {
        self.complete().await?;
        Ok(self.writer.finish())
    }

    async fn complete(&mut self) -> Result<(), StoreError> {
        let Some(header) = self.header.take() else {
            return Ok(());
        };
        let missing = Missing::of(&header);
        let added = missing.fields(self.completion.now, &self.completion.message_id);
        if !added.is_empty() {
            self.write(added.into()).await?;
        }
        self.write(header.freeze()).await
    }

    async fn write(&mut self, octets: Bytes) -> Result<(), StoreError> {
        match self.writer.write(octets) {
            Some(spilled) => waits(spilled).await,
            None => Ok(()),
        }
    }
}

/// A header longer than this is stored as it is: whoever writes such a one has its Date in it.
const HEADER_OCTETS_HELD_MAX: usize = 64 * 1024;

/// What a session takes from the budget for the smallest message, in octets.
const MEMORY_MIN: u64 = 64 * 1024;

/// And for the largest: what is held before it spills to disk, and the pieces on their way there.
const MEMORY_MAX: u64 = BodyWriter::SPILL_OCTETS as u64 + 256 * 1024;
