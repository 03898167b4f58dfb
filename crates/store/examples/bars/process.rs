//! This process, as the system knows it, and others of the same program.

use std::{fs, path::Path, process::Command};

/// Octets that this process has handed to the disk, in whole blocks.
///
/// The system's own account of it (`write_bytes`) says more than the disk ever sees: its cache holds
/// a file in pieces of up to a mebibyte, and when a hundred octets of such a piece are written again it
/// counts all of it, though only the block is written. So calls are counted: each touches, on
/// average, as many blocks as it has octets for, and one more for the two at its ends. (Zeros that are
/// written ahead come block by block, and count twice: too much rather than too little.)
pub(crate) fn written_octets() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    let count = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse::<u64>().unwrap()
    };
    count("wchar: ") + BLOCK_OCTETS * count("syscw: ")
}

const BLOCK_OCTETS: u64 = 4096;

/// Octets of memory that it has now.
pub(crate) fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibi = line.unwrap().trim().trim_end_matches(" kB");
    kibi.parse::<u64>().unwrap() << 10
}

/// CPU seconds of this process so far.
pub(crate) fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let ticks = words[11..13]
        .iter()
        .map(|word| word.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// Runs this program again, so that what it finds is a process of its own.
pub(crate) fn again(what: &str, folder: &Path, number: usize) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let _ = command // one of them aborts
        .arg(what)
        .arg(folder)
        .arg(number.to_string())
        .status()
        .unwrap();
}
