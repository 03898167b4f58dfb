//! How a domain queue is, for people.

use mail::Time;

use super::DomainQueue;

impl DomainQueue {
    /// How many recipients wait, how many are being tried, and by how many deliveries.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (
            self.waiting.len(),
            self.items.len() - self.waiting.len(),
            self.carriers.len(),
        )
    }

    /// How many deliveries wait with their connections for something to carry.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.carriers.idle()
    }

    /// When the next attempt is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        let due = self.waiting.first().map(|(due, _)| *due)?;
        Some(self.site.held_until().map_or(due, |until| due.max(until)))
    }

    /// How the last attempt ended, in words.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Why nothing is being tried, if nothing is.
    #[must_use]
    pub fn held(&self, now: Time) -> Option<String> {
        if let Some(until) = self.inherited.awaited(now) {
            return Some(format!(
                "deliveries of before a restart are waited for, until {until} at the latest"
            ));
        }
        if let Some(until) = self.site.held_until().filter(|until| *until > now) {
            return Some(format!(
                "the domain could not be reached; next probe at {until}"
            ));
        }
        let (due, _) = self.waiting.first().filter(|_| self.carriers.is_empty())?;
        (*due > now).then(|| format!("nothing is due before {due}"))
    }
}
