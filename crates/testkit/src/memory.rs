//! What a process costs in memory.

use std::fs;

/// The proportional set size of a process and nothing shared twice, in octets.
///
/// # Panics
/// When there is no such process, or the kernel does not tell.
#[track_caller]
pub fn pss_octets(pid: u32) -> u64 {
    let rollup =
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the process lives");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.expect("the kernel tells a process its Pss") * 1024
}

#[test]
fn this_process_takes_more_than_nothing_and_less_than_the_machine() {
    let octets = pss_octets(std::process::id());
    assert!((64 * 1024..1 << 40).contains(&octets), "{octets}");
}
