//! What the router decides: who is told of a message. No tokio, no ractor, no clock, no disk.

use std::collections::HashMap;

use mail::{AccountId, Domain, MessageId, Recipient, Target, Time};
use store::port::{RecipientState, Spooled, State};

/// Who is told of a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Hint {
    /// The bounce actor: recipients have failed, and nobody has told the sender.
    Bounce,
    /// A mailbox of ours.
    Mailbox {
        /// Whose.
        account: AccountId,
        /// The recipient's number.
        recipient: u32,
        /// What stood after the `+`.
        detail: Option<String>,
    },
    /// A domain's queue.
    Queue {
        /// The domain.
        domain: Domain,
        /// The recipient's number.
        recipient: u32,
        /// When it is due.
        due: Time,
        /// How many attempts have ended.
        attempts: u32,
    },
}

/// The hints that a message gives rise to now: one for each open recipient, one for all failed
/// ones. A mailbox that was full is not told before its recipient is due again; a queue knows that
/// itself.
pub(super) fn hints(message: &Spooled, now: Time) -> impl Iterator<Item = Hint> + '_ {
    let failed = message
        .states
        .iter()
        .any(|state| state.state == State::Failed);
    let recipients = (0..).zip(message.envelope.recipients.iter().zip(&message.states));
    let open = recipients.filter(move |(_, (address, state))| {
        let may_wait = matches!(address.target, Target::Local { .. }) && state.attempts > 0;
        state.state == State::Open && !(may_wait && state.due > now)
    });
    let hint = |(number, (recipient, state)): (u32, (&Recipient, &RecipientState))| {
        hint(number, &recipient.target, state.due, state.attempts)
    };
    failed
        .then_some(Hint::Bounce)
        .into_iter()
        .chain(open.map(hint))
}

/// When a message has to be looked at again, if nobody needs to be told of it before: the mailboxes of
/// all its local recipients were full. What is open elsewhere, its queue knows.
pub(super) fn rests_until(message: &Spooled, now: Time) -> Option<Time> {
    let is_failed = |state: &RecipientState| state.state == State::Failed;
    if message.states.iter().any(is_failed) {
        return None;
    }
    let recipients = message.envelope.recipients.iter().zip(&message.states);
    let local = recipients.filter(|(recipient, state)| {
        matches!(recipient.target, Target::Local { .. }) && state.state == State::Open
    });
    let due = |(_, state): (&Recipient, &RecipientState)| match state.attempts {
        0 => Time(0),
        _ => state.due,
    };
    local.map(due).min().filter(|due| *due > now)
}

/// What rests, so that it need not be read at each look. A flush says so to the router, and a router
/// that starts reads everything: nothing else makes mail due earlier.
#[derive(Debug, Default)]
pub(super) struct Resting {
    /// As the look before has found it.
    known: HashMap<MessageId, Time>,
    /// As the present look finds it.
    found: HashMap<MessageId, Time>,
}

impl Resting {
    /// Whether a message that a look comes upon need not be read.
    pub(super) fn rests(&mut self, id: MessageId, now: Time) -> bool {
        match self.known.remove(&id) {
            Some(due) if due > now => {
                self.note(id, due);
                true
            }
            _ => false,
        }
    }

    /// A message that was read rests until then.
    pub(super) fn note(&mut self, id: MessageId, due: Time) {
        if self.found.len() < RESTING_MAX {
            self.found.insert(id, due);
        }
    }

    /// The look has ended: what it did not come upon is gone.
    pub(super) fn turn(&mut self) {
        self.known = std::mem::take(&mut self.found);
    }

    /// Forgets a message: it may be due earlier.
    pub(super) fn forget(&mut self, id: MessageId) {
        self.known.remove(&id);
        self.found.remove(&id);
    }
}

/// Messages that are remembered, some 4 MiB; what is more is read at each look.
const RESTING_MAX: usize = 100_000;

/// The hints of a message that has just been accepted: nobody has tried it, and it is due.
pub(super) fn first_hints(targets: &[Target], arrived: Time) -> impl Iterator<Item = Hint> + '_ {
    (0..)
        .zip(targets)
        .map(move |(number, target)| hint(number, target, arrived, 0))
}

fn hint(recipient: u32, target: &Target, due: Time, attempts: u32) -> Hint {
    match target {
        Target::Local { account, detail } => Hint::Mailbox {
            account: *account,
            recipient,
            detail: detail.clone(),
        },
        Target::Remote(domain) => Hint::Queue {
            domain: domain.clone(),
            recipient,
            due,
            attempts,
        },
    }
}

