//! `heronry tree`: the supervision tree of the running daemon.

use std::{thread, time::Duration};

use clap::Args;
use serde_json::Value;

use super::{
    Failure,
    client::Client,
    output::{self, Output},
};
use crate::admin::protocol::{Request, TreeForm};

/// The supervision tree of the running daemon.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct Tree {
    /// As input for Graphviz: heronry tree --dot | dot -Tsvg
    #[arg(long, conflicts_with = "json")]
    dot: bool,
    /// Again and again, every two seconds, until interrupted.
    #[arg(long, conflicts_with_all = ["json", "dot"])]
    watch: bool,
}

impl Tree {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        if output.json {
            let tree: Value = client.ask(&Request::Tree {
                form: TreeForm::Json,
            })?;
            return output.answer(&tree, |_| String::new());
        }
        let form = if self.dot {
            TreeForm::Dot
        } else {
            TreeForm::Text
        };
        loop {
            let text: String = client.ask(&Request::Tree { form })?;
            if !self.watch {
                return output::print(&text);
            }
            output::print(&format!("{CLEAR}{text}"))?;
            pause();
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "whoever watches sits before a clock; the command line has no other to wait by"
)]
fn pause() {
    thread::sleep(PAUSE);
}

/// From the top left on, on an empty screen (ECMA-48 §8.3.21, §8.3.39).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
