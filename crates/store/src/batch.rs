//! A batch: all that one call changes, there whole or not at all.
//!
//! Whoever decides writes absolute values, straight into the octets that go to the journal. Three
//! things are known only when the batch gets its place in the order of all batches, and are
//! filled in by [`Batch::seal`]: the numbers of new bodies, how many refer to a body, and counts
//! that several accounts share.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    StoreError, keys,
    keys::Class,
    port::Draft,
    record::{self, Refs},
};

mod dense;

pub(crate) use dense::read_dense;

/// Changes that are being gathered.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Which state of the store the decisions rest on: see `Keeper::generation`.
    pub(crate) generation: u64,
    ops: Vec<u8>,
    index: Vec<OpAt>,
    bodies: Vec<Draft>,
    patches: Vec<(usize, usize)>,
    refs: BTreeMap<Blob, i64>,
    counts: BTreeMap<(Class, Vec<u8>), i64>,
    moves: Vec<Move>,
}

/// A body of this batch that takes the place of one at rest.
#[derive(Clone, Copy, Debug)]
struct Move {
    body: usize,
    number: u64,
    from: u64,
}

/// A body that a row refers to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Blob {
    /// Of this batch, by its place in it.
    New(usize),
    /// At rest, by its number.
    Old(u64),
}

/// Reads the newest value of a key.
pub(crate) type Get<'a> = dyn Fn(Class, &[u8]) -> Result<Option<Bytes>, StoreError> + 'a;

/// Where a new body of the batch stands.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) number: u64,
    /// The segments that it needs, with the octets it takes there.
    pub(crate) spans: Vec<(u32, u64)>,
}

/// A batch with all its values.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) ops: Bytes,
    index: Vec<OpAt>,
    /// Bodies that nobody refers to any more.
    pub(crate) dead: Vec<u64>,
}

/// One absolute change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Op {
    pub(crate) class: Class,
    pub(crate) key: Bytes,
    /// `None` removes the key.
    pub(crate) value: Option<Bytes>,
    /// The key was never used before.
    pub(crate) fresh: bool,
}

#[derive(Clone, Copy, Debug)]
struct OpAt {
    class: Class,
    tag: u8,
    key: u32,
    value: u32,
    end: u32,
}

