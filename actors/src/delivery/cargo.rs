//! A message that a delivery carries, with the recipients it carries it to.

use bytes::Bytes;
use mail::{MessageId, Outcome, Reply};
use smtp::{
    Mail, OriginalRecipient, Rcpt,
    client::{Settled, Stage},
};
use store::{
    StoreError,
    port::{Body, Spool, State},
};

/// What is being carried.
pub(super) struct Cargo {
    /// The message.
    pub(super) id: MessageId,
    /// The numbers of those recipients that are still open, in the order of `RCPT`.
    pub(super) recipients: Vec<u32>,
    /// What `MAIL` says.
    pub(super) mail: Mail,
    /// What each `RCPT` says.
    pub(super) rcpts: Vec<Rcpt>,
    /// How each of them was deferred by an earlier host, if one was.
    deferred: Vec<Option<Outcome>>,
    /// Hosts that have heard of it.
    hosts: u32,
    body: Body,
    begin: u64,
    at: u64,
}

impl Cargo {
    /// Reads the message and those of the recipients that are still open; `None` if none is.
    pub(super) fn load(
        spool: &dyn Spool,
        id: MessageId,
        recipients: &[u32],
    ) -> Result<Option<Self>, StoreError> {
        let Some(message) = spool.get(id)? else {
            return Ok(None);
        };
        let is_open = |number: &u32| {
            let state = message.states.get(*number as usize);
            state.is_some_and(|state| state.state == State::Open)
        };
        let recipients: Vec<u32> = recipients.iter().copied().filter(is_open).collect();
        if recipients.is_empty() {
            return Ok(None);
        }
        let body = spool.read(&message.body)?;
        let begin = behind_return_path(&body)?;
        let envelope = &message.envelope;
        let rcpt = |number: &u32| {
            let recipient = &envelope.recipients[*number as usize];
            let original = recipient
                .original
                .as_ref()
                .map(|address| OriginalRecipient {
                    kind: "rfc822".to_owned(),
                    address: address.to_string(),
                });
            Rcpt {
                to: recipient.address.clone(),
                notify: recipient.notify,
                original,
            }
        };
        Ok(Some(Self {
            id,
            rcpts: recipients.iter().map(rcpt).collect(),
            deferred: vec![None; recipients.len()],
            hosts: 0,
            recipients,
            mail: Mail {
                from: envelope.from.clone(),
                size: Some(body.octets() - begin),
                body: envelope.body,
                ret: envelope.ret,
                envid: envelope.envid.clone(),
                submitter: None,
            },
            body,
            begin,
            at: begin,
        }))
    }

    /// Goes back to the beginning: another connection is tried.
    pub(super) const fn rewind(&mut self) {
        self.at = self.begin;
    }

    /// The next octets; empty at the end.
    pub(super) fn piece(&mut self) -> Result<Bytes, StoreError> {
        let piece = self.body.read_at(self.at, PIECE_OCTETS)?;
        self.at += piece.len() as u64;
        Ok(piece)
    }

    /// Takes what a host said to each recipient; yields what is decided by it.
    ///
    /// Whoever is deferred is kept for another host, if `another` can be asked (RFC 5321 §5.1),
    /// unless the message was sent whole: there a lost reply may have been a yes. A host that
    /// says no for ever does not outweigh a better one that has said "later". Whoever is to be asked
    /// for `again`, because the host has decided nothing about him, is kept as he is.
    pub(super) fn hear(
        &mut self,
        settled: Vec<Settled>,
        host: &str,
        (another, again): (bool, Again),
    ) -> Vec<(u32, Outcome)> {
        if !settled.iter().any(|settled| again.is_for(settled)) {
            self.hosts += 1;
        }
        let another = another && self.hosts < HOSTS_MAX;
        let mut decided = Vec::with_capacity(settled.len());
        let mut kept = Vec::new();
        for (place, settled) in settled.into_iter().enumerate() {
            let Some(&number) = self.recipients.get(place) else {
                break;
            };
            if again.is_for(&settled) {
                kept.push(place);
                continue;
            }
            let stage = settled.stage;
            let outcome = match (said_by(settled, host), self.deferred[place].take()) {
                (Outcome::Deliver(reply), _) => Outcome::Deliver(reply),
                (_, Some(earlier)) => earlier,
                (outcome, None) => outcome,
            };
            if another && stage != Stage::End && matches!(outcome, Outcome::Defer(_)) {
                self.deferred[place] = Some(outcome);
                kept.push(place);
            } else {
                decided.push((number, outcome));
            }
        }
        self.keep(&kept);
        decided
    }

