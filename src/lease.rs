//! The trunk's right to write, as an actor: it ends with the life of the store that gave it.
//!
//! # Owns
//! Nothing: who writes has a fence of his own. All of them are of one life of the store, and it is
//! this life that is watched here.
//!
//! # Hears
//! [`LeaseMsg::Over`] from the store: it has ended.
//!
//! # Says
//! Nothing: it ends, and the trunk with it.
//!
//! # Supervised by
//! The trunk, first of all, `Temporary` and significant: however it ends, everybody of the trunk
//! starts again after the next one. That one comes up when the store is open.
//!
//! # When it crashes
//! The trunk starts again: nobody goes on with a fence of a time that nobody watches. Clients keep
//! their connections, and whoever wants to write hears "try again later" for a moment.
//!
//! # Metrics
//! None of its own: the restarts of the trunk are counted by the frame.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use store::DiskStore;
use supervision::Told;

/// Ends when the store has ended.
#[derive(Debug)]
pub(crate) struct Lease;

/// What it can be told.
#[derive(Debug)]
pub(crate) enum LeaseMsg {
    /// From the store: it has ended.
    Over,
}

impl Told for LeaseMsg {
    fn kind(&self) -> &'static str {
        match self {
            Self::Over => "Over",
        }
    }
}

impl Actor for Lease {
    type Msg = LeaseMsg;
    type State = ();
    type Arguments = Arc<DiskStore>;

    /// Whoever comes after it in the trunk starts when this returns: when the store is open.
    async fn pre_start(
        &self,
        myself: ActorRef<LeaseMsg>,
        store: Arc<DiskStore>,
    ) -> Result<(), ActorProcessingErr> {
        store.running().await?;
        store.ended().then(move |ended| {
            // A store that is closed has not ended: somebody wanted that.
            if ended.is_ok() {
                let _ = myself.cast(LeaseMsg::Over); // a successor looks by itself
            }
        });
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<LeaseMsg>,
        LeaseMsg::Over: LeaseMsg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        tracing::warn!("the right to write is over: who carries the mail starts again");
        myself.stop(None);
        Ok(())
    }
}