impl Batch {
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            ops: Vec::with_capacity(OPS_OCTETS),
            index: Vec::with_capacity(OPS),
            bodies: Vec::new(),
            patches: Vec::new(),
            refs: BTreeMap::new(),
            counts: BTreeMap::new(),
            moves: Vec::new(),
        }
    }

    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
            && self.refs.is_empty()
            && self.counts.is_empty()
            && self.moves.is_empty()
    }

    /// Whether it brings new mail, which has to stop before the disk is full.
    pub(crate) const fn brings_mail(&self) -> bool {
        !self.bodies.is_empty() && self.moves.is_empty()
    }

    pub(crate) fn bodies(&self) -> &[Draft] {
        &self.bodies
    }

    /// Takes the bodies out, for whoever gives them their places before [`Batch::seal`].
    pub(crate) fn take_bodies(&mut self) -> Vec<Draft> {
        std::mem::take(&mut self.bodies)
    }

    /// At most so many octets of operations come out of [`Batch::seal`], by and large.
    pub(crate) fn octets_max(&self) -> usize {
        let counts = self.counts.keys().map(|(_, key)| key.len() + 32);
        let rows = self.refs.len() + self.moves.len();
        self.ops.len() + 192 * rows + counts.sum::<usize>() + 64
    }

    /// Sets a key.
    pub(crate) fn put(&mut self, class: Class, key: &[u8], value: &[u8]) {
        self.write(PUT, class, key, value);
    }

    /// Sets a key that was never used before.
    pub(crate) fn put_fresh(&mut self, class: Class, key: &[u8], value: &[u8]) {
        self.write(PUT_FRESH, class, key, value);
    }

    /// Sets a key that was never used before to a record that refers to a body of this batch at
    /// the given places.
    pub(crate) fn put_with_blob(
        &mut self,
        class: Class,
        key: &[u8],
        value: &[u8],
        (blob, places): (Blob, &[usize]),
    ) {
        self.write(PUT_FRESH, class, key, value);
        let start = self.ops.len() - value.len();
        match blob {
            Blob::New(body) => {
                let places = places.iter().map(|place| (start + place, body));
                self.patches.extend(places);
            }
            Blob::Old(number) => {
                for place in places {
                    patch(&mut self.ops, start + place, number);
                }
            }
        }
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, class: Class, key: &[u8]) {
        self.write(REMOVE, class, key, &[]);
    }

    /// Adds a body. Its references are said with [`Batch::refer`].
    pub(crate) fn body(&mut self, draft: Draft) -> Blob {
        self.bodies.push(draft);
        Blob::New(self.bodies.len() - 1)
    }

    /// Says that `by` more (or fewer) messages refer to a body.
    pub(crate) fn refer(&mut self, blob: Blob, by: i64) {
        *self.refs.entry(blob).or_default() += by;
    }

    /// Says that the body of that number lies where this draft is going to lie, if it still lies
    /// at `from` when the batch gets its place. Such a batch brings nothing else.
    pub(crate) fn relocate(&mut self, draft: Draft, number: u64, from: u64) {
        self.bodies.push(draft);
        self.moves.push(Move {
            body: self.bodies.len() - 1,
            number,
            from,
        });
    }

    /// Changes a count.
    pub(crate) fn count(&mut self, class: Class, key: Vec<u8>, by: i64) {
        *self.counts.entry((class, key)).or_default() += by;
    }

    /// Fills in what is known only now. `placed` has an entry for each body; `get` reads the
    /// newest values.
    pub(crate) fn seal(mut self, placed: &[Placed], get: &Get<'_>) -> Result<Sealed, StoreError> {
        for &(at, body) in &self.patches {
            patch(&mut self.ops, at, placed[body].number);
        }
        let mut dead = Vec::new();
        for (blob, by) in std::mem::take(&mut self.refs) {
            if by != 0 {
                self.seal_refs(blob, by, placed, get, &mut dead)?;
            }
        }
        for relocated in std::mem::take(&mut self.moves) {
            self.seal_move(relocated, placed, get)?;
        }
        for ((class, key), by) in std::mem::take(&mut self.counts) {
            if by == 0 {
                continue;
            }
            let before = match get(class, &key)? {
                Some(octets) => record::read_count(&octets)?,
                None => 0,
            };
            match before.saturating_add_signed(by) {
                0 => self.remove(class, &key),
                count => self.put(class, &key, &record::write_count(count)),
            }
        }
        Ok(Sealed {
            ops: self.ops.into(),
            index: self.index,
            dead,
        })
    }

    fn seal_refs(
        &mut self,
        blob: Blob,
        by: i64,
        placed: &[Placed],
        get: &Get<'_>,
        dead: &mut Vec<u64>,
    ) -> Result<(), StoreError> {
        let (number, mut refs) = match blob {
            Blob::New(body) => {
                let Placed { number, spans } = &placed[body];
                let refs = Refs {
                    refs: 0,
                    at: *number,
                    spans: spans.clone(),
                };
                (*number, refs)
            }
            Blob::Old(number) => match get(Class::Blobs, &keys::blob(number))? {
                Some(octets) => (number, record::read_refs(&octets)?),
                None => {
                    tracing::warn!(blob = number, "nothing is known of a body that is in use");
                    return Ok(());
                }
            },
        };
        let before = refs.refs;
        refs.refs = u32::try_from(u64::from(before).saturating_add_signed(by)).unwrap_or(u32::MAX);
        let key = keys::blob(number);
        if refs.refs == 0 {
            self.remove(Class::Blobs, &key);
            dead.push(number);
        } else {
            self.put(Class::Blobs, &key, &record::write_refs(&refs));
        }
        let sign = match (before, refs.refs) {
            (0, 1..) => 1,
            (1.., 0) => -1,
            _ => return Ok(()),
        };
        self.count_live(&refs.spans, sign);
        Ok(())
    }

    fn seal_move(
        &mut self,
        Move { body, number, from }: Move,
        placed: &[Placed],
        get: &Get<'_>,
    ) -> Result<(), StoreError> {
        let key = keys::blob(number);
        let Some(octets) = get(Class::Blobs, &key)? else {
            return Ok(()); // nobody refers to it any more: the copy is dead where it is
        };
        let before = record::read_refs(&octets)?;
        if before.at != from {
            return Ok(());
        }
        let Placed { number: at, spans } = &placed[body];
        let after = Refs {
            refs: before.refs,
            at: *at,
            spans: spans.clone(),
        };
        self.put(Class::Blobs, &key, &record::write_refs(&after));
        self.count_live(&before.spans, -1);
        self.count_live(&after.spans, 1);
        Ok(())
    }

    fn count_live(&mut self, spans: &[(u32, u64)], sign: i64) {
        for (segment, octets) in spans {
            self.count(
                Class::Blobs,
                keys::live(*segment).to_vec(),
                sign * i64::try_from(*octets).unwrap_or(i64::MAX),
            );
        }
    }

    fn write(&mut self, tag: u8, class: Class, key: &[u8], value: &[u8]) {
        let key_octets = u16::try_from(key.len()).expect("names are bounded where they come in");
        self.ops.push(tag);
        self.ops.push(class as u8);
        self.ops.extend_from_slice(&key_octets.to_le_bytes());
        self.ops
            .extend_from_slice(&record::small(value.len()).to_le_bytes());
        let at = self.ops.len();
        self.ops.extend_from_slice(key);
        self.ops.extend_from_slice(value);
        self.index.push(OpAt {
            class,
            tag,
            key: record::small(at),
            value: record::small(at + key.len()),
            end: record::small(self.ops.len()),
        });
    }
}

