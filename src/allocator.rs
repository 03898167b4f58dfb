//! What the house says to its allocator, and asks it: the only room that knows that it is jemalloc.
//!
//! Each thread keeps by what it has freed, some of each size, for its next allocations. It is of use to
//! a thread that is at work. To one that sleeps it is none, and who keeps a few octets of a page keeps the page.

use telemetry::{Kind, Metric};
use tikv_jemalloc_ctl::{Access, AsName, epoch, stats};

/// What this room measures.
pub(crate) const METRICS: &[Metric] = &[GIVEN_BACK];

/// From now on the calling thread keeps by what it frees. Who is not told to does not: so there is none that
/// cannot be told to give it back.
pub(crate) fn keep_by() {
    // In a process with another allocator this is of no matter.
    let _ = b"thread.tcache.enabled\0".name().write(true);
}

/// Gives back what the calling thread keeps by, and frees what it has put aside.
pub(crate) fn give_back() {
    free_what_was_put_aside();
    let keeps = b"thread.tcache.enabled\0".name();
    // Who keeps nothing any more gives back what there was; in a process with another allocator, nobody does.
    if keeps.update(false).is_ok_and(|kept| kept) && keeps.write(true).is_err() {
        tracing::warn!("a thread of this process allocates without a cache from now on");
    }
}

/// Tables without locks (the directory's engine and the metrics have them) put aside what somebody may still look
/// at, and free it when others have passed by often enough. In a house that is quiet nobody does.
fn free_what_was_put_aside() {
    for _ in 0..PASSES {
        crossbeam_epoch::pin().flush();
    }
}

/// Two make what this thread has put aside free; each frees eight parcels of 64 pieces, its own or others'.
const PASSES: usize = 16;

/// What the allocator says of itself, if this process uses it.
pub(crate) fn heap() -> Option<[(&'static str, usize); 5]> {
    epoch::advance().ok()?; // the numbers are those of the last time somebody did this
    let allocated = stats::allocated::read().ok().filter(|octets| *octets > 0)?;
    Some([
        ("allocated", allocated),
        ("active", stats::active::read().ok()?),
        ("metadata", stats::metadata::read().ok()?),
        ("resident", stats::resident::read().ok()?),
        ("retained", stats::retained::read().ok()?),
    ])
}

pub(crate) const GIVEN_BACK: Metric = Metric {
    name: "heronry_process_heap_given_back_total",
    kind: Kind::Counter,
    labels: &[],
    help: "How often the house was quiet and had its threads give back what they kept by for their next allocations.",
};

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use super::*;

    #[test]
    fn what_a_thread_has_put_aside_is_freed_when_it_gives_back() {
        let freed = Arc::new(AtomicBool::new(false));
        let sign = Arc::clone(&freed);
        crossbeam_epoch::pin().defer(move || sign.store(true, Ordering::SeqCst));
        assert!(!freed.load(Ordering::SeqCst));
        // Whoever looks at such a table in that moment, in another test, holds it up.
        for _ in 0..10_000 {
            give_back();
            if freed.load(Ordering::SeqCst) {
                return;
            }
            thread::yield_now();
        }
        panic!("it is still there");
    }
}
