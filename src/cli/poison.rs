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
    /// Let it try again: a message goes on where it was; a command is run once, when its client
    /// says it the next time, and is forgotten if that goes well.
    Retry {
        /// As `poison list` shows it.
        id: PoisonId,
    },
    /// Forget it: nobody is told of a message; a command is run again until it has crashed twice.
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
            PoisonWhat::Command {
                protocol,
                who,
                words,
                ..
            } => ("command", format!("{who}: {protocol} {words}")),
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
        PoisonWhat::Command {
            protocol,
            who,
            words,
            crashes,
            refusals,
            on_trial,
        } => {
            let then = if *on_trial { ", is run once more" } else { "" };
            text.push_str(&format!(
                "command {protocol} {words}\nof      {who}\ncrashes {crashes}, refused {refusals} times{then}\n"
            ));
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

#[cfg(test)]
mod tests {
    use actors::contract::{CommandId, PoisonKey};
    use mail::MessageId;

    use super::*;

    fn views() -> Vec<PoisonView> {
        let view = |key, what| PoisonView {
            id: PoisonId(key),
            since: "2026-11-29T13:00:00.000Z".to_owned(),
            what,
            why: "heronry/doors/imap-sessions[7]: panicked".to_owned(),
            report: Some("the whole report\n".to_owned()),
        };
        let command = PoisonWhat::Command {
            protocol: "imap".to_owned(),
            who: "ann@house.test".to_owned(),
            words: "FETCH 1 BODYSTRUCTURE, about INBOX".to_owned(),
            crashes: 2,
            refusals: 5,
            on_trial: true,
        };
        let message = PoisonWhat::Message {
            from: None,
            to: vec!["ann@house.test".parse().unwrap()],
            octets: 7,
            origin: "SMTP".to_owned(),
        };
        vec![
            view(PoisonKey::Command(CommandId(77)), command),
            view(PoisonKey::Message(MessageId(78)), message),
        ]
    }

    #[test]
    fn commands_and_messages_stand_in_one_list() {
        let text = list(&views());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with("000000000000004d"), "{text}");
        assert!(
            lines[1].contains("ann@house.test: imap FETCH 1 BODYSTRUCTURE, about INBOX"),
            "{text}"
        );
        assert!(lines[2].contains("from <>"), "{text}");
    }

    #[test]
    fn a_command_is_shown_with_its_counts_and_its_report() {
        assert_eq!(
            show(&views()[0]),
            "000000000000004d\nsince   2026-11-29T13:00:00.000Z\n\
             command imap FETCH 1 BODYSTRUCTURE, about INBOX\nof      ann@house.test\n\
             crashes 2, refused 5 times, is run once more\n\nthe whole report\n"
        );
    }

    #[test]
    fn a_command_is_data_for_programs() {
        let json = serde_json::to_value(&views()[0]).unwrap();
        assert_eq!(json["kind"], "command");
        assert_eq!(
            (json["crashes"].as_u64(), json["on_trial"].as_bool()),
            (Some(2), Some(true))
        );
        assert_eq!(
            serde_json::from_value::<PoisonView>(json).unwrap(),
            views()[0]
        );
    }
}