    /// Whether nobody is left to carry it to.
    pub(super) const fn is_done(&self) -> bool {
        self.recipients.is_empty()
    }

    /// The end for whoever is left: what a host has said, else this.
    pub(super) fn all(&self, outcome: &Outcome) -> Vec<(u32, Outcome)> {
        let left = self.recipients.iter().zip(&self.deferred);
        left.map(|(&number, earlier)| (number, earlier.as_ref().unwrap_or(outcome).clone()))
            .collect()
    }

    fn keep(&mut self, places: &[usize]) {
        self.recipients = places.iter().map(|&at| self.recipients[at]).collect();
        self.rcpts = places.iter().map(|&at| self.rcpts[at].clone()).collect();
        self.deferred = places.iter().map(|&at| self.deferred[at].clone()).collect();
    }
}

/// Who is asked for again over a new connection to the same host, at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Again {
    /// Nobody.
    Nobody,
    /// Those whose first command of a transaction it did not take, for now: on a connection that has
    /// carried something, it had enough of that.
    Tired,
    /// Those whom it took, before it was sent chunks, which it offers and cannot do.
    WithoutChunks,
}

impl Again {
    /// Who it is when a transaction has ended so, on a connection that has carried so many before.
    pub(super) fn after(settled: &[Settled], carried: u64) -> Self {
        let any = |again: Self| settled.iter().any(|settled| again.is_for(settled));
        if any(Self::WithoutChunks) {
            Self::WithoutChunks
        } else if carried > 0 && any(Self::Tired) {
            Self::Tired
        } else {
            Self::Nobody
        }
    }

    fn is_for(self, settled: &Settled) -> bool {
        match self {
            Self::Nobody => false,
            Self::Tired => {
                settled.stage == Stage::Mail && matches!(settled.outcome, Outcome::Defer(_))
            }
            Self::WithoutChunks => settled.stage == Stage::Chunk,
        }
    }
}

/// The outcome with the host that decided it, and the command that it answered: an operator and
/// the sender read it.
pub(super) fn said_by(settled: Settled, host: &str) -> Outcome {
    let name = |reply: &Reply| {
        let text = format!("{host} said to {}: {}", settled.stage, reply.text());
        Reply::new(reply.code(), reply.enhanced(), text)
    };
    match &settled.outcome {
        Outcome::Defer(reply) => Outcome::Defer(name(reply)),
        Outcome::Deliver(reply) => Outcome::Deliver(name(reply)),
        Outcome::Fail(reply) => Outcome::Fail(name(reply)),
    }
}

/// Where the message begins that goes to other systems: behind the Return-Path that we put in
/// front of it for our own mailboxes (RFC 5321 §4.4: only the last system does that).
fn behind_return_path(body: &Body) -> Result<u64, StoreError> {
    let head = body.read_at(0, RETURN_PATH_OCTETS_MAX)?;
    if !head.starts_with(b"Return-Path:") {
        return Ok(0);
    }
    let end = head.windows(2).position(|pair| pair == b"\r\n");
    Ok(end.map_or(0, |end| end as u64 + 2))
}

/// The field's name, and the longest path (RFC 5321 §4.5.3.1.3) with its quotes.
const RETURN_PATH_OCTETS_MAX: usize = 512;

/// How many hosts are asked to take a message in one attempt: "later" may be meant for all.
const HOSTS_MAX: u32 = 3;

/// How much of a message is read at a time.
const PIECE_OCTETS: usize = 64 * 1024;
