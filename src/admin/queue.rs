//! What operators ask about mail that waits.

use std::{collections::HashMap, time::Duration};

use actors::contract::{QueueMsg, RouterMsg};
use mail::{Domain, MessageId, Recipient, Target};
use store::port::{RecipientState, Settle, Shard, Spooled, State};

use super::{
    Desk,
    desk::refused,
    protocol::{Id, Page, QueueView, RecipientView, Refusal, RefusalKind},
};

/// Why the queue of a domain tries nothing, as far as it said so.
type Held = HashMap<Domain, Option<String>>;

impl Desk {
    /// A page of messages that wait. It may be short, or even empty, with more behind it: looking
    /// for one domain among many others must not take for ever either.
    pub(super) async fn waiting(
        &self,
        domain: Option<&Domain>,
        after: Option<MessageId>,
    ) -> Result<Page<QueueView>, Refusal> {
        let spool = &self.parts.spool;
        let mut after = after;
        let mut items = Vec::new();
        let mut held = Held::new();
        loop {
            let ids = spool.open(after, LOOK).map_err(refused)?;
            for &id in &ids {
                match spool.get(id) {
                    Ok(Some(message)) if concerns(&message, domain) => {
                        items.push(self.view(&message, domain, false, &mut held).await);
                    }
                    Ok(_) => {}
                    // A damaged message must not hide the others; `store check` names it.
                    Err(error) => tracing::warn!(%id, %error, "cannot show a message"),
                }
            }
            after = ids.last().copied();
            let more = ids.len() == LOOK;
            if !more || !items.is_empty() {
                return Ok(Page { items, more });
            }
        }
    }

    pub(super) async fn show_waiting(&self, id: MessageId) -> Result<QueueView, Refusal> {
        let message = self.spooled(id)?;
        Ok(self.view(&message, None, true, &mut Held::new()).await)
    }

    /// Makes open recipients due now, on disk first: a queue that is not there at the moment reads it
    /// when it starts, and the router brings what waits for a full mailbox.
    pub(super) async fn flush(
        &self,
        domain: Option<Domain>,
        id: Option<Id>,
    ) -> Result<usize, Refusal> {
        if let Some(Id(id)) = id {
            let message = self.spooled(id)?;
            return self.hasten(&message, domain.as_ref()).await;
        }
        let mut hastened = 0;
        let mut after = None;
        loop {
            let ids = self.parts.spool.open(after, LOOK).map_err(refused)?;
            for &id in &ids {
                if let Some(message) = self.parts.spool.get(id).map_err(refused)? {
                    hastened += self.hasten(&message, domain.as_ref()).await?;
                }
            }
            if ids.len() < LOOK {
                return Ok(hastened);
            }
            after = ids.last().copied();
        }
    }

    async fn hasten(&self, message: &Spooled, only: Option<&Domain>) -> Result<usize, Refusal> {
        let now = self.parts.clock.now();
        let mut by_domain: HashMap<&Domain, Vec<(u32, Settle)>> = HashMap::new();
        for (number, recipient, state) in recipients(message) {
            if let Target::Remote(domain) = &recipient.target
                && state.state == State::Open
                && only.is_none_or(|only| only == domain)
            {
                by_domain
                    .entry(domain)
                    .or_default()
                    .push((number, Settle::Hasten(now)));
            }
        }
        let mut hastened = self.hasten_local(message, only).await?;
        for (domain, what) in by_domain {
            hastened += what.len();
            let fence = self.fence(Shard::of_domain(domain))?;
            self.parts
                .spool
                .settle(fence, message.id, what)
                .await
                .map_err(refused)?;
            // A queue that cannot be told finds it due in the spool.
            drop(
                self.parts
                    .queues
                    .cast(domain, QueueMsg::Flush(Some(message.id))),
            );
        }
        Ok(hastened)
    }

