//! The octets of a message: being written, at rest, and being read.

use bytes::Bytes;

use super::Pending;
use crate::StoreError;

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
pub struct BodyWriter {/* the store's developer fills this in */}

/// A whole body that waits to be accepted. Dropping it forgets it.
#[derive(Debug)]
pub struct Draft {/* likewise */}

/// A body that is being read.
pub struct Body {/* likewise */}

impl BodyWriter {
    /// Bodies of this size and more do not stay in memory.
    pub const SPILL_OCTETS: usize = 256 * 1024;

    /// Adds octets. What comes back must be awaited before more is written: it is the
    /// back-pressure of the disk.
    pub fn write(&mut self, octets: Bytes) -> Option<Pending<()>> {
        todo!()
    }

    /// How many octets have been written.
    pub fn octets(&self) -> u64 {
        todo!()
    }

    /// Ends the body.
    pub fn finish(self) -> Draft {
        todo!()
    }
}

impl Body {
    /// Its length in octets.
    pub fn octets(&self) -> u64 {
        todo!()
    }

    /// The whole body. For a large one, read in pieces instead.
    ///
    /// # Errors
    /// [`StoreError::Damage`].
    pub fn bytes(&self) -> Result<Bytes, StoreError> {
        todo!()
    }

    /// The octets from `offset` on, at most `limit`; empty at the end.
    ///
    /// # Errors
    /// [`StoreError::Damage`].
    pub fn read_at(&self, offset: u64, limit: usize) -> Result<Bytes, StoreError> {
        todo!()
    }
}
