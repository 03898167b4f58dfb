//! Who is meant by the recipients of a transaction: aliases followed, nobody twice.

use std::collections::HashMap;

use mail::{AccountId, Address, Recipient, Target};

/// The final recipients of a transaction.
///
/// One recipient that a client names may stand for a thousand, and it may name a thousand of
/// those: so they count as many times as they are found, and memory and time stay bounded.
#[derive(Default)]
pub(super) struct Meant {
    found: usize,
    /// Where each of them stands in the list, once they are so many that they are not just looked
    /// through.
    known: HashMap<Known, usize>,
    recipients: Vec<Recipient>,
    /// For each recipient of the dialogue those it stands for, by their places.
    said: Vec<Vec<usize>>,
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
        self.found += recipients.len();
        let places = recipients.into_iter().map(|one| self.place(one));
        let places = places.collect();
        self.said.push(places);
    }

    /// Where that recipient stands in the list, from now on if not before.
    fn place(&mut self, recipient: Recipient) -> usize {
        let known = Known::of(&recipient);
        let before = if self.known.is_empty() {
            let is_it = |other: &Recipient| Known::of(other) == known;
            self.recipients.iter().position(is_it)
        } else {
            self.known.get(&known).copied()
        };
        if let Some(place) = before {
            return place;
        }
        let place = self.recipients.len();
        self.recipients.push(recipient);
        if place == FEW {
            let all = self.recipients.iter().map(Known::of).zip(0..);
            self.known = all.collect();
        } else if place > FEW {
            self.known.insert(known, place);
        }
        place
    }

    /// How many recipients of the dialogue these stand for.
    pub(super) const fn said(&self) -> usize {
        self.said.len()
    }

    /// How many were found, whoever was found twice counted twice.
    pub(super) const fn found(&self) -> usize {
        self.found
    }

    /// For each recipient of the dialogue those it stands for.
    pub(super) fn each(&self) -> impl Iterator<Item = impl Iterator<Item = &Recipient>> {
        self.said
            .iter()
            .map(|places| places.iter().map(|&place| &self.recipients[place]))
    }

    /// Each of them once, in the order in which they were found; without those who were named only
    /// by recipients of the dialogue that are refused.
    pub(super) fn into_recipients(self, refused: &[bool]) -> Vec<Recipient> {
        if !refused.contains(&true) {
            return self.recipients;
        }
        let mut is_wanted = vec![false; self.recipients.len()];
        for (places, _) in self
            .said
            .iter()
            .zip(refused)
            .filter(|(_, refused)| !**refused)
        {
            places.iter().for_each(|&place| is_wanted[place] = true);
        }
        let both = self.recipients.into_iter().zip(is_wanted);
        both.filter_map(|(recipient, is_wanted)| is_wanted.then_some(recipient))
            .collect()
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

/// So many are looked through faster than looked up.
const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn local(account: u64) -> Recipient {
        let target = Target::Local {
            account: AccountId(account),
            detail: None,
        };
        Recipient::new(format!("u{account}@example.test").parse().unwrap(), target)
    }

    fn accounts(recipients: Vec<Recipient>) -> Vec<u64> {
        let account = |recipient: Recipient| match recipient.target {
            Target::Local { account, .. } => account.0,
            Target::Remote(_) => panic!("{}", recipient.address),
        };
        recipients.into_iter().map(account).collect()
    }

    #[test]
    fn nobody_is_there_twice_however_many_there_are() {
        let mut meant = Meant::default();
        for round in 0..3 {
            for account in 0..3 * FEW as u64 {
                meant.add(vec![local(account), local(account / 2)]);
            }
            assert_eq!(meant.recipients.len(), 3 * FEW, "{round}");
        }
        let places = |meant: &Meant| meant.said.iter().flatten().copied().max();
        assert_eq!(places(&meant), Some(3 * FEW - 1));
        let all: Vec<u64> = (0..3 * FEW as u64).collect();
        assert_eq!(accounts(meant.into_recipients(&[])), all);
    }

    #[test]
    fn whoever_is_also_named_by_another_recipient_is_not_left_out_with_one() {
        let meant = || {
            let mut meant = Meant::default();
            meant.add(vec![local(1), local(2)]);
            meant.add(vec![local(2), local(3)]);
            meant
        };
        assert_eq!((meant().said(), meant().found()), (2, 4));
        let said: Vec<usize> = meant().each().map(Iterator::count).collect();
        assert_eq!(said, [2, 2]);
        let kept = |refused: [bool; 2]| accounts(meant().into_recipients(&refused));
        assert_eq!(kept([false, false]), [1, 2, 3]);
        assert_eq!(kept([true, false]), [2, 3]);
        assert_eq!(kept([false, true]), [1, 2]);
        assert_eq!(kept([true, true]), [0; 0]);
    }
}
