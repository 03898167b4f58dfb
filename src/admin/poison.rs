//! What operators ask about messages and commands that have brought actors down.

use std::time::Duration;

use actors::contract::{PoisonFailure, PoisonKey, PoisonMsg, RefusedCommand, Speaker};
use mail::MessageId;
use ractor::RpcReplyPort;
use store::port::{Accounts, Aside, State};

use super::{
    Desk,
    desk::refused,
    protocol::{PAGE_MAX, Page, PoisonId, PoisonView, PoisonWhat, Refusal, RefusalKind},
};

impl Desk {
    /// First a page of commands, if any is refused, then pages of messages.
    pub(super) async fn poison(
        &self,
        after: Option<PoisonKey>,
    ) -> Result<Page<PoisonView>, Refusal> {
        let after = match after {
            None => {
                let commands = self.refused_commands().await;
                if !commands.is_empty() {
                    return Ok(Page {
                        items: commands.iter().map(|known| self.command(known)).collect(),
                        more: true,
                    });
                }
                None
            }
            Some(PoisonKey::Command(_)) => None,
            Some(PoisonKey::Message(id)) => Some(id),
        };
        self.set_aside(after)
    }

    pub(super) async fn show_poison(&self, key: PoisonKey) -> Result<PoisonView, Refusal> {
        match key {
            PoisonKey::Command(id) => {
                let known = self.ask_poison(|reply| PoisonMsg::Show(id, reply)).await?;
                Ok(PoisonView {
                    report: Some(known.report.clone()),
                    ..self.command(&known)
                })
            }
            PoisonKey::Message(id) => {
                let found = self.parts.spool.get_aside(id).map_err(refused)?;
                let aside = found.ok_or_else(|| {
                    told(PoisonFailure::Missing(PoisonKey::Message(id).to_string()))
                })?;
                Ok(PoisonView {
                    report: Some(aside.report.clone()),
                    ..message(&aside)
                })
            }
        }
    }

    pub(super) async fn retry_poison(&self, key: PoisonKey) -> Result<(), Refusal> {
        self.ask_poison(|reply| PoisonMsg::Retry(key, reply)).await
    }

    pub(super) async fn drop_poison(&self, key: PoisonKey) -> Result<(), Refusal> {
        self.ask_poison(|reply| PoisonMsg::Drop(key, reply)).await
    }

    fn set_aside(&self, after: Option<MessageId>) -> Result<Page<PoisonView>, Refusal> {
        let spool = &self.parts.spool;
        let ids = spool.aside(after, PAGE_MAX).map_err(refused)?;
        let mut items = Vec::with_capacity(ids.len());
        for &id in &ids {
            match spool.get_aside(id) {
                Ok(Some(aside)) => items.push(message(&aside)),
                Ok(None) => {} // released in the meantime
                // A damaged message must not hide the others; `store check` names it.
                Err(error) => tracing::warn!(%id, %error, "cannot show a message"),
            }
        }
        let more = ids.len() == PAGE_MAX;
        Ok(Page { items, more })
    }

    /// While the actor that knows them is down, messages can still be listed.
    async fn refused_commands(&self) -> Vec<RefusedCommand> {
        match self.parts.poison.call(PoisonMsg::List, ANSWER_LIMIT).await {
            Ok(commands) => commands,
            Err(error) => {
                tracing::warn!(%error, "cannot list the commands that are refused");
                Vec::new()
            }
        }
    }

    fn command(&self, known: &RefusedCommand) -> PoisonView {
        command(known, &*self.parts.accounts)
    }

    async fn ask_poison<T: Send + 'static>(
        &self,
        ask: impl FnOnce(RpcReplyPort<Result<T, PoisonFailure>>) -> PoisonMsg,
    ) -> Result<T, Refusal> {
        let answer = self.parts.poison.call(ask, ANSWER_LIMIT).await;
        let answer = answer.map_err(|error| {
            let what = format!("the poison actor does not answer: {error}");
            Refusal::new(RefusalKind::Broken, what)
        })?;
        answer.map_err(told)
    }
}

