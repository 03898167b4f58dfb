//! What the router decides: who is told of a message. No tokio, no ractor, no clock, no disk.

use mail::{AccountId, Domain, Recipient, Target, Time};
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
    use mail::{Envelope, MessageId};
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
