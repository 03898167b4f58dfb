//! `heronry poison`: what has brought actors down twice.

use clap::Subcommand;

use super::{
    Failure,
    client::Client,
    output::{Output, table},
};
use crate::admin::protocol::{PoisonId, PoisonView, PoisonWhat, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Poison {
    /// What is set aside, since when, and why.
    List,
    /// One of them, with its crash report.
    Show {
        /// As `poison list` shows it.
        id: PoisonId,
    },
    /// Let it try again: it goes on where it was.
    Retry {
        /// As `poison list` shows it.
        id: PoisonId,
    },
    /// Forget a message; nobody is told.
    Drop {
        /// As `poison list` shows it.
        id: PoisonId,
    },
}

impl Poison {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List => {
                let found =
                    client.ask_for_all(|last: Option<&PoisonView>| Request::PoisonList {
                        after: last.map(|view| view.id),
                    })?;
                output.answer(&found, |found| list(found))
            }
            Self::Show { id } => {
                let view: PoisonView = client.ask(&Request::PoisonShow { id })?;
                output.answer(&view, show)
            }
            Self::Retry { id } => {
                let () = client.ask(&Request::PoisonRetry { id })?;
                output.done(&format!("{} may try again", String::from(id)))
            }
            Self::Drop { id } => {
                let () = client.ask(&Request::PoisonDrop { id })?;
                output.done(&format!("{} is forgotten", String::from(id)))
            }
        }
    }
}

fn list(found: &[PoisonView]) -> String {
    let row = |view: &PoisonView| {
        let (kind, about) = match &view.what {
            PoisonWhat::Command { protocol, verb } => ("command", format!("{protocol} {verb}")),
            PoisonWhat::Message { .. } => ("message", format!("from {}", sender(view))),
        };
        vec![
            String::from(view.id),
            view.since.clone(),
            kind.to_owned(),
            about,
            view.why.clone(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    table(&["ID", "SINCE", "WHAT", "ABOUT", "WHY"], &rows)
}

fn show(view: &PoisonView) -> String {
    let mut text = format!("{}\nsince   {}\n", String::from(view.id), view.since);
    match &view.what {
        PoisonWhat::Command { protocol, verb } => {
            text.push_str(&format!("command {protocol} {verb}\n"));
        }
        PoisonWhat::Message {
            to, octets, origin, ..
        } => {
            let to: Vec<_> = to.iter().map(ToString::to_string).collect();
            text.push_str(&format!(
                "from    {}\nto      {}\noctets  {octets}\norigin  {origin}\n",
                sender(view),
                to.join(", "),
            ));
        }
    }
    text.push_str(&format!(
        "\n{}\n",
        view.report.as_deref().unwrap_or(&view.why).trim_end()
    ));
    text
}

fn sender(view: &PoisonView) -> String {
    match &view.what {
        PoisonWhat::Message {
            from: Some(from), ..
        } => from.to_string(),
        _ => "<>".to_owned(),
    }
}
