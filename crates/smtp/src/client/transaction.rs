//! One message on its way to a peer: what has been sent, what is awaited, what is settled.

use mail::{BodyType, Notify, Outcome, Reply, Ret};

use crate::{Mail, Rcpt, xtext};

use super::{
    capabilities::Capabilities,
    report::{Report, Settled, Stage},
};

/// A transaction, from MAIL to the report.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) mail: Mail,
    recipients: Vec<(Rcpt, State)>,
    /// The command to send next.
    next: Next,
    /// Commands that have been sent and not answered: from here, in the order of [`Next`].
    awaited: Next,
    /// The peer's refusal of MAIL; it settles everybody.
    refusal: Option<Reply>,
    /// Chunks that have been sent and not answered; none with DATA.
    pub(super) chunks: usize,
    /// Whether the message goes out in chunks, and there is no DATA.
    pub(super) is_chunked: bool,
}

/// A recipient's state.
#[derive(Clone, Debug)]
enum State {
    /// The peer takes it, if it takes the message.
    Accepted,
    /// Nothing is known.
    Open,
    /// It has ended.
    Settled(Settled),
}

/// A command of the envelope. Their order is the order of this type.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Next {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    /// Nothing: all has been sent, or answered.
    Nothing,
}

impl Transaction {
    pub(super) fn new(
        mail: Mail,
        recipients: Vec<Rcpt>,
        (reset, is_chunked): (bool, bool),
    ) -> Self {
        let next = if reset { Next::Reset } else { Next::Mail };
        Self {
            mail,
            recipients: recipients
                .into_iter()
                .map(|rcpt| (rcpt, State::Open))
                .collect(),
            next,
            awaited: next,
            refusal: None,
            chunks: 0,
            is_chunked,
        }
    }

    /// The command whose reply is awaited; [`Next::Nothing`] if there is none.
    pub(super) fn awaited(&self) -> Next {
        if self.awaited == self.next {
            Next::Nothing
        } else {
            self.awaited
        }
    }

    /// Whether its envelope goes out with the message behind it, in one write: where the peer takes
    /// commands in groups and counts octets, and a refusal does not cost much.
    pub(super) fn is_eager(&self, capabilities: &Capabilities) -> bool {
        self.is_chunked
            && capabilities.pipelining
            && self.recipients.len() + 3 <= GROUP_COMMANDS_MAX
            && self.mail.size.is_some_and(|size| size <= EAGER_OCTETS_MAX)
    }

    /// Appends the next group of commands. None is left to send when MAIL was refused or nobody
    /// can be accepted any more.
    pub(super) fn write_group(&mut self, capabilities: &Capabilities, out: &mut Vec<u8>) {
        let group = if capabilities.pipelining {
            GROUP_COMMANDS_MAX
        } else {
            1
        };
        for _ in 0..group {
            let nobody = !self
                .recipients
                .iter()
                .any(|(_, state)| !matches!(state, State::Settled(_)));
            match self.next {
                Next::Reset => out.extend_from_slice(b"RSET\r\n"),
                Next::Mail => write_mail(&self.mail, capabilities, out),
                Next::Rcpt(_) | Next::Data if self.refusal.is_some() => return,
                Next::Rcpt(number) => write_rcpt(&self.recipients[number].0, capabilities, out),
                Next::Data if nobody => return,
                Next::Data => out.extend_from_slice(b"DATA\r\n"),
                Next::Nothing => return,
            }
            self.next = self.after(self.next);
        }
    }

    fn after(&self, command: Next) -> Next {
        match command {
            Next::Reset => Next::Mail,
            Next::Mail => Next::Rcpt(0),
            Next::Rcpt(number) if number + 1 < self.recipients.len() => Next::Rcpt(number + 1),
            Next::Rcpt(_) if self.is_chunked => Next::Nothing,
            Next::Rcpt(_) => Next::Data,
            Next::Data | Next::Nothing => Next::Nothing,
        }
    }

    /// Takes the reply to the awaited command.
    pub(super) fn hear(&mut self, reply: Reply) {
        let command = self.awaited;
        self.awaited = self.after(command);
        match command {
            Next::Mail if !is_yes(&reply) => {
                self.settle_all(Stage::Mail, &outcome(reply.clone()));
                self.refusal = Some(reply);
            }
            Next::Rcpt(number) => self.hear_rcpt(number, reply),
            Next::Data if reply.code() != 354 => self.settle_all(Stage::Data, &outcome(reply)),
            Next::Data | Next::Mail | Next::Nothing | Next::Reset => {}
        }
    }

    fn hear_rcpt(&mut self, number: usize, reply: Reply) {
        let state = &mut self.recipients[number].1;
        if matches!(state, State::Settled(_)) {
            return;
        }
        *state = if is_yes(&reply) {
            State::Accepted
        } else {
            let outcome = match outcome(reply) {
                // RFC 5321 §4.5.3.1.10: to RCPT a 552 means "too many", for now.
                Outcome::Fail(reply) if reply.code() == 552 => Outcome::Defer(reply),
                outcome => outcome,
            };
            State::Settled(Settled {
                outcome,
                stage: Stage::Rcpt,
            })
        };
    }

