//! Bodies in the journal: how they are laid out in a frame, spilled, and read back.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    files::{Files, disk_error},
    frame::{SECTION_HEAD, Section, SectionKind, offset_of, segment_of},
    intake::{Tail, padding},
};
use crate::{
    StoreError,
    batch::Placed,
    codec::Codec,
    disk::File,
    metrics,
    port::{Body, BodyWriter, Chunk, Draft, Part, Parts},
};

/// Reads bodies.
#[derive(Clone, Debug)]
pub(crate) struct Bodies(Arc<Files>);

/// The bodies of a frame that is being made.
#[derive(Debug, Default)]
pub(crate) struct Spill {
    pub(crate) pieces: Vec<Bytes>,
    octets: u64,
}

impl Spill {
    /// Octets that the bodies of these drafts take in a frame.
    pub(crate) fn measure(drafts: &[Draft]) -> u64 {
        drafts.iter().map(measure).sum()
    }

    /// Lays a draft out behind those before it, in a frame at `tail`. Yields also the chunks that
    /// need not be kept for the draft any more: the batch refers to them now.
    pub(crate) fn add(&mut self, tail: Tail, mut draft: Draft) -> (Placed, Vec<Chunk>) {
        let head = super::frame::FRAME_HEAD as u64;
        let begin = self.octets;
        let mut spans: BTreeMap<u32, u64> = BTreeMap::new();
        let at = tail.at(head + begin);
        let rest = std::mem::take(&mut draft.rest);
        let number = if draft.chunks.is_empty() {
            let section = Section {
                kind: SectionKind::Whole,
                codec: rest.codec,
                crc: rest.crc,
                octets: draft.octets,
                data: length(rest.data),
                digest: draft.digest,
            };
            self.section(&section, rest.pieces);
            at
        } else {
            let mut chunks = draft.chunks.clone();
            let spilled = chunks.len();
            if rest.octets > 0 {
                chunks.push(Chunk {
                    at,
                    ..chunk_of(&rest)
                });
                self.chunk(rest);
            }
            for chunk in chunks.iter().take(spilled) {
                *spans.entry(segment_of(chunk.at)).or_default() +=
                    Section::whole(chunk.data as usize);
            }
            let number = tail.at(head + self.octets);
            let (kind, list) = write_chunks(&chunks);
            let section = Section {
                kind,
                codec: Codec::Plain,
                crc: crc32c::crc32c(&list),
                octets: draft.octets,
                data: length(list.len()),
                digest: draft.digest,
            };
            self.section(&section, vec![list]);
            number
        };
        *spans.entry(tail.segment).or_default() += self.octets - begin;
        let placed = Placed {
            number,
            spans: spans.into_iter().collect(),
        };
        (placed, std::mem::take(&mut draft.chunks))
    }

    /// Lays a chunk out.
    pub(crate) fn chunk(&mut self, part: Part) {
        let section = Section {
            kind: SectionKind::Chunk,
            codec: part.codec,
            crc: part.crc,
            octets: part.octets as u64,
            data: length(part.data),
            digest: [0; 32],
        };
        self.section(&section, part.pieces);
    }

    fn section(&mut self, section: &Section, pieces: Vec<Bytes>) {
        let data = section.data as usize;
        self.octets += Section::whole(data);
        let head = section.write();
        if data <= COPY_OCTETS {
            let mut whole = BytesMut::with_capacity(SECTION_HEAD + data + 8);
            whole.extend_from_slice(&head);
            for piece in &pieces {
                whole.extend_from_slice(piece);
            }
            if let Some(padding) = padding(whole.len()) {
                whole.extend_from_slice(&padding);
            }
            self.pieces.push(whole.freeze());
        } else {
            self.pieces.push(Bytes::copy_from_slice(&head));
            self.pieces.extend(pieces);
            self.pieces.extend(padding(SECTION_HEAD + data));
        }
    }
}

impl Bodies {
    pub(crate) const fn new(files: Arc<Files>) -> Self {
        Self(files)
    }

    /// The body at a place; `None` when its segment is not there.
    pub(crate) fn read(&self, place: u64, octets: u64) -> Result<Option<Body>, StoreError> {
        let Some(file) = self.0.segment(segment_of(place))? else {
            return Ok(None);
        };
        let offset = offset_of(place);
        let spilled = octets >= BodyWriter::SPILL_OCTETS as u64;
        let guess = if spilled {
            PACKED_OCTETS as u64 * (octets / BodyWriter::SPILL_OCTETS as u64 + 2)
        } else {
            octets
        };
        let guess = usize::try_from(guess)
            .unwrap_or(usize::MAX)
            .min(LIST_OCTETS_MAX);
        let damage = || damaged(place);
        let mut read = fetch(&file, offset, SECTION_HEAD + guess)?;
        let section = Section::read(&read).ok_or_else(damage)?;
        let wanted = SECTION_HEAD + section.data as usize;
        if section.octets != octets {
            return Err(damage());
        }
        if read.len() < wanted {
            if section.data as usize > LIST_OCTETS_MAX.max(BodyWriter::SPILL_OCTETS) {
                return Err(damage());
            }
            read = fetch(&file, offset, wanted)?;
        }
        let data = read.get(SECTION_HEAD..wanted).ok_or_else(damage)?;
        if crc32c::crc32c(data) != section.crc {
            return Err(damage());
        }
        let data = read.slice(SECTION_HEAD..wanted);
        match section.kind {
            SectionKind::Whole => match section.codec {
                Codec::Plain => Ok(Some(Body::whole(data))),
                codec => {
                    let octets = usize::try_from(octets).map_err(|_| damage())?;
                    let whole = codec.unpack(data, octets).ok_or_else(damage)?;
                    Ok(Some(Body::whole(whole)))
                }
            },
            SectionKind::Chunks => {
                let chunks = read_chunks(&data).ok_or_else(damage)?;
                self.large(octets, &chunks)
            }
            SectionKind::Packed => {
                let chunks = read_packed(&data).ok_or_else(damage)?;
                self.large(octets, &chunks)
            }
            SectionKind::Chunk => Err(damage()),
        }
    }