    /// Of the local recipients only those wait that found their mailbox full.
    async fn hasten_local(
        &self,
        message: &Spooled,
        only: Option<&Domain>,
    ) -> Result<usize, Refusal> {
        let now = self.parts.clock.now();
        let waits = |(_, recipient, state): &(u32, &Recipient, &RecipientState)| {
            let is_local = matches!(recipient.target, Target::Local { .. });
            let is_meant = only.is_none_or(|only| only == recipient.address.domain());
            is_local && is_meant && state.state == State::Open && state.attempts > 0
        };
        let what = recipients(message)
            .filter(waits)
            .map(|(number, ..)| (number, Settle::Hasten(now)));
        let what: Vec<_> = what.collect();
        let hastened = what.len();
        if hastened > 0 {
            // The shard stands in the id.
            let fence = self.fence(Shard::nth((message.id.0 >> 64) as u64))?;
            let settled = self.parts.spool.settle(fence, message.id, what);
            settled.await.map_err(refused)?;
            // A router that cannot be told looks for itself.
            drop(self.parts.router.cast(RouterMsg::Route(message.id)));
        }
        Ok(hastened)
    }

    fn spooled(&self, id: MessageId) -> Result<Spooled, Refusal> {
        let missing = || {
            let what =
                format!("message {id} is not waiting; it was delivered, returned, or never here");
            Refusal::new(RefusalKind::Missing, what)
        };
        self.parts
            .spool
            .get(id)
            .map_err(refused)?
            .ok_or_else(missing)
    }

    async fn view(
        &self,
        message: &Spooled,
        only: Option<&Domain>,
        closed_too: bool,
        held: &mut Held,
    ) -> QueueView {
        let mut views = Vec::new();
        for (_, recipient, state) in recipients(message) {
            let is_shown = closed_too || state.state != State::Closed;
            let remote = match &recipient.target {
                Target::Remote(domain) => Some(domain),
                Target::Local { .. } => None,
            };
            if !is_shown || only.is_some_and(|only| remote != Some(only)) {
                continue;
            }
            let why = match (&state.last, remote) {
                (None, Some(domain)) if state.state == State::Open => self.held(domain, held).await,
                (last, _) => last.as_ref().map(ToString::to_string),
            };
            views.push(RecipientView {
                address: recipient.address.clone(),
                to: remote.map_or_else(|| "local".to_owned(), ToString::to_string),
                state: word(state.state).to_owned(),
                attempts: state.attempts,
                next: (state.state == State::Open).then(|| state.due.to_string()),
                why,
            });
        }
        QueueView {
            id: Id(message.id),
            from: message.envelope.from.clone(),
            octets: message.body.octets,
            arrived: message.arrived.to_string(),
            origin: message.origin.clone(),
            recipients: views,
        }
    }

    /// What the domain's queue says; it is asked once a page.
    async fn held(&self, domain: &Domain, held: &mut Held) -> Option<String> {
        if let Some(known) = held.get(domain) {
            return known.clone();
        }
        let asked = self
            .parts
            .queues
            .call(domain, QueueMsg::Inspect, INSPECT_LIMIT)
            .await;
        let why = match asked {
            Ok(report) => report.held.or(report.last),
            Err(error) => Some(format!("its queue does not answer: {error}")),
        };
        held.insert(domain.clone(), why.clone());
        why
    }
}

fn recipients(message: &Spooled) -> impl Iterator<Item = (u32, &Recipient, &RecipientState)> {
    let both = message.envelope.recipients.iter().zip(&message.states);
    (0..)
        .zip(both)
        .map(|(number, (recipient, state))| (number, recipient, state))
}

fn concerns(message: &Spooled, domain: Option<&Domain>) -> bool {
    let Some(domain) = domain else {
        return true;
    };
    recipients(message).any(|(_, recipient, state)| {
        state.state != State::Closed
            && matches!(&recipient.target, Target::Remote(to) if to == domain)
    })
}

const fn word(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Failed => "failed",
        State::Open => "open",
    }
}

/// Messages looked at for one page: they may have many recipients each.
const LOOK: usize = 200;

/// A queue that is well answers in microseconds.
const INSPECT_LIMIT: Duration = Duration::from_millis(500);