    /// Whether this reply to a chunk says that the peer does not know chunks (RFC 5321 §4.2.1: 50z is
    /// about the command, not about what it brings). A message for nobody it refuses in the same
    /// words.
    pub(super) fn is_unknown(&self, reply: &Reply) -> bool {
        self.chunks > 0 && self.accepted() > 0 && matches!(reply.code(), 500..=504)
    }

    /// Whether a chunk has been sent for somebody of whom nothing is decided.
    pub(super) fn hangs_on_chunks(&self) -> bool {
        let is_settled = |(_, state): &(Rcpt, State)| matches!(state, State::Settled(_));
        self.chunks > 0 && !self.recipients.iter().all(is_settled)
    }

    /// How many recipients the peer takes.
    pub(super) fn accepted(&self) -> usize {
        let accepted = |state: &State| matches!(state, State::Accepted);
        self.recipients
            .iter()
            .filter(|(_, state)| accepted(state))
            .count()
    }

    /// Settles everybody who is not.
    pub(super) fn settle_all(&mut self, stage: Stage, outcome: &Outcome) {
        for (_, state) in &mut self.recipients {
            if !matches!(state, State::Settled(_)) {
                let outcome = outcome.clone();
                *state = State::Settled(Settled { outcome, stage });
            }
        }
    }

    /// Settles the first accepted one who is not: LMTP answers them in their order
    /// (RFC 2033 §4.2).
    pub(super) fn settle_next(&mut self, reply: Reply) {
        let accepted = |state: &State| matches!(state, State::Accepted);
        if let Some((_, state)) = self
            .recipients
            .iter_mut()
            .find(|(_, state)| accepted(state))
        {
            let outcome = outcome(reply);
            *state = State::Settled(Settled {
                outcome,
                stage: Stage::End,
            });
        }
    }

    /// The report; whoever is not settled is deferred with `otherwise`.
    pub(super) fn report(mut self, stage: Stage, otherwise: &Reply) -> Report {
        self.settle_all(stage, &Outcome::Defer(otherwise.clone()));
        let settled = |(_, state)| match state {
            State::Settled(settled) => Some(settled),
            State::Accepted | State::Open => None,
        };
        Report {
            recipients: self.recipients.into_iter().filter_map(settled).collect(),
            unchunked: None,
        }
    }
}

/// What a reply to a command means for a recipient. A 3xx where none belongs is confusion of the
/// peer, and passes.
pub(super) fn outcome(reply: Reply) -> Outcome {
    match reply.code() {
        300..=399 => Outcome::Defer(reply),
        _ => Outcome::from_reply(reply),
    }
}

/// Whether a reply completes its command.
pub(super) const fn is_yes(reply: &Reply) -> bool {
    reply.code() < 300
}

fn write_mail(mail: &Mail, capabilities: &Capabilities, out: &mut Vec<u8>) {
    out.extend_from_slice(b"MAIL FROM:<");
    if let Some(from) = &mail.from {
        out.extend_from_slice(from.to_string().as_bytes());
    }
    out.push(b'>');
    if let Some(size) = mail.size.filter(|_| capabilities.size) {
        out.extend_from_slice(format!(" SIZE={size}").as_bytes());
    }
    // Departs from RFC 6152 §3: a peer that does not offer 8BITMIME gets the octets all the same,
    // because it passes them on in practice, and a bounce would help nobody.
    if mail.body != BodyType::SevenBit && capabilities.eight_bit_mime {
        out.extend_from_slice(b" BODY=8BITMIME");
    }
    if capabilities.dsn {
        match mail.ret {
            Some(Ret::Full) => out.extend_from_slice(b" RET=FULL"),
            Some(Ret::Headers) => out.extend_from_slice(b" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = &mail.envid {
            out.extend_from_slice(b" ENVID=");
            xtext::encode(envid, out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_rcpt(rcpt: &Rcpt, capabilities: &Capabilities, out: &mut Vec<u8>) {
    out.extend_from_slice(b"RCPT TO:<");
    out.extend_from_slice(rcpt.to.to_string().as_bytes());
    out.push(b'>');
    if capabilities.dsn {
        write_notify(rcpt.notify, out);
        if let Some(original) = &rcpt.original {
            out.extend_from_slice(b" ORCPT=");
            out.extend_from_slice(original.kind.as_bytes());
            out.push(b';');
            xtext::encode(&original.address, out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 3461 §4.1. What holds without the parameter is not written.
fn write_notify(notify: Notify, out: &mut Vec<u8>) {
    if notify == Notify::UNSAID {
        return;
    }
    if notify == Notify::NEVER {
        return out.extend_from_slice(b" NOTIFY=NEVER");
    }
    let words = [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ];
    let mut separator = " NOTIFY=";
    for (_, word) in words.into_iter().filter(|(wanted, _)| *wanted) {
        out.extend_from_slice(separator.as_bytes());
        out.extend_from_slice(word.as_bytes());
        separator = ",";
    }
}

/// Commands in one group: their replies fit into any peer's send buffer, so that both never wait
/// for each other to read (RFC 2920 §3.1).
const GROUP_COMMANDS_MAX: usize = 100;

/// What a refused envelope may cost in octets that nobody wanted.
const EAGER_OCTETS_MAX: u64 = 64 * 1024;
