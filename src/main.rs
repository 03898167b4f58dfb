//! The daemon and its command line: parses, and hands over.

use std::process::ExitCode;

fn main() -> ExitCode {
    heronry::cli::run(std::env::args_os())
}