    /// What a body was stored with: its length and digest.
    pub(crate) fn section(&self, place: u64) -> Result<Option<Section>, StoreError> {
        let Some(file) = self.0.segment(segment_of(place))? else {
            return Ok(None);
        };
        let read = fetch(&file, offset_of(place), SECTION_HEAD)?;
        let section = Section::read(&read).ok_or_else(|| damaged(place))?;
        Ok(Some(section))
    }

    /// A body in chunks; `None` when a segment of one is not there: it lies elsewhere now.
    fn large(&self, octets: u64, chunks: &[Chunk]) -> Result<Option<Body>, StoreError> {
        let mut large = Large {
            octets,
            chunks: Vec::with_capacity(chunks.len()),
            files: BTreeMap::new(),
            latest: Mutex::new(None),
        };
        let mut from = 0;
        for chunk in chunks {
            let segment = segment_of(chunk.at);
            if let Entry::Vacant(entry) = large.files.entry(segment) {
                let Some(file) = self.0.segment(segment)? else {
                    return Ok(None);
                };
                entry.insert(file);
            }
            large.chunks.push((from, *chunk));
            from += u64::from(chunk.octets);
        }
        if from == octets {
            Ok(Some(Body::parts(Arc::new(large))))
        } else {
            Err(damaged(chunks.first().map_or(0, |chunk| chunk.at)))
        }
    }
}

/// A body in chunks. It keeps their files open, whatever compaction does meanwhile.
struct Large {
    octets: u64,
    chunks: Vec<(u64, Chunk)>,
    files: BTreeMap<u32, Arc<dyn File>>,
    /// The chunk that was read last: readers go forward in small steps.
    latest: Mutex<Option<(usize, Bytes)>>,
}

impl Parts for Large {
    fn octets(&self) -> u64 {
        self.octets
    }

    fn part(&self, offset: u64) -> Result<Bytes, StoreError> {
        let at = self.chunks.partition_point(|(from, _)| *from <= offset);
        let Some((from, chunk)) = at.checked_sub(1).and_then(|at| self.chunks.get(at)) else {
            return Ok(Bytes::new());
        };
        let skip = usize::try_from(offset - from).unwrap_or(usize::MAX);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let octets = match &*latest {
            Some((known, octets)) if *known == at => octets.clone(),
            _ => {
                let octets = self.read(chunk)?;
                *latest = Some((at, octets.clone()));
                octets
            }
        };
        Ok(octets.slice(skip.min(octets.len())..))
    }
}

impl Large {
    fn read(&self, chunk: &Chunk) -> Result<Bytes, StoreError> {
        let file = self.files.get(&segment_of(chunk.at));
        let file = file.ok_or_else(|| damaged(chunk.at))?;
        let from = offset_of(chunk.at) + SECTION_HEAD as u64;
        let data = fetch(file, from, chunk.data as usize)?;
        if data.len() < chunk.data as usize || crc32c::crc32c(&data) != chunk.crc {
            return Err(damaged(chunk.at));
        }
        let octets = chunk.codec.unpack(data, chunk.octets as usize);
        octets.ok_or_else(|| damaged(chunk.at))
    }
}

/// Whether a section's data is sound and can be made into what it stands for.
pub(super) fn unpacks(section: &Section, data: &[u8]) -> bool {
    if crc32c::crc32c(data) != section.crc {
        return false;
    }
    match section.kind {
        SectionKind::Whole | SectionKind::Chunk => {
            let octets = usize::try_from(section.octets).unwrap_or(usize::MAX);
            let data = Bytes::copy_from_slice(data);
            section.codec.unpack(data, octets).is_some()
        }
        SectionKind::Chunks => read_chunks(data).is_some(),
        SectionKind::Packed => read_packed(data).is_some(),
    }
}

fn fetch(file: &Arc<dyn File>, at: u64, octets: usize) -> Result<Bytes, StoreError> {
    let mut buffer = BytesMut::zeroed(octets);
    let read = file
        .read_at(&mut buffer, at)
        .map_err(|error| disk_error("read the journal", &error))?;
    buffer.truncate(read);
    Ok(buffer.freeze())
}

