//! The message of a transaction: how it is written, after DATA or in chunks, and what its end means.

use bytes::Bytes;
use mail::Reply;

use crate::Family;

use super::{
    body::Writer,
    chunks::{Chunk, Chunks},
    machine::{Client, Phase},
    report::Stage,
    transaction::{Next, Transaction, is_yes, outcome},
};

/// How the message is written.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Chunks(Chunks),
    Stuffed(Writer),
}

impl Client {
    /// Sends a piece of the message, as [`Step::Body`] asked. A large piece that needs no change
    /// is not copied.
    pub fn body(&mut self, piece: Bytes) {
        let Phase::Body(transaction, content) = &mut self.phase else {
            return;
        };
        match content {
            Content::Chunks(chunks) => {
                if let Some(chunk) = chunks.add(piece) {
                    transaction.chunks += 1;
                    self.send_chunk(chunk);
                }
            }
            Content::Stuffed(writer) => {
                if piece.len() >= PIECE_OCTETS_LARGE && writer.passes(&piece) {
                    self.send_piece(piece);
                } else {
                    self.out.reserve(piece.len());
                    writer.write(&piece, &mut self.out);
                }
            }
        }
    }

    /// Ends the message.
    pub fn end_body(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Body(mut transaction, Content::Chunks(chunks)) => {
                transaction.chunks += 1;
                self.send_chunk(chunks.end());
                self.phase = match transaction.awaited() {
                    Next::Nothing => Phase::End(transaction),
                    _ => Phase::Envelope(transaction),
                };
            }
            Phase::Body(transaction, Content::Stuffed(writer)) => {
                writer.end(&mut self.out);
                self.phase = Phase::End(transaction);
            }
            phase => self.phase = phase,
        }
    }

    /// A small chunk goes out in one write with whatever is before it.
    fn send_chunk(&mut self, chunk: Chunk) {
        self.out.extend_from_slice(chunk.command.as_bytes());
        for piece in chunk.pieces {
            if chunk.octets <= CHUNK_OCTETS_SMALL {
                self.out.extend_from_slice(&piece);
            } else {
                self.send_piece(piece);
            }
        }
    }

    /// A piece as it is, behind what is to be sent already.
    fn send_piece(&mut self, piece: Bytes) {
        if !self.out.is_empty() {
            self.ready.push_back(std::mem::take(&mut self.out).into());
        }
        self.ready.push_back(piece);
    }

    /// The reply to a chunk behind which there are others.
    pub(super) fn hear_chunk(&mut self, transaction: &mut Transaction, reply: Reply) {
        transaction.chunks -= 1;
        if is_yes(&reply) {
            self.takes_chunks = true;
        } else {
            transaction.settle_all(Stage::Body, &outcome(reply));
            self.stale = true;
        }
    }

    pub(super) fn begin_body(&mut self, transaction: Transaction) {
        if transaction.accepted() > 0 {
            self.phase = Phase::Body(transaction, Content::Stuffed(Writer::stuffed()));
            return;
        }
        // RFC 2920 §3.1: DATA was on its way when the last recipient was refused.
        self.finish(transaction);
        if self.config.family == Family::Lmtp {
            // No recipients, no replies: nobody knows where this dialogue is.
            return self.close(None);
        }
        self.out.extend_from_slice(b".\r\n");
        self.phase = Phase::Emptied;
    }

    pub(super) fn hear_end(&mut self, mut transaction: Transaction, reply: Reply) {
        if transaction.chunks > 1 {
            self.hear_chunk(&mut transaction, reply);
            self.phase = Phase::End(transaction);
            return;
        }
        self.takes_chunks |= transaction.is_chunked && is_yes(&reply);
        // RFC 3030 §2: what failed, or was for nobody, is forgotten by RSET only.
        self.stale |= transaction.is_chunked && (!is_yes(&reply) || transaction.accepted() == 0);
        if self.config.family == Family::Lmtp {
            transaction.settle_next(reply);
            if transaction.accepted() > 0 {
                self.phase = Phase::End(transaction);
                return;
            }
        } else {
            transaction.settle_all(Stage::End, &outcome(reply));
        }
        self.finish(transaction);
    }
}

/// From this length on, a piece is worth a write of its own.
const PIECE_OCTETS_LARGE: usize = 8 * 1024;

/// Up to here a chunk is copied behind its command: one write is cheaper than two.
const CHUNK_OCTETS_SMALL: usize = 64 * 1024 + 512;
