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

/// What all threads have used since the process began, over all cores.
pub(crate) fn processor_time() -> Duration {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    // Neither is negative, nor is the second as large as a second.
    Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32)
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
