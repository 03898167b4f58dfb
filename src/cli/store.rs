//! `heronry store`: the store on disk, while no daemon has it open.

use std::path::Path;

use clap::Subcommand;

use super::{Failure, output::Output};

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Read everything and say what is damaged; changes nothing.
    Check,
    /// Make the directory anew from the journal.
    Rebuild,
}

impl Store {
    pub(super) fn run(self, folder: &Path, _output: &Output) -> Result<(), Failure> {
        let _ = folder;
        Err(Failure::damaged("not yet"))
    }
}
