//! What every message asks about its domain, remembered: whether it is ours, and how much it may
//! hold.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use mail::Domain;

use super::stamps::Stamp;
use crate::port::Quota;

/// Domains of ours, as far as it was looked. There are mostly few; of more than [`DOMAINS_MAX`]
/// those are known that were asked for since there were so many.
#[derive(Debug, Default)]
pub(super) struct Domains(RwLock<HashMap<Domain, Known>>);

/// What is known, each with the stamp with which it counts.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    ours: u64,
    quota: (u64, Quota),
}

impl Domains {
    /// Whether it is known to be ours. Nothing is known of others: strangers name as many as they
    /// like.
    pub(super) fn is_ours(&self, domain: &Domain, stamp: Stamp) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(domain).map(|known| known.ours);
        known.is_some() && known == stamp.number()
    }

    /// How much it may hold, if that is known.
    pub(super) fn quota(&self, domain: &Domain, stamp: Stamp) -> Option<Quota> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (when, quota) = known.get(domain)?.quota;
        (Some(when) == stamp.number()).then_some(quota)
    }

    /// It is ours.
    pub(super) fn remember_ours(&self, domain: &Domain, stamp: Stamp) {
        self.remember(domain, stamp, |known, stamp| known.ours = stamp);
    }

    /// It may hold so much.
    pub(super) fn remember_quota(&self, domain: &Domain, stamp: Stamp, quota: Quota) {
        self.remember(domain, stamp, |known, stamp| known.quota = (stamp, quota));
    }

    fn remember(&self, domain: &Domain, stamp: Stamp, what: impl FnOnce(&mut Known, u64)) {
        let Some(stamp) = stamp.number() else {
            return;
        };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DOMAINS_MAX && !known.contains_key(domain) {
            known.clear();
        }
        what(known.entry(domain.clone()).or_default(), stamp);
    }
}

/// Some 100 KiB.
const DOMAINS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::stamps::Stamps;

    #[test]
    fn what_is_known_of_a_domain_counts_until_something_changes() {
        let (domains, stamps) = (Domains::default(), Stamps::new());
        let domain: Domain = "example.test".parse().unwrap();
        let before = stamps.stamp(0);
        assert!(!domains.is_ours(&domain, before));
        assert_eq!(domains.quota(&domain, before), None);
        domains.remember_ours(&domain, before);
        assert!(domains.is_ours(&domain, before));
        assert_eq!(
            domains.quota(&domain, before),
            None,
            "that is another matter"
        );
        let quota = Quota {
            octets: Some(7),
            messages: None,
        };
        domains.remember_quota(&domain, before, quota);
        assert_eq!(domains.quota(&domain, before), Some(quota));
        assert!(
            !domains.is_ours(&domain, stamps.stamp(1)),
            "writes were lost"
        );
        stamps.forget();
        assert!(!domains.is_ours(&domain, stamps.stamp(0)));
        assert_eq!(domains.quota(&domain, stamps.stamp(0)), None);
        // Whoever began to look before that and comes late says nothing about now.
        domains.remember_ours(&domain, before);
        assert!(!domains.is_ours(&domain, stamps.stamp(0)));
    }

    #[test]
    fn between_two_lives_of_the_store_nothing_is_remembered() {
        let (domains, stamps) = (Domains::default(), Stamps::new());
        let domain: Domain = "example.test".parse().unwrap();
        let nobody_knows = stamps.stamp(u64::MAX);
        domains.remember_ours(&domain, nobody_knows);
        domains.remember_quota(&domain, nobody_knows, Quota::default());
        assert!(!domains.is_ours(&domain, nobody_knows));
        assert_eq!(domains.quota(&domain, nobody_knows), None);
    }

    #[test]
    fn however_many_domains_there_are_memory_is_bounded() {
        let (domains, stamps) = (Domains::default(), Stamps::new());
        let stamp = stamps.stamp(0);
        for number in 0..3 * DOMAINS_MAX {
            let domain: Domain = format!("d{number}.test").parse().unwrap();
            domains.remember_ours(&domain, stamp);
            assert!(domains.is_ours(&domain, stamp));
        }
        assert!(domains.0.read().unwrap().len() <= DOMAINS_MAX);
    }
}
