//! A message on its way in chunks, whose octets the peer counts (RFC 3030 §2).

use bytes::Bytes;

use super::body::Writer;

/// A message of which a part is held back: whether a chunk is the last one must be said before it.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    writer: Writer,
    held: Vec<Bytes>,
    octets: usize,
}

/// A chunk.
pub(super) struct Chunk {
    /// Its command.
    pub(super) command: String,
    pub(super) pieces: Vec<Bytes>,
    pub(super) octets: usize,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self {
            writer: Writer::counted(),
            held: Vec::new(),
            octets: 0,
        }
    }

    /// Takes a piece, which is copied only if it must be changed; yields what is a chunk now.
    pub(super) fn add(&mut self, piece: Bytes) -> Option<Chunk> {
        if piece.is_empty() {
            return None;
        }
        let full = (self.octets >= CHUNK_OCTETS).then(|| self.cut(""));
        if self.writer.passes(&piece) {
            self.hold(piece);
        } else {
            let mut changed = Vec::with_capacity(piece.len() + piece.len() / 16);
            self.writer.write(&piece, &mut changed);
            self.hold(changed.into());
        }
        full
    }

    /// The last chunk.
    pub(super) fn end(mut self) -> Chunk {
        let mut rest = Vec::new();
        self.writer.end(&mut rest);
        self.hold(rest.into());
        self.cut(" LAST")
    }

    fn hold(&mut self, piece: Bytes) {
        self.octets += piece.len();
        if !piece.is_empty() {
            self.held.push(piece);
        }
    }

    fn cut(&mut self, last: &str) -> Chunk {
        let octets = std::mem::take(&mut self.octets);
        Chunk {
            command: format!("BDAT {octets}{last}\r\n"),
            pieces: std::mem::take(&mut self.held),
            octets,
        }
    }
}

/// A chunk has so many octets, and those of one piece more.
const CHUNK_OCTETS: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(chunk: &Chunk) -> Vec<u8> {
        assert_eq!(chunk.octets, chunk.pieces.iter().map(Bytes::len).sum());
        chunk.pieces.concat()
    }

    #[test]
    fn the_octets_are_counted_as_they_go_out_and_the_last_chunk_says_so() {
        let mut chunks = Chunks::new();
        assert!(chunks.add(Bytes::from_static(b".a\nb")).is_none());
        assert!(chunks.add(Bytes::new()).is_none());
        let last = chunks.end();
        assert_eq!(last.command, "BDAT 7 LAST\r\n");
        assert_eq!(whole(&last), b".a\r\nb\r\n");
        assert_eq!(Chunks::new().end().command, "BDAT 0 LAST\r\n");
    }

    #[test]
    fn a_long_message_goes_out_in_several() {
        let mut chunks = Chunks::new();
        let piece = Bytes::from(vec![b'x'; CHUNK_OCTETS]);
        assert!(chunks.add(piece.clone()).is_none());
        let first = chunks.add(piece.clone()).unwrap();
        assert_eq!(first.command, "BDAT 65536\r\n");
        assert_eq!(first.pieces[0].as_ptr(), piece.as_ptr(), "it is not copied");
        let last = chunks.end();
        assert_eq!(last.command, "BDAT 65538 LAST\r\n");
        assert_eq!(whole(&last).len(), 65538);
    }
}
