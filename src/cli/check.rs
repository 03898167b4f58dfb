//! `heronry check`: the configuration in force, or what is wrong with it.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, output::Output};
use crate::config::Config;

/// Print the effective configuration with the source of each value, or what is wrong with it.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let read = Config::read(&self.config)?;
        read.effective
            .check_listeners(&self.config.display().to_string())?;
        let output = Output { json: self.json };
        output.answer(&read.to_json(), |_| read.to_string())
    }
}
