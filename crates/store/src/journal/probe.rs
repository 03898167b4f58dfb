//! A segment of any octets, read as recovery and check read one: for the fuzz target and its corpus.

use std::{ops::ControlFlow, sync::Arc};

use super::{
    body,
    frame::{FRAME_HEAD, FrameHead, SECTION_HEAD, Section},
    scan::{Found, Scan, scan},
    segment::{FRAMES_FROM, SegmentHead},
};
use crate::{
    StoreError, batch,
    disk::{File, Octets},
    record,
};

/// What was found in a segment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Probed {
    /// Frames whose operations are sound.
    pub frames: usize,
    /// Stretches that are no frame.
    pub damaged: usize,
    /// Operations that could be read.
    pub operations: usize,
    /// Bodies and chunks whose data is sound.
    pub bodies: usize,
}

/// Reads a segment of these octets. Nothing in them may make it panic, go on for ever, or take
/// more memory than they are long by more than a small factor.
///
/// # Panics
/// When what is found contradicts itself: that is what a fuzz run looks for.
#[must_use]
pub fn probe(octets: &[u8]) -> Probed {
    let file: Arc<dyn File> = Arc::new(Octets(octets.to_vec()));
    let head = SegmentHead::read(&*file).expect("memory can be read");
    let chance = head.ok().map(|head| head.chance);
    let shallow = frames(&file, chance, false, None);
    let deep = frames(&file, chance, true, None);
    let bounded = frames(&file, chance, false, Some(octets.len() as u64));
    let places = |all: &[Item]| -> Vec<(u64, u64)> {
        all.iter().map(|item| (item.at, item.until)).collect()
    };
    assert_eq!(places(&shallow), places(&deep), "bodies change no frame");
    assert!(
        places(&bounded).starts_with(&places(&shallow)),
        "where it ends is no matter to what is before"
    );
    let mut probed = Probed::default();
    let mut end = FRAMES_FROM;
    for item in &deep {
        assert!(item.at >= end && item.until > item.at, "it goes on");
        end = item.until;
        let Some(ops) = &item.ops else {
            probed.damaged += 1;
            continue;
        };
        probed.frames += 1;
        // A row that cannot be read is an error, and no more.
        let _ = batch::read(ops, |op| {
            probed.operations += 1;
            let _ = op.value.map(|value| record::probe(&value));
        });
        probed.bodies += bodies(octets, item);
    }
    probed
}

struct Item {
    at: u64,
    until: u64,
    /// Operations; `None` for damage.
    ops: Option<bytes::Bytes>,
    bodies: u64,
}

fn frames(file: &Arc<dyn File>, chance: Option<u64>, deep: bool, until: Option<u64>) -> Vec<Item> {
    let plan = Scan {
        segment: 1,
        from: FRAMES_FROM,
        until,
        chance,
        deep,
    };
    let mut items = Vec::new();
    let scanned = scan(file, plan, |found| {
        items.push(match found {
            Found::Frame { at, head, ops, .. } => Item {
                at,
                until: at + FrameHead::octets(&head),
                ops: Some(ops),
                bodies: u64::from(head.bodies),
            },
            Found::Bad(span) => Item {
                at: span.from,
                until: span.until,
                ops: None,
                bodies: 0,
            },
        });
        Ok(ControlFlow::Continue(()))
    });
    // A frame of a newer version ends it; memory fails in no other way.
    assert!(matches!(scanned, Ok(()) | Err(StoreError::Newer { .. })));
    items
}

/// Reads the bodies of a frame; yields how many are sound.
fn bodies(octets: &[u8], frame: &Item) -> usize {
    let mut sound = 0;
    let mut at = frame.at + FRAME_HEAD as u64;
    let end = at + frame.bodies;
    while at < end {
        let Some(head) = slice(octets, at, SECTION_HEAD).and_then(Section::read) else {
            break;
        };
        let data = slice(octets, at + SECTION_HEAD as u64, head.data as usize);
        if data.is_some_and(|data| body::unpacks(&head, data)) {
            sound += 1;
        }
        at += Section::whole(head.data as usize);
    }
    sound
}

fn slice(octets: &[u8], at: u64, length: usize) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    octets.get(at..at.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::journal::mend;

    fn corpus() -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/store_segment");
        let files = fs::read_dir(folder).unwrap().map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            (name, fs::read(file.path()).unwrap())
        });
        files.collect()
    }

    #[test]
    fn every_segment_of_the_corpus_is_read_without_contradiction() {
        let mut all = Probed::default();
        for (name, octets) in corpus() {
            println_on_failure(&name);
            let probed = probe(&octets);
            all.frames += probed.frames;
            all.damaged += probed.damaged;
            all.operations += probed.operations;
            all.bodies += probed.bodies;
        }
        assert!(
            all.frames > 20 && all.damaged > 1 && all.operations > 40 && all.bodies > 8,
            "the corpus has something of everything: {all:?}"
        );
    }

    #[test]
    fn no_octet_of_a_segment_can_be_turned_over_to_any_harm() {
        let (_, whole) = corpus()
            .into_iter()
            .find(|(name, _)| name == "mail-and-copies")
            .unwrap();
        for at in FRAMES_FROM as usize..whole.len() {
            let mut octets = whole.clone();
            octets[at] = octets[at].wrapping_add(1 << (at % 8));
            let _ = probe(&octets);
            mend(&mut octets);
            let _ = probe(&octets);
        }
        for end in (0..whole.len()).step_by(13) {
            let _ = probe(&whole[..end]);
        }
    }

    #[test]
    fn checksums_that_are_sound_are_left_and_others_are_set_right() {
        for (name, octets) in corpus() {
            println_on_failure(&name);
            let mut mended = octets.clone();
            mend(&mut mended);
            assert!(probe(&mended).frames >= probe(&octets).frames);
            if !["dense", "mail-and-copies", "moved"].contains(&&*name) {
                continue;
            }
            assert!(mended == octets, "there is nothing to be mended");
            // Those of the first frame's operations and head are turned over.
            let sound = probe(&mended);
            let mut rotten = mended.clone();
            for at in [32, 44] {
                rotten[FRAMES_FROM as usize + at] ^= 1;
            }
            assert_ne!(probe(&rotten), sound);
            mend(&mut rotten);
            assert_eq!(probe(&rotten), sound);
        }
    }

    /// The name of the file at work is in the output of a test that fails.
    fn println_on_failure(name: &str) {
        eprintln!("{name}");
    }
}
