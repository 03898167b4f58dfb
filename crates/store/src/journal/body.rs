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
    disk::File,
    metrics,
    port::{Body, BodyWriter, Chunk, Draft, Parts},
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
        let pieces = std::mem::take(&mut draft.pieces);
        let number = if draft.chunks.is_empty() {
            let section = Section {
                kind: SectionKind::Whole,
                crc: draft.pieces_crc,
                octets: draft.octets,
                data: length(draft.pieces_octets),
                digest: draft.digest,
            };
            self.section(&section, pieces);
            at
        } else {
            let mut chunks = draft.chunks.clone();
            let spilled = chunks.len();
            if draft.pieces_octets > 0 {
                self.chunk(pieces, draft.pieces_octets, draft.pieces_crc);
                chunks.push(Chunk {
                    at,
                    octets: length(draft.pieces_octets),
                    crc: draft.pieces_crc,
                    generation: 0,
                });
            }
            for chunk in chunks.iter().take(spilled) {
                *spans.entry(segment_of(chunk.at)).or_default() +=
                    Section::whole(chunk.octets as usize);
            }
            let number = tail.at(head + self.octets);
            let list = write_chunks(&chunks);
            let section = Section {
                kind: SectionKind::Chunks,
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
    pub(crate) fn chunk(&mut self, pieces: Vec<Bytes>, octets: usize, crc: u32) {
        let section = Section {
            kind: SectionKind::Chunk,
            crc,
            octets: octets as u64,
            data: length(octets),
            digest: [0; 32],
        };
        self.section(&section, pieces);
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
            16 * (octets / BodyWriter::SPILL_OCTETS as u64 + 2)
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
            SectionKind::Whole => Ok(Some(Body::whole(data))),
            SectionKind::Chunks => {
                let chunks = read_chunks(&data).ok_or_else(damage)?;
                Ok(Some(Body::parts(Arc::new(self.large(octets, &chunks)?))))
            }
            SectionKind::Chunk => Err(damage()),
        }
    }

    /// The digest that a body was stored with.
    pub(crate) fn digest(&self, place: u64) -> Result<Option<[u8; 32]>, StoreError> {
        let Some(file) = self.0.segment(segment_of(place))? else {
            return Ok(None);
        };
        let read = fetch(&file, offset_of(place), SECTION_HEAD)?;
        let section = Section::read(&read).ok_or_else(|| damaged(place))?;
        Ok(Some(section.digest))
    }

    fn large(&self, octets: u64, chunks: &[Chunk]) -> Result<Large, StoreError> {
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
                let file = self.0.segment(segment)?;
                entry.insert(file.ok_or_else(|| damaged(chunk.at))?);
            }
            large.chunks.push((from, *chunk));
            from += u64::from(chunk.octets);
        }
        if from == octets {
            Ok(large)
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
        let octets = fetch(file, from, chunk.octets as usize)?;
        if octets.len() < chunk.octets as usize || crc32c::crc32c(&octets) != chunk.crc {
            return Err(damaged(chunk.at));
        }
        Ok(octets)
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
    let tail = if draft.pieces_octets > 0 || draft.chunks.is_empty() {
        Section::whole(draft.pieces_octets)
    } else {
        0
    };
    let list = if draft.chunks.is_empty() {
        0
    } else {
        Section::whole(16 * (draft.chunks.len() + 1))
    };
    tail + list
}

/// Each chunk is `place (8) | octets (4) | CRC32C (4)`.
fn write_chunks(chunks: &[Chunk]) -> Bytes {
    let mut out = BytesMut::with_capacity(16 * chunks.len());
    for chunk in chunks {
        out.put_u64_le(chunk.at);
        out.put_u32_le(chunk.octets);
        out.put_u32_le(chunk.crc);
    }
    out.freeze()
}

fn read_chunks(list: &[u8]) -> Option<Vec<Chunk>> {
    let (chunks, rest) = list.as_chunks::<16>();
    rest.is_empty().then(|| {
        let chunks = chunks.iter().map(|chunk| Chunk {
            at: super::frame::u64_at(chunk, 0),
            octets: super::frame::u32_at(chunk, 8),
            crc: super::frame::u32_at(chunk, 12),
            generation: 0,
        });
        chunks.collect()
    })
}

fn length(octets: usize) -> u32 {
    u32::try_from(octets).expect("pieces are spilled long before they are that long")
}

/// Up to here a body is copied beside its head: a group of small bodies is then one slice each.
const COPY_OCTETS: usize = 16 * 1024;

/// A list of chunks of 16 GiB.
const LIST_OCTETS_MAX: usize = 1024 * 1024;
