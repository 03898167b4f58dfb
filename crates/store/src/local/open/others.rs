//! What the journal's writer and the directory have to do with each other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    directory::{Follow, Overlay},
    journal::{Journal, Others},
    metrics,
};

/// What the writer of a journal has to do with the directory; so many octets of rows may wait in
/// memory before they are put into the engine at once.
pub(super) fn of(
    journal: &Arc<Journal>,
    overlay: &Arc<Overlay>,
    follow: &Arc<Follow>,
    overlay_octets: usize,
) -> Others {
    let (follow, rows) = (follow.clone(), overlay.clone());
    let ring = move || follow.ring(rows.octets() > overlay_octets);
    let (journal, rows) = (journal.clone(), overlay.clone());
    let hold_back = move || {
        let octets = HELD_BACK_AT * overlay_octets;
        if rows.octets() > octets {
            let begun = Instant::now();
            // What is not durable is not put into the engine either: for that nobody need wait.
            let may_ease = || rows.engine_has() < journal.durable() && journal.is_running();
            rows.wait_for_room(octets, HELD_BACK_FOR, may_ease);
            metrics::HELD_BACK.observe(begun.elapsed().as_secs_f64(), &[]);
        }
    };
    let rows = overlay.clone();
    Others {
        follow: Box::new(ring),
        hold_back: Box::new(hold_back),
        rollback: Box::new(move |durable| rows.rollback(durable)),
    }
}

/// When so many times as many rows wait in memory as are put into the engine at once, the writer
/// is held back; at four times nothing is taken any more.
const HELD_BACK_AT: usize = 2;

/// For so long at most before each group: it goes on slowly, whatever the directory does.
const HELD_BACK_FOR: Duration = Duration::from_millis(250);