impl Sealed {
    /// The changes, in order; they share the batch's octets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Op> + '_ {
        self.index.iter().map(|at| {
            let value = self.ops.slice(at.value as usize..at.end as usize);
            Op {
                class: at.class,
                key: self.ops.slice(at.key as usize..at.value as usize),
                value: (at.tag != REMOVE).then_some(value),
                fresh: at.tag == PUT_FRESH,
            }
        })
    }
}

/// Reads the changes of a batch back from the journal, calling `each` in order. `None` when the
/// octets are not a batch's.
pub(crate) fn read(ops: &Bytes, mut each: impl FnMut(Op)) -> Option<()> {
    let mut at = 0;
    while at < ops.len() {
        let head: &[u8; 8] = ops.get(at..)?.first_chunk()?;
        let class = Class::of(head[1])?;
        let key = at + 8;
        let value = key + usize::from(u16::from_le_bytes([head[2], head[3]]));
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let end = value.checked_add(usize::try_from(length).ok()?)?;
        if end > ops.len() || !matches!(head[0], PUT | PUT_FRESH | REMOVE) {
            return None;
        }
        each(Op {
            class,
            key: ops.slice(key..value),
            value: (head[0] != REMOVE).then(|| ops.slice(value..end)),
            fresh: head[0] == PUT_FRESH,
        });
        at = end;
    }
    Some(())
}

/// What a message takes on its way into a mailbox, so that nothing has to grow for it.
const OPS_OCTETS: usize = 768;
const OPS: usize = 8;

fn patch(ops: &mut [u8], at: usize, number: u64) {
    ops[at..at + 8].copy_from_slice(&number.to_be_bytes());
}

/// What begins each operation in the journal; append-only.
const PUT: u8 = 1;
const REMOVE: u8 = 2;
const PUT_FRESH: u8 = 3;
