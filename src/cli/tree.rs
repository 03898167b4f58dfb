//! `heronry tree`: the supervision tree of the running daemon.

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
        let text: String = client.ask(&Request::Tree { form })?;
        output::print(&text)
    }
}
