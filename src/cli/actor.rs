//! `heronry actor`: one actor of the running daemon.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{
    Failure,
    client::Client,
    output::{Output, table},
};
use crate::admin::protocol::Request;

/// An actor of the running daemon: its report, its last messages, how it ended before.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct Actor {
    /// Its place in the tree: heronry/trunk/router, heronry/trunk/mailboxes[17]
    path: String,
    /// What is to be done with it; nothing: it is shown.
    #[arg(value_enum)]
    act: Option<Act>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Act {
    /// End its present incarnation; its supervisor starts the next one.
    Restart,
}

impl Actor {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        let Self { path, act } = self;
        match act {
            Some(Act::Restart) => {
                let said = format!("{path} was restarted");
                let () = client.ask(&Request::ActorRestart { path })?;
                output.done(&said)
            }
            None => {
                let sight: Value = client.ask(&Request::ActorShow { path })?;
                output.answer(&sight, show)
            }
        }
    }
}

fn show(sight: &Value) -> String {
    let word = |key| plain(&sight[key]);
    let mut text = format!(
        "{}\nstatus       {} for {} s\nincarnation  {}\nrestarts     {}\n",
        word("path"),
        word("status"),
        seconds(&sight["alive_seconds"]),
        word("incarnation"),
        word("restarts"),
    );
    if !sight["busy_seconds"].is_null() {
        let busy = seconds(&sight["busy_seconds"]);
        let waits = match sight["is_waiting"].as_bool() {
            Some(true) => ", waits for somebody who may take his time",
            _ => "",
        };
        text.push_str(&format!("busy         {busy} s{waits}\n"));
    }
    if !matches!(sight["inbox_depth"].as_u64(), None | Some(0)) {
        text.push_str(&format!("inbox depth  {}\n", word("inbox_depth")));
    }
    if !sight["in_hand"].is_null() {
        text.push_str(&format!("in hand      {}\n", word("in_hand")));
    }
    for (key, value) in sight["report"].as_object().into_iter().flatten() {
        text.push_str(&format!("{key:<12} {}\n", plain(value)));
    }
    let recent = list(&sight["recent"], |message| {
        vec![
            seconds(&message["ago_seconds"]),
            plain(&message["kind"]),
            seconds(&message["took_seconds"]),
        ]
    });
    if !recent.is_empty() {
        text.push('\n');
        text.push_str(&table(&["SECONDS AGO", "MESSAGE", "TOOK"], &recent));
    }
    let causes = list(&sight["causes"], |past| {
        vec![
            seconds(&past["ago_seconds"]),
            plain(&past["kind"]),
            plain(&past["cause"]),
        ]
    });
    if !causes.is_empty() {
        text.push('\n');
        text.push_str(&table(&["SECONDS AGO", "ENDED", "WHY"], &causes));
    }
    for past in sight["causes"].as_array().into_iter().flatten().take(1) {
        if let Some(backtrace) = past["backtrace"].as_str() {
            text.push_str(&format!("\n{backtrace}\n"));
        }
    }
    text
}

fn list(rows: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    rows.as_array().into_iter().flatten().map(row).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn seconds(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.6}"))
}
