//! Beginnings of bodies that were read not long ago: clients read the headers of a mailbox again
//! and again, and search in them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::store::Store;
use crate::{
    StoreError,
    keeper::Keeper,
    port::{BodyRef, HeadEnd},
};

/// Beginnings of bodies, by their numbers, which are never used twice. Those that were read first
/// go first.
#[derive(Debug)]
pub(super) struct Heads {
    stripes: [Mutex<Stripe>; STRIPES],
    /// How much memory each stripe may take, in octets.
    octets_max: usize,
}

#[derive(Debug, Default)]
struct Stripe {
    heads: HashMap<u64, Bytes>,
    /// In the order in which they came.
    order: VecDeque<u64>,
    octets: usize,
}

impl Heads {
    pub(super) fn new(octets_max: usize) -> Self {
        Self {
            stripes: std::array::from_fn(|_| Mutex::default()),
            octets_max: octets_max / STRIPES,
        }
    }

    fn get(&self, blob: u64) -> Option<Bytes> {
        self.stripe(blob).heads.get(&blob).cloned()
    }

    fn put(&self, blob: u64, head: &[u8]) {
        let octets = weight(head.len());
        if octets > self.octets_max / 8 {
            return; // it would drive out many for one
        }
        let mut stripe = self.stripe(blob);
        // Its own memory: a slice would keep all that it is a slice of.
        if stripe
            .heads
            .insert(blob, Bytes::copy_from_slice(head))
            .is_some()
        {
            return; // somebody else has read it meanwhile
        }
        stripe.order.push_back(blob);
        stripe.octets += octets;
        while stripe.octets > self.octets_max
            && let Some(oldest) = stripe.order.pop_front()
        {
            let gone = stripe.heads.remove(&oldest);
            stripe.octets -= gone.map_or(0, |head| weight(head.len()));
        }
    }

    fn stripe(&self, blob: u64) -> MutexGuard<'_, Stripe> {
        // Places in a segment are multiples of eight, and neighbours differ by some kilobytes.
        let place = (blob >> 3 ^ blob >> 10 ^ blob >> 17 ^ blob >> 32) as usize % STRIPES;
        let stripe = self.stripes[place].lock();
        stripe.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Keeper> Store<K> {
    pub(super) fn head_of(&self, body: &BodyRef, end: HeadEnd) -> Result<Bytes, StoreError> {
        if let Some(head) = self.desk.heads.get(body.blob) {
            return Ok(head);
        }
        let read = self.keeper.read(body)?;
        let mut limit = OCTETS_TRIED;
        let head = loop {
            let begin = read.read_at(0, limit)?;
            match end(&begin) {
                Some(end) => break begin.slice(..end.min(begin.len())),
                None if begin.len() as u64 >= read.octets() => break begin,
                None => limit = limit.saturating_mul(8),
            }
        };
        self.desk.heads.put(body.blob, &head);
        Ok(head)
    }
}

/// What an entry takes, what the maps add to it included.
const fn weight(octets: usize) -> usize {
    octets + 96
}

/// Most headers are shorter.
const OCTETS_TRIED: usize = 8 * 1024;

const STRIPES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_first_goes_first_and_nothing_takes_more_than_its_room() {
        let heads = Heads::new(STRIPES * 10 * weight(100));
        for number in 0..1000_u64 {
            heads.put(number << 12, &[0; 100]);
            heads.put(number << 12, &[0; 100]);
        }
        assert!(heads.get(0).is_none() && heads.get(999 << 12).is_some());
        heads.put(8, &[0; 1000]);
        assert!(heads.get(8).is_none(), "it is too large");
        for stripe in &heads.stripes {
            let stripe = stripe.lock().unwrap();
            assert!(stripe.octets <= heads.octets_max);
            assert_eq!(stripe.heads.len(), stripe.order.len());
            assert_eq!(stripe.octets, stripe.heads.len() * weight(100));
        }
    }
}
