//! `heronry serve`: the daemon.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::{config::Config, daemon};

/// Start the daemon.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let read = Config::read(&self.config)?;
        read.effective
            .check_listeners(&self.config.display().to_string())?;
        daemon::run(daemon::Plan::serve(read.effective, self.config))?;
        Ok(())
    }
}
