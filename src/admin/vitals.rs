//! The numbers of the process itself: what it takes from the machine.

use std::{fs, time::Duration};

use telemetry::{Kind, Metric};

use crate::allocator;

/// What this room measures.
pub(super) const METRICS: &[Metric] = &[
    PROCESS_CPU,
    PROCESS_FILES,
    PROCESS_FILES_MAX,
    PROCESS_HEAP,
    PROCESS_RESIDENT,
    PROCESS_VERSION,
];

/// Looks at the process now.
pub(super) fn look() {
    if let Some(octets) = resident_octets() {
        PROCESS_RESIDENT.set(octets as f64, &[]);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        PROCESS_FILES.set(open.count() as f64, &[]);
    }
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        PROCESS_FILES_MAX.set(most as f64, &[]);
    }
    for (what, octets) in allocator::heap().into_iter().flatten() {
        PROCESS_HEAP.set(octets as f64, &[what]);
    }
    PROCESS_CPU.set(processor_time().as_secs_f64(), &[]);
    PROCESS_VERSION.set(1.0, &[env!("CARGO_PKG_VERSION")]);
}

/// What all threads have used since the process began, over all cores, in hundredths of a second; nothing if the system
/// does not say.
pub(crate) fn processor_time() -> Duration {
    // Not by the process's clock: to ask that through rustix is more than valgrind bears, and instructions are
    // counted under it (benches/instructions.py).
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Duration::from_millis(10 * ticks(&stat).unwrap_or(0))
}

/// The 14th and the 15th word, in user mode and in the kernel. The second, a name in brackets, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut words = behind.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(user + system)
}

/// The second number of `statm`: pages that are in memory.
fn resident_octets() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

const PROCESS_CPU: Metric = Metric {
    name: "heronry_process_cpu_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "Processor time that the daemon has used since it started, over all cores.",
};

const PROCESS_FILES: Metric = Metric {
    name: "heronry_process_open_files",
    kind: Kind::Gauge,
    labels: &[],
    help: "Files and sockets that the daemon has open.",
};

const PROCESS_FILES_MAX: Metric = Metric {
    name: "heronry_process_open_files_max",
    kind: Kind::Gauge,
    labels: &[],
    help: "Files and sockets that the system lets the daemon have open.",
};

/// `what`: active | allocated | metadata | resident | retained.
const PROCESS_HEAP: Metric = Metric {
    name: "heronry_process_heap_octets",
    kind: Kind::Gauge,
    labels: &["what"],
    help: "What the allocator has: allocated to the daemon, in pages with anything allocated (active), for its own books (metadata), in memory (resident: with pages that are free and not yet given back), and addresses without memory (retained).",
};

const PROCESS_RESIDENT: Metric = Metric {
    name: "heronry_process_resident_octets",
    kind: Kind::Gauge,
    labels: &[],
    help: "Memory that the daemon holds.",
};

/// `version`: the one that runs.
const PROCESS_VERSION: Metric = Metric {
    name: "heronry_process_version",
    kind: Kind::Gauge,
    labels: &["version"],
    help: "Always 1; the label says which version runs.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_in_user_mode_and_in_the_kernel() {
        let stat = "7 (a ) 8) S 1 7 7 0 -1 4194560 1 2 3 4 120 34 5 6 20 0 18 0 99";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("7 (a) S 1"), None);
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(ticks(&stat).is_some(), "{stat}");
    }
}
