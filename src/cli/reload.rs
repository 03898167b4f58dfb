//! `heronry reload`: the running daemon reads its configuration again.

use super::{
    Failure,
    client::Client,
    output::{Output, counted},
};
use crate::{admin::protocol::Request, config::Change};

/// Asks for it, and says what has changed.
pub(super) fn run(client: &mut Client, output: &Output) -> Result<(), Failure> {
    let changes: Vec<Change> = client.ask(&Request::Reload)?;
    output.answer(&changes, |changes| {
        let mut text = lines(changes);
        text.push_str(&format!("{} in force\n", counted(changes.len(), "change")));
        text
    })
}

/// One line a change.
pub(super) fn lines(changes: &[Change]) -> String {
    changes.iter().map(|change| format!("{change}\n")).collect()
}
