//! Which letters a folder has already: by digest, and how many of each.

use std::collections::HashMap;

/// The letters that are there. Each of them stands for one that need not be brought.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<[u8; KEY], u32>);

/// As much of a digest as tells letters apart for certain.
const KEY: usize = 16;

impl Seen {
    /// A letter with that digest is there. A digest that is written otherwise is none of ours.
    pub(super) fn add(&mut self, hexadecimal: &str) {
        if let Some(key) = key(hexadecimal) {
            *self.0.entry(key).or_default() += 1;
        }
    }

    /// Whether one more with that digest has to be brought; one that is there is used up by it.
    pub(super) fn lacks(&mut self, digest: &[u8; 32]) -> bool {
        let key: &[u8; KEY] = digest.first_chunk().expect("a digest is longer");
        match self.0.get_mut(key) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        }
    }
}

/// The first half of a digest, as it stands in file names.
pub(super) fn short(digest: &[u8; 32]) -> String {
    let hex = blake3::Hash::from_bytes(*digest).to_hex();
    hex[..2 * KEY].to_owned()
}

fn key(hexadecimal: &str) -> Option<[u8; KEY]> {
    let mut key = [0; KEY];
    let digits = hexadecimal.as_bytes().get(..2 * KEY)?;
    for (octet, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *octet = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(key)
}

#[test]
fn a_letter_that_is_there_once_is_lacking_once() {
    let (a, b) = (
        *blake3::hash(b"a").as_bytes(),
        *blake3::hash(b"b").as_bytes(),
    );
    let mut seen = Seen::default();
    seen.add(&short(&a));
    seen.add(blake3::hash(b"a").to_hex().as_str());
    seen.add("no digest");
    assert_eq!(
        [&a, &a, &a, &b].map(|digest| seen.lacks(digest)),
        [false, false, true, true]
    );
}
