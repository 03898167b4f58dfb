//! What a process costs in memory.

use std::fs;

/// The proportional set size of a process, in octets: its own memory, and its share of what is shared.
///
/// # Panics
/// When there is no such process, or the kernel does not tell.
#[track_caller]
pub fn pss_octets(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// By how much the memory of a process rose at its highest while `action` ran, in octets.
///
/// The kernel keeps the high-water mark, so that no peak between two looks is missed.
///
/// # Panics
/// When there is no such process, or the kernel does not tell.
#[track_caller]
pub fn peak_growth_octets(pid: u32, action: impl FnOnce()) -> u64 {
    let status = format!("/proc/{pid}/status");
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("a high-water mark can be reset");
    let before = field(&status, "VmRSS:");
    action();
    field(&status, "VmHWM:").saturating_sub(before)
}

#[track_caller]
fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.expect("the kernel tells what a process takes") * 1024
}

#[test]
fn this_process_takes_more_than_nothing_and_less_than_the_machine() {
    let octets = pss_octets(std::process::id());
    assert!((64 * 1024..1 << 40).contains(&octets), "{octets}");
}

#[test]
fn memory_that_was_given_back_is_still_seen_in_the_peak() {
    let octets = 64 << 20;
    let grown = peak_growth_octets(std::process::id(), || {
        drop(std::hint::black_box(vec![1_u8; octets]));
    });
    assert!(grown >= octets as u64 / 2, "{grown}");
}
