//! The daemon and its command line: parses, and hands over.

use std::process::ExitCode;

/// Gives back to the system what crowds have taken and left (docs/adr/0011).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    heronry::cli::run(std::env::args_os())
}