#[cfg(test)]
mod tests {
    use mail::Envelope;
    use store::port::BodyRef;

    use super::*;

    fn message(recipients: Vec<(Target, State)>) -> Spooled {
        let address: mail::Address = "ann@example.test".parse().unwrap();
        let state = |state| RecipientState {
            state,
            attempts: 2,
            due: Time(7),
            last: None,
            delay_told: false,
        };
        Spooled {
            id: MessageId(1),
            body: BodyRef { blob: 1, octets: 1 },
            arrived: Time(1),
            origin: String::new(),
            states: recipients.iter().map(|(_, s)| state(*s)).collect(),
            envelope: Envelope {
                recipients: recipients
                    .into_iter()
                    .map(|(target, _)| Recipient::new(address.clone(), target))
                    .collect(),
                ..Envelope::default()
            },
        }
    }

    #[test]
    fn each_open_recipient_is_told_to_whoever_takes_it_and_failures_once() {
        let local = Target::Local {
            account: AccountId(4),
            detail: Some("x".to_owned()),
        };
        let remote = Target::Remote("d0.test".parse().unwrap());
        let message = message(vec![
            (local.clone(), State::Closed),
            (remote.clone(), State::Open),
            (remote.clone(), State::Failed),
            (local, State::Open),
            (remote, State::Failed),
        ]);
        let domain = "d0.test".parse().unwrap();
        let expected = vec![
            Hint::Bounce,
            Hint::Queue {
                domain,
                recipient: 1,
                due: Time(7),
                attempts: 2,
            },
            Hint::Mailbox {
                account: AccountId(4),
                recipient: 3,
                detail: Some("x".to_owned()),
            },
        ];
        assert_eq!(hints(&message, Time(7)).collect::<Vec<_>>(), expected);
        let early = hints(&message, Time(6)).collect::<Vec<_>>();
        assert_eq!(
            early,
            expected[..2],
            "a full mailbox is left alone until then"
        );
    }

    #[test]
    fn a_message_rests_while_every_mailbox_that_it_is_for_was_full() {
        let local = Target::Local {
            account: AccountId(4),
            detail: None,
        };
        let remote = Target::Remote("d0.test".parse().unwrap());
        let open = |target: &Target| (target.clone(), State::Open);
        let mut full = message(vec![open(&local), open(&remote), open(&local)]);
        full.states[2].due = Time(5);
        assert_eq!(rests_until(&full, Time(4)), Some(Time(5)));
        assert_eq!(rests_until(&full, Time(5)), None, "one of them is due");
        full.states[2].attempts = 0;
        assert_eq!(rests_until(&full, Time(4)), None, "nobody has tried it");
        let failed = message(vec![open(&local), (local.clone(), State::Failed)]);
        assert_eq!(rests_until(&failed, Time(4)), None, "its sender is told");
        let done = message(vec![(local, State::Closed)]);
        assert_eq!(rests_until(&done, Time(4)), None);
    }

    #[test]
    fn what_rests_is_not_read_until_it_is_due_gone_or_hastened() {
        let (a, b, c) = (MessageId(1), MessageId(2), MessageId(3));
        let mut resting = Resting::default();
        for id in [a, b, c] {
            assert!(!resting.rests(id, Time(0)), "it was never read");
            resting.note(id, Time(10));
        }
        resting.turn();
        // A look that does not come upon one of them, and another one.
        assert!(resting.rests(a, Time(1)) && resting.rests(c, Time(1)));
        resting.turn();
        assert!(!resting.rests(b, Time(2)));
        resting.forget(c);
        assert!(!resting.rests(c, Time(2)));
        assert!(resting.rests(a, Time(9)));
        resting.turn();
        assert!(!resting.rests(a, Time(10)), "it is due");
    }

    #[test]
    fn a_message_just_accepted_gives_the_hints_that_reading_it_would_give() {
        let targets = vec![
            Target::Remote("d0.test".parse().unwrap()),
            Target::Local {
                account: AccountId(4),
                detail: None,
            },
        ];
        let open = targets.iter().map(|target| (target.clone(), State::Open));
        let mut message = message(open.collect());
        for state in &mut message.states {
            (state.due, state.attempts) = (message.arrived, 0);
        }
        let told: Vec<Hint> = first_hints(&targets, message.arrived).collect();
        assert_eq!(told, hints(&message, message.arrived).collect::<Vec<_>>());
    }
}
