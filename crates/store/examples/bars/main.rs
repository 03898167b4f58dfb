//! Measures what the store promises: what is written for a message, starting and rebuilding with a
//! large queue, a large mailbox, checkpoints, what compression saves, and what giving room back costs.
//!
//! `cargo run --release -p heronry-store --example bars WHAT FOLDER [NUMBER]`, where WHAT is
//! `written`, `queue`, `mailbox`, `checkpoint`, `compact`, or `compress` (FOLDER is then one of
//! messages). The figures count only as ratios of one run on one machine.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a tool for people who measure"
)]

mod checkpoint;
mod compact;
mod compress;
mod files;
mod house;
mod mailbox;
mod process;
mod queue;
mod written;

use std::path::PathBuf;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(&args[1]);
    let number = args.get(2).map_or(1_000_000, |text| text.parse().unwrap());
    match &*args[0] {
        "written" => written::written(&folder, args.get(2).map(|text| text.parse().unwrap())),
        "queue" => queue::queue(&folder, number),
        "queue-fill" => queue::fill(&folder, number),
        "queue-open" => queue::open(&folder),
        "queue-rebuild" => queue::rebuild(&folder),
        "mailbox" => mailbox::mailbox(&folder, number),
        "mailbox-look" => mailbox::look(&folder, number),
        "checkpoint" => checkpoint::checkpoint(&folder, number),
        "checkpoint-alike" => checkpoint::fill_alike(&folder, number),
        "checkpoint-anybody" => checkpoint::fill_from_anybody(&folder, number),
        "checkpoint-write" => checkpoint::write(&folder, number),
        "checkpoint-load" => checkpoint::load(&folder),
        "compact" => compact::compact(&folder, number),
        "compress" => compress::compress(&folder),
        other => panic!("{other}: there is no such measurement"),
    }
}
