//! Who is meant by the recipients of a transaction: aliases followed, nobody twice.

use std::collections::HashSet;

use mail::{AccountId, Address, Recipient, Target};

/// The final recipients of a transaction.
///
/// One recipient that a client names may stand for a thousand, and it may name a thousand of
/// those: so they count as many times as they are found, and memory and time stay bounded.
#[derive(Default)]
pub(super) struct Meant {
    found: usize,
    known: HashSet<Known>,
    recipients: Vec<Recipient>,
    said: usize,
}

/// What makes two recipients the same.
#[derive(Eq, Hash, PartialEq)]
enum Known {
    /// However its address is written.
    Local(AccountId, Option<String>),
    Remote(Address),
}

impl Meant {
    /// Adds whom a recipient of the dialogue stands for.
    pub(super) fn add(&mut self, recipients: Vec<Recipient>) {
        self.said += 1;
        self.found += recipients.len();
        let (known, wanted) = (&mut self.known, recipients.into_iter());
        self.recipients
            .extend(wanted.filter(|recipient| known.insert(Known::of(recipient))));
    }

    /// How many recipients of the dialogue these stand for.
    pub(super) const fn said(&self) -> usize {
        self.said
    }

    /// How many were found, whoever was found twice counted twice.
    pub(super) const fn found(&self) -> usize {
        self.found
    }

    /// Each of them once, in the order in which they were found.
    pub(super) fn into_recipients(self) -> Vec<Recipient> {
        self.recipients
    }
}

impl Known {
    fn of(recipient: &Recipient) -> Self {
        match &recipient.target {
            Target::Local { account, detail } => Self::Local(*account, detail.clone()),
            Target::Remote(_) => Self::Remote(recipient.address.clone()),
        }
    }
}
