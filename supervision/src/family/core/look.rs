//! How a member is, for whoever looks.

use std::time::Duration;

use super::{Core, life::Life};
use crate::{cause::ExitCause, tree::Status};

impl<M> Core<M> {
    /// Whether this incarnation is there; everything else that is told of one is stale.
    pub(in crate::family) fn is_present(&self, incarnation: u64) -> bool {
        self.incarnation == incarnation && self.is_launched()
    }

    /// Whether an incarnation is there, or on its way.
    pub(in crate::family) fn is_launched(&self) -> bool {
        match &self.life {
            Life::Coming(coming) => coming.is_launched,
            Life::Leaving(_) | Life::Live => true,
            Life::Asleep | Life::Down { .. } => false,
        }
    }

    /// Whether it hears messages.
    pub(in crate::family) fn is_live(&self) -> bool {
        matches!(self.life, Life::Live)
    }

    /// Whether it does not count as a member.
    pub(in crate::family) fn is_down(&self) -> bool {
        matches!(self.life, Life::Down { .. })
    }

    pub(in crate::family) fn is_asleep(&self) -> bool {
        matches!(self.life, Life::Asleep)
    }

    /// Whether it was killed because it did not end in time.
    pub(in crate::family) fn is_timed_out(&self) -> bool {
        matches!(&self.life, Life::Leaving(leaving) if leaving.is_timed_out)
    }

    /// Whether it was given up and its quarantine is not over.
    pub(super) fn is_refused(&self, now: Duration) -> bool {
        matches!(self.life, Life::Down { refused: true, until } if now < until)
    }

    pub(in crate::family) fn status(&self) -> Status {
        match self.life {
            Life::Asleep => Status::Asleep,
            Life::Coming(_) => Status::Starting,
            Life::Down { .. } => Status::Down,
            Life::Leaving(_) => Status::Stopping,
            Life::Live => Status::Up,
        }
    }

    /// How many messages wait for it to come up.
    pub(in crate::family) fn waiting(&self) -> usize {
        match &self.life {
            Life::Coming(coming) => coming.waiting.len(),
            Life::Leaving(leaving) => leaving.next.len(),
            Life::Asleep | Life::Down { .. } | Life::Live => 0,
        }
    }

    /// The present incarnation, or the last one.
    pub(in crate::family) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// How often it was started again after a crash, since it was last absent.
    pub(in crate::family) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// For how long it has been up.
    pub(in crate::family) fn up_for(&self, now: Duration) -> Duration {
        let up = self.up_since.filter(|_| self.is_live());
        up.map_or(Duration::ZERO, |up| now.saturating_sub(up))
    }

    /// How it last crashed.
    pub(in crate::family) fn last_cause(&self) -> Option<&ExitCause> {
        self.past.as_ref().map(|past| &past.last_cause)
    }
}
