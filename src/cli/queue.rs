//! `heronry queue`: mail that waits.

use clap::Subcommand;
use mail::MessageId;

use super::{
    Failure,
    client::Client,
    output::{Output, counted, table},
};
use crate::admin::protocol::{Id, QueueView, RecipientView, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Queue {
    /// Who waits, since when, why, and when it is tried next.
    List {
        /// Only what waits for that domain.
        domain: Option<mail::Domain>,
    },
    /// A message that waits, with all its recipients.
    Show {
        /// As `queue list` shows it.
        id: MessageId,
    },
    /// Try now what waits.
    Flush {
        /// Only what waits for that domain.
        #[arg(long)]
        domain: Option<mail::Domain>,
        /// Only that message.
        id: Option<MessageId>,
    },
}

impl Queue {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List { domain } => {
                let messages =
                    client.ask_for_all(|last: Option<&QueueView>| Request::QueueList {
                        domain: domain.clone(),
                        after: last.map(|view| view.id),
                    })?;
                output.answer(&messages, |messages| list(messages))
            }
            Self::Show { id } => {
                let view: QueueView = client.ask(&Request::QueueShow { id: Id(id) })?;
                output.answer(&view, show)
            }
            Self::Flush { domain, id } => {
                let id = id.map(Id);
                let hastened: usize = client.ask(&Request::QueueFlush { domain, id })?;
                output.answer(&hastened, |&number| {
                    format!("{} will be tried now\n", counted(number, "recipient"))
                })
            }
        }
    }
}

fn list(messages: &[QueueView]) -> String {
    let mut rows = Vec::new();
    for message in messages {
        for recipient in &message.recipients {
            rows.push(vec![
                String::from(message.id),
                message.arrived.clone(),
                sender(message),
                recipient.address.to_string(),
                recipient.to.clone(),
                recipient.attempts.to_string(),
                recipient.next.clone().unwrap_or_else(|| "-".to_owned()),
                recipient.why.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
    }
    let head = [
        "ID", "SINCE", "FROM", "FOR", "TO", "ATTEMPTS", "NEXT", "WHY",
    ];
    table(&head, &rows)
}

fn show(message: &QueueView) -> String {
    let mut text = format!(
        "{}\nfrom    {}\nsince   {}\noctets  {}\norigin  {}\n",
        String::from(message.id),
        sender(message),
        message.arrived,
        message.octets,
        message.origin,
    );
    let row = |recipient: &RecipientView| {
        vec![
            recipient.address.to_string(),
            recipient.to.clone(),
            recipient.state.clone(),
            recipient.attempts.to_string(),
            recipient.next.clone().unwrap_or_else(|| "-".to_owned()),
            recipient.why.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<_> = message.recipients.iter().map(row).collect();
    text.push_str(&table(
        &["FOR", "TO", "STATE", "ATTEMPTS", "NEXT", "WHY"],
        &rows,
    ));
    text
}

fn sender(message: &QueueView) -> String {
    message
        .from
        .as_ref()
        .map_or_else(|| "<>".to_owned(), ToString::to_string)
}
