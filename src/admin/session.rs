//! What a connection of an operator has taken, and gives back when it ends.

use mail::Address;
use store::Snapshot;
use supervision::{Trial, blocking};

/// What a connection of an operator has taken. Dropping it gives everything back.
#[derive(Default)]
pub(super) struct Session {
    /// Harm that was ordered: who is gone harms nobody any more.
    pub(super) trial: Trial,
    pub(super) snapshot: Option<Snapshot>,
    /// What of it is in the log already: who brings a million messages is named once.
    noted: Option<(Address, &'static str)>,
}

impl Session {
    /// Leaves in the log that somebody takes mail out of an account or brings some, once for many.
    pub(super) fn note(
        &mut self,
        address: &Address,
        act: &'static str,
        uid: u32,
        pid: Option<i32>,
    ) {
        if self
            .noted
            .as_ref()
            .is_none_or(|noted| (&noted.0, noted.1) != (address, act))
        {
            tracing::info!(uid, pid, act, about = %address, "an operator acts");
            self.noted = Some((address.clone(), act));
        }
    }

    /// Gives everything back. It touches the disk: off the threads on which the others run.
    pub(super) async fn end(&mut self) {
        if let Some(snapshot) = self.snapshot.take()
            && let Err(error) = blocking(move || drop(snapshot)).await
        {
            tracing::warn!(%error, "a snapshot is not given back before the next start");
        }
    }
}
