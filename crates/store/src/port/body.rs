//! The octets of a message: being written, at rest, and being read.

use std::{fmt, mem, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::Pending;
use crate::{
    StoreError,
    codec::{self, Codec},
};

/// Where a body is at rest. Opaque to everybody but the store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct BodyRef {
    /// The store's own number for the body; the same number is the same octets, for ever.
    pub blob: u64,
    /// Its length in octets, as received.
    pub octets: u64,
}

/// A body that is being received. Small ones are gathered in memory; from
/// [`BodyWriter::SPILL_OCTETS`] on, chunks go to the journal while they arrive.
#[derive(Debug)]
pub struct BodyWriter {
    draft: Draft,
    tail: BytesMut,
    /// Begun once the body is longer than what is hashed in one go. Boxed: it has two kilobytes,
    /// and a writer moves with the futures that hold it.
    hash: Option<Box<blake3::Hasher>>,
    /// Whether parts are compressed where that saves something.
    packs: bool,
}

/// A whole body that waits to be accepted. Dropping it forgets it.
#[derive(Debug)]
pub struct Draft {
    pub(crate) octets: u64,
    pub(crate) digest: [u8; 32],
    /// What is still in memory: the whole of a small body, the end of a large one.
    pub(crate) rest: Part,
    /// What went to the journal already, in order.
    pub(crate) chunks: Vec<Chunk>,
    sink: Arc<dyn Sink>,
}

/// A part of a body in memory, as it is going to be stored.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) pieces: Vec<Bytes>,
    /// Octets of the body that it stands for.
    pub(crate) octets: usize,
    /// Octets of the pieces: fewer if they are compressed.
    pub(crate) data: usize,
    /// CRC32C of the pieces.
    pub(crate) crc: u32,
    pub(crate) codec: Codec,
}

/// A part of a large body at rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Chunk {
    /// The place: segment and offset of its first octet.
    pub(crate) at: u64,
    /// Octets of the body that it stands for.
    pub(crate) octets: u32,
    /// Octets that are stored.
    pub(crate) data: u32,
    /// CRC32C of what is stored.
    pub(crate) crc: u32,
    pub(crate) codec: Codec,
    /// The journal's generation: a chunk of an older one may have been lost with a failed sync.
    pub(crate) generation: u64,
}

/// Where the chunks of a large body go while it is received.
pub(crate) trait Sink: fmt::Debug + Send + Sync {
    /// Takes a part. The place is known at once, and the chunk is kept until [`Sink::release`].
    /// `None` when the sink keeps nothing of its own: the part stays in the draft.
    fn spill(&self, part: &mut Part) -> Option<(Result<Chunk, StoreError>, Pending<()>)>;

    /// Says that a draft with these chunks is gone.
    fn release(&self, chunks: &[Chunk]);
}

/// A body that is being read. Cheap to clone.
#[derive(Clone)]
pub struct Body(Kind);

#[derive(Clone)]
enum Kind {
    Whole(Bytes),
    Parts(Arc<dyn Parts>),
}

/// A large body that is read in parts, each of them checked.
pub(crate) trait Parts: Send + Sync {
    fn octets(&self) -> u64;
    /// The octets from `offset` on, to the end of the chunk in which it lies.
    fn part(&self, offset: u64) -> Result<Bytes, StoreError>;
}

impl BodyWriter {
    /// Bodies of this size and more do not stay in memory.
    pub const SPILL_OCTETS: usize = 256 * 1024;

    pub(crate) fn new(sink: Arc<dyn Sink>, packs: bool) -> Self {
        Self {
            draft: Draft {
                octets: 0,
                digest: [0; 32],
                rest: Part::default(),
                chunks: Vec::new(),
                sink,
            },
            tail: BytesMut::new(),
            hash: None,
            packs,
        }
    }

    /// Adds octets. What comes back must be awaited before more is written: it is the
    /// back-pressure of the disk.
    pub fn write(&mut self, mut octets: Bytes) -> Option<Pending<()>> {
        let mut pending = None;
        while octets.len() > Self::SPILL_OCTETS {
            // What is spilled later is written later: the last one stands for all.
            pending = self.write_some(octets.split_to(Self::SPILL_OCTETS));
        }
        self.write_some(octets).or(pending)
    }

    fn write_some(&mut self, octets: Bytes) -> Option<Pending<()>> {
        let draft = &mut self.draft;
        let rest = &mut draft.rest;
        draft.octets += octets.len() as u64;
        rest.octets += octets.len();
        rest.data += octets.len();
        rest.crc = crc32c::crc32c_append(rest.crc, &octets);
        if self.hash.is_none() && draft.octets <= AT_ONCE_OCTETS {
            if self.tail.capacity() == 0 {
                self.tail.reserve(octets.len().max(TAIL_OCTETS));
            }
            self.tail.extend_from_slice(&octets);
            return None;
        }
        let hash = self.hash.get_or_insert_with(|| {
            let mut hash = Box::new(blake3::Hasher::new());
            hash.update(&self.tail);
            hash
        });
        hash.update(&octets);
        if octets.len() < COPY_OCTETS {
            self.tail.extend_from_slice(&octets);
        } else {
            if !self.tail.is_empty() {
                rest.pieces.push(self.tail.split().freeze());
            }
            rest.pieces.push(octets);
        }
        if rest.octets < Self::SPILL_OCTETS {
            return None;
        }
        if !self.tail.is_empty() {
            rest.pieces.push(self.tail.split().freeze());
        }
        if self.packs {
            rest.pack();
        }
        let (chunk, pending) = draft.sink.spill(rest)?;
        *rest = Part::default();
        draft.chunks.push(chunk.unwrap_or(Chunk::LOST));
        Some(pending)
    }