fn command(known: &RefusedCommand, accounts: &dyn Accounts) -> PoisonView {
    let mark = &known.mark;
    // An account that is gone, or cannot be looked up, has its number left.
    let row = match mark.speaker {
        Speaker::Account(id) => accounts.account(id).ok().flatten(),
        Speaker::Client(_) => None,
    };
    let who = row.map_or_else(|| mark.speaker.to_string(), |row| row.address.to_string());
    PoisonView {
        id: PoisonId(PoisonKey::Command(mark.id)),
        since: known.since.to_string(),
        what: PoisonWhat::Command {
            protocol: mark.protocol.to_owned(),
            who,
            words: mark.words.clone(),
            crashes: known.crashes,
            refusals: known.refusals,
            on_trial: known.is_on_trial,
        },
        why: first_line(&known.report),
        report: None,
    }
}

fn message(aside: &Aside) -> PoisonView {
    let message = &aside.message;
    let both = message.envelope.recipients.iter().zip(&message.states);
    let left = both.filter(|(_, state)| state.state != State::Closed);
    PoisonView {
        id: PoisonId(PoisonKey::Message(message.id)),
        since: aside.since.to_string(),
        what: PoisonWhat::Message {
            from: message.envelope.from.clone(),
            to: left
                .map(|(recipient, _)| recipient.address.clone())
                .collect(),
            octets: message.body.octets,
            origin: message.origin.clone(),
        },
        why: first_line(&aside.report),
        report: None,
    }
}

fn first_line(report: &str) -> String {
    report.lines().next().unwrap_or_default().to_owned()
}

fn told(failure: PoisonFailure) -> Refusal {
    match failure {
        PoisonFailure::Store(error) => refused(error),
        failure @ PoisonFailure::Missing(_) => {
            Refusal::new(RefusalKind::Missing, failure.to_string())
        }
    }
}

/// It waits for the disk at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use actors::contract::{CommandId, CommandMark};
    use mail::{AccountId, Time};
    use store::{
        MemoryStore,
        port::{AccountChange, Entry, Leases, NewAccount, Quota, Shard},
    };

    use super::*;

    fn shown(speaker: Speaker, accounts: &MemoryStore) -> PoisonView {
        let known = RefusedCommand {
            mark: CommandMark {
                id: CommandId(77),
                protocol: "imap",
                speaker,
                words: "NOOP".to_owned(),
            },
            since: Time(0),
            crashes: 2,
            refusals: 5,
            is_on_trial: false,
            report: "it panicked\nand more".to_owned(),
        };
        command(&known, accounts)
    }

    #[tokio::test]
    async fn a_command_is_shown_with_the_address_of_whoever_said_it() {
        let store = MemoryStore::new();
        let address: mail::Address = "ann@house.test".parse().unwrap();
        let changes = vec![
            AccountChange::AddDomain(address.domain().clone()),
            AccountChange::AddAccount(NewAccount {
                address: address.clone(),
                password: None,
                quota: Quota::default(),
            }),
        ];
        let fence = store.fence(Shard::nth(0)).unwrap();
        store.change(fence, changes).await.unwrap();
        let Some(Entry::Account(ann)) = store.entry("ann", address.domain()).unwrap() else {
            panic!("the account has just been made")
        };
        let gone = AccountId(ann.0 + 1);
        for (speaker, expected) in [
            (Speaker::Account(ann), "ann@house.test".to_owned()),
            (Speaker::Account(gone), format!("account {gone}")),
            (
                Speaker::Client([192, 0, 2, 1].into()),
                "client 192.0.2.1".to_owned(),
            ),
        ] {
            let view = shown(speaker, &store);
            let PoisonWhat::Command { who, .. } = view.what else {
                panic!("it is a command")
            };
            assert_eq!((who, view.why), (expected, "it panicked".to_owned()));
        }
    }
}