fn damaged(place: u64) -> StoreError {
    metrics::DAMAGED.count(&["body"]);
    StoreError::Damage {
        what: format!(
            "the body at {} of journal segment {}",
            offset_of(place),
            segment_of(place)
        ),
    }
}

fn measure(draft: &Draft) -> u64 {
    let tail = if draft.rest.octets > 0 || draft.chunks.is_empty() {
        Section::whole(draft.rest.data)
    } else {
        0
    };
    let list = if draft.chunks.is_empty() {
        0
    } else {
        Section::whole(PACKED_OCTETS * (draft.chunks.len() + 1))
    };
    tail + list
}

/// What is said of a part in a list of chunks; its place is not known yet.
pub(crate) fn chunk_of(part: &Part) -> Chunk {
    Chunk {
        at: 0,
        octets: length(part.octets),
        data: length(part.data),
        crc: part.crc,
        codec: part.codec,
        generation: 0,
    }
}

/// Each chunk is `place (8) | octets (4) | CRC32C (4)`, and if any of them has a codec
/// `length of the data (4) | codec (1) | zero (3)`.
fn write_chunks(chunks: &[Chunk]) -> (SectionKind, Bytes) {
    let packed = chunks.iter().any(|chunk| chunk.codec != Codec::Plain);
    let mut out = BytesMut::with_capacity(PACKED_OCTETS * chunks.len());
    for chunk in chunks {
        out.put_u64_le(chunk.at);
        out.put_u32_le(chunk.octets);
        out.put_u32_le(chunk.crc);
        if packed {
            out.put_u32_le(chunk.data);
            out.put_u32_le(chunk.codec as u32);
        }
    }
    let kind = if packed {
        SectionKind::Packed
    } else {
        SectionKind::Chunks
    };
    (kind, out.freeze())
}

fn read_chunks(list: &[u8]) -> Option<Vec<Chunk>> {
    let (chunks, rest) = list.as_chunks::<16>();
    rest.is_empty()
        .then(|| chunks.iter().map(|chunk| read_chunk(chunk)).collect())
}

fn read_packed(list: &[u8]) -> Option<Vec<Chunk>> {
    let (chunks, rest) = list.as_chunks::<PACKED_OCTETS>();
    let chunks = chunks.iter().map(|chunk| {
        Some(Chunk {
            data: super::frame::u32_at(chunk, 16),
            codec: Codec::of(chunk[20])?,
            ..read_chunk(chunk)
        })
    });
    rest.is_empty().then(|| chunks.collect())?
}

fn read_chunk(chunk: &[u8]) -> Chunk {
    let octets = super::frame::u32_at(chunk, 8);
    Chunk {
        at: super::frame::u64_at(chunk, 0),
        octets,
        data: octets,
        crc: super::frame::u32_at(chunk, 12),
        codec: Codec::Plain,
        generation: 0,
    }
}

fn length(octets: usize) -> u32 {
    u32::try_from(octets).expect("pieces are spilled long before they are that long")
}

/// Up to here a body is copied beside its head: a group of small bodies is then one slice each.
const COPY_OCTETS: usize = 16 * 1024;

/// A chunk in a list that may have codecs.
const PACKED_OCTETS: usize = 24;

/// A list of chunks of 10 GiB and more.
const LIST_OCTETS_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: Chunk = Chunk {
        at: 0x0000_0005_0000_1040,
        octets: 0x0004_0000,
        data: 0x0004_0000,
        crc: 0xAABB_CCDD,
        codec: Codec::Plain,
        generation: 0,
    };

    #[test]
    fn a_list_of_chunks_has_these_octets_for_ever() {
        let (kind, list) = write_chunks(&[CHUNK]);
        assert_eq!(kind, SectionKind::Chunks);
        let golden = [
            0x40, 0x10, 0, 0, 5, 0, 0, 0, 0, 0, 4, 0, 0xDD, 0xCC, 0xBB, 0xAA,
        ];
        assert_eq!(list[..], golden);
        assert_eq!(read_chunks(&list), Some(vec![CHUNK]));
        assert_eq!(read_chunks(&list[..15]), None);
    }

    #[test]
    fn a_list_with_codecs_has_these_octets_for_ever() {
        let packed = Chunk {
            data: 0x1234,
            codec: Codec::Zstd,
            ..CHUNK
        };
        let (kind, list) = write_chunks(&[packed, CHUNK]);
        assert_eq!(kind, SectionKind::Packed);
        let golden = [
            0x40, 0x10, 0, 0, 5, 0, 0, 0, 0, 0, 4, 0, 0xDD, 0xCC, 0xBB, 0xAA, 0x34, 0x12, 0, 0, 1,
            0, 0, 0,
        ];
        assert_eq!(list[..24], golden);
        assert_eq!(read_packed(&list), Some(vec![packed, CHUNK]));
        assert_eq!(read_packed(&list[..40]), None);
        let mut newer = list.to_vec();
        newer[20] = 2;
        assert_eq!(read_packed(&newer), None);
    }
}
