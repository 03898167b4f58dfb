//! `heronry check`: the configuration in force, what is wrong with it, or what it would change.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, client::Client, output::Output, reload};
use crate::{
    admin::protocol::Request,
    config::{Config, changes},
};

/// Print the effective configuration with the source of each value, what is wrong with it, or what
/// it would change.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print what it would change in the running daemon, and what of that needs a restart.
    #[arg(long)]
    diff: bool,
    /// The data folder of the running daemon, if it is not the one that the configuration names.
    #[arg(long, value_name = "DIR", requires = "diff")]
    data: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let read = Config::read(&self.config)?;
        let config = &read.effective;
        config.check_listeners(&self.config.display().to_string())?;
        let output = Output { json: self.json };
        if !self.diff {
            return output.answer(&read.to_json(), |_| read.to_string());
        }
        let folder = self.data.as_ref().unwrap_or(&config.data);
        let in_force: Config = Client::connect(folder)?.ask(&Request::Settings)?;
        output.answer(&changes(&in_force, config), |changes| {
            if changes.is_empty() {
                "nothing would change\n".to_owned()
            } else {
                reload::lines(changes)
            }
        })
    }
}