    /// How many octets have been written.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.draft.octets
    }

    /// Ends the body.
    #[must_use]
    pub fn finish(mut self) -> Draft {
        let digest = match &self.hash {
            Some(hash) => hash.finalize(),
            None => blake3::hash(&self.tail),
        };
        self.draft.digest = *digest.as_bytes();
        let rest = &mut self.draft.rest;
        if !self.tail.is_empty() {
            rest.pieces.push(self.tail.freeze());
        }
        if self.packs {
            rest.pack();
        }
        self.draft
    }
}

impl Draft {
    /// How many octets it has.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.octets
    }
}

impl Part {
    /// Compresses it, if that saves something.
    fn pack(&mut self) {
        if let Some(packed) = codec::pack(&self.pieces, self.octets) {
            self.data = packed.len();
            self.crc = crc32c::crc32c(&packed);
            self.pieces = vec![packed];
            self.codec = Codec::Zstd;
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.chunks.is_empty() {
            self.sink.release(&mem::take(&mut self.chunks));
        }
    }
}

impl Chunk {
    /// A chunk that never reached the journal: a draft with it is refused.
    pub(crate) const LOST: Self = Self {
        at: 0,
        octets: 0,
        data: 0,
        crc: 0,
        codec: Codec::Plain,
        generation: u64::MAX,
    };
}

impl Body {
    /// A body in memory, for tests and for whoever makes one.
    #[must_use]
    pub const fn whole(octets: Bytes) -> Self {
        Self(Kind::Whole(octets))
    }

    pub(crate) fn parts(parts: Arc<dyn Parts>) -> Self {
        Self(Kind::Parts(parts))
    }

    /// Its length in octets.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match &self.0 {
            Kind::Whole(octets) => octets.len() as u64,
            Kind::Parts(parts) => parts.octets(),
        }
    }

    /// The whole body. For a large one, read in pieces instead.
    ///
    /// # Errors
    /// [`StoreError::Damage`].
    pub fn bytes(&self) -> Result<Bytes, StoreError> {
        self.read_at(0, usize::MAX)
    }

    /// The octets from `offset` on: `limit` of them, or fewer where the body ends.
    ///
    /// # Errors
    /// [`StoreError::Damage`].
    pub fn read_at(&self, offset: u64, limit: usize) -> Result<Bytes, StoreError> {
        let parts = match &self.0 {
            Kind::Whole(octets) => {
                let from = usize::try_from(offset).map_or(octets.len(), |o| o.min(octets.len()));
                let until = from.saturating_add(limit).min(octets.len());
                return Ok(octets.slice(from..until));
            }
            Kind::Parts(parts) => parts,
        };
        let rest = usize::try_from(parts.octets().saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = rest.min(limit);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let mut first = parts.part(offset)?;
        if first.len() >= wanted {
            return Ok(first.split_to(wanted));
        }
        let mut octets = BytesMut::with_capacity(wanted);
        octets.extend_from_slice(&first);
        while octets.len() < wanted {
            let part = parts.part(offset + octets.len() as u64)?;
            let take = part.len().min(wanted - octets.len());
            octets.extend_from_slice(&part[..take]);
        }
        Ok(octets.freeze())
    }

    /// The BLAKE3 of its octets; they are read in parts.
    ///
    /// # Errors
    /// [`StoreError::Damage`].
    pub fn digest(&self) -> Result<[u8; 32], StoreError> {
        let mut hash = blake3::Hasher::new();
        let mut from = 0;
        while from < self.octets() {
            let part = self.read_at(from, BodyWriter::SPILL_OCTETS)?;
            if part.is_empty() {
                return Err(StoreError::Damage {
                    what: "a body that ends too early".to_owned(),
                });
            }
            hash.update(&part);
            from += part.len() as u64;
        }
        Ok(*hash.finalize().as_bytes())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("octets", &self.octets())
            .finish_non_exhaustive()
    }
}

/// A body up to this length is kept in one piece and hashed in one go: BLAKE3 takes several blocks
/// of a kilobyte at a time if it has them, and octets that come in pieces come one block at a time.
const AT_ONCE_OCTETS: u64 = 16 * 1024;

/// Room for the trace fields and a message of some kilobytes, so that it is made once.
const TAIL_OCTETS: usize = 8 * 1024;

/// Shorter pieces are copied together: a vectored write of many crumbs costs more than the copy.
const COPY_OCTETS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nowhere;

    impl Sink for Nowhere {
        fn spill(&self, _: &mut Part) -> Option<(Result<Chunk, StoreError>, Pending<()>)> {
            None
        }

        fn release(&self, _: &[Chunk]) {}
    }

    #[test]
    fn however_a_body_comes_it_is_kept_whole_with_its_sums() {
        for octets in [0, 1, 4096, 16_384, 16_385, 40_000, 300_000] {
            let whole: Vec<u8> = (0..octets).map(|n: u32| (n % 251) as u8).collect();
            for piece in [1000, 4096, 20_000, 400_000] {
                let mut writer = BodyWriter::new(Arc::new(Nowhere), false);
                for piece in whole.chunks(piece) {
                    assert!(writer.write(Bytes::copy_from_slice(piece)).is_none());
                }
                let draft = writer.finish();
                assert_eq!(draft.rest.pieces.concat(), whole);
                assert_eq!(draft.octets(), u64::from(octets));
                assert_eq!(draft.rest.octets, whole.len());
                assert_eq!(draft.rest.crc, crc32c::crc32c(&whole));
                assert_eq!(draft.digest, *blake3::hash(&whole).as_bytes());
            }
        }
    }
}
